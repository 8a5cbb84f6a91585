// Prints the events that a token may read: HOOKLINE_URL and HOOKLINE_TOKEN say of where. The position is kept in ./cursor.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	hookline "hookline.example/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	options := hookline.HTTPOptions{URL: os.Getenv("HOOKLINE_URL"), Token: os.Getenv("HOOKLINE_TOKEN"), Cursor: hookline.FileCursor("cursor")}
	err := hookline.FollowHTTP(ctx, options, hookline.Handlers{
		Event: func(_ context.Context, event hookline.Event) error {
			if message, is := event.Value.(*hookline.MessageReceived); is && message.Data.Text != nil {
				fmt.Println(message.Time, *message.Data.Text)
			}
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
}
