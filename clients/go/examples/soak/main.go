// The reader that clients/testing/soak.py kills again and again.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	hookline "hookline.example/client"
	"hookline.example/client/overnats"
)

// lines: the effect, a line, is also what says that it was handled.
type lines struct {
	out     *os.File
	handled map[string]bool
}

func open(path string) *lines {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	opened := &lines{out, map[string]bool{}}
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		opened.handled[scanner.Text()[:strings.LastIndex(scanner.Text(), " ")]] = true
	}
	return opened
}

func key(id string, revision int64) string { return fmt.Sprintf("%s %d", id, revision) }

func (l *lines) write(raw []byte) error {
	var event struct {
		ID   string
		Data struct {
			Conversation string `json:"conversation_id"`
			Origin       struct{ Revision int64 }
		}
	}
	if err := json.Unmarshal(raw, &event); err != nil {
		return err
	}
	_, err := fmt.Fprintf(l.out, "%s %s\n", key(event.ID, event.Data.Origin.Revision), event.Data.Conversation)
	return err
}

func (l *lines) Has(_ context.Context, id string, revision int64) (bool, error) {
	return l.handled[key(id, revision)], nil
}

func (l *lines) Add(_ context.Context, id string, revision int64) error {
	l.handled[key(id, revision)] = true
	return nil
}

func (l *lines) IsWithdrawn(context.Context, string) (bool, error) { return false, nil }

func (l *lines) Withdraw(context.Context, string) error { return nil }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	connection, err := nats.Connect(os.Getenv("HOOKLINE_SOAK_NATS"), nats.UserInfo("subscriber", "subscriber"),
		nats.CustomInboxPrefix("_INBOX_subscriber"), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond),
		nats.RetryOnFailedConnect(true))
	if err != nil {
		log.Fatal(err)
	}
	store := open(os.Getenv("HOOKLINE_SOAK_OUT"))
	options := overnats.Options{Options: hookline.Options{Store: store}, Name: "shop-a", Channel: "instagram", Account: "17841400000000001", AckWait: 500 * time.Millisecond}
	err = overnats.Follow(ctx, connection, options, hookline.Handlers{
		Event: func(_ context.Context, event hookline.Event) error { return store.write(event.Raw) },
		Withdrawn: func(_ context.Context, _ *hookline.FactWithdrawn, event hookline.Event) error {
			return store.write(event.Raw)
		},
		Unknown: func(_ context.Context, unknown hookline.Unknown) error { return store.write(unknown.Raw) },
	})
	if err != nil {
		log.Fatal(err)
	}
	connection.Close()
}
