// Prints the events of one account: NATS_URL, NATS_USER, NATS_PASSWORD, CONSUMER, CHANNEL and ACCOUNT say of which.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/nats-io/nats.go"

	hookline "hookline.example/client"
	"hookline.example/client/overnats"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	user := os.Getenv("NATS_USER")
	connection, err := nats.Connect(os.Getenv("NATS_URL"), nats.UserInfo(user, os.Getenv("NATS_PASSWORD")),
		nats.CustomInboxPrefix("_INBOX_"+user), nats.MaxReconnects(-1))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	options := overnats.Options{Name: os.Getenv("CONSUMER"), Channel: os.Getenv("CHANNEL"), Account: os.Getenv("ACCOUNT")}
	err = overnats.Follow(ctx, connection, options, hookline.Handlers{
		Event: func(_ context.Context, event hookline.Event) error {
			fmt.Println(event.Type, event.ID, event.Revision)
			return nil
		},
		Withdrawn: func(_ context.Context, withdrawal *hookline.FactWithdrawn, _ hookline.Event) error {
			fmt.Println(withdrawal.Data.EventID, "no longer holds:", withdrawal.Data.Reason)
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
}
