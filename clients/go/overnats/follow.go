// Package overnats reads the events of one account from INBOX_EVENTS by a durable consumer.
package overnats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	hookline "hookline.example/client"
)

const (
	stream = "INBOX_EVENTS"
	// How long the broker keeps a request without events.
	expires = 3 * time.Second
)

// Options say what Follow reads.
type Options struct {
	hookline.Options
	// Name of the durable consumer: the position is kept under it in the broker.
	Name             string
	Channel, Account string
	// OnlyNew: a consumer that is made now begins behind the last event, else at the first that is kept.
	OnlyNew bool
	// AckWait is how long it takes until what a dead process had in hand comes again: 30 s where it is 0. For a consumer that is made now.
	AckWait time.Duration
}

// Follow hands every event of the account to handlers, one at a time, in the order of the stream, until ctx ends, and then returns nil. An error
// wraps hookline.ErrStopped; everything else is tried again.
//
// The connection has the inbox prefix that its user may subscribe to (nats.CustomInboxPrefix), and nats.MaxReconnects(-1); it stays the
// caller's to close.
func Follow(ctx context.Context, connection *nats.Conn, options Options, handlers hookline.Handlers) error {
	reader := hookline.NewReader(handlers, options.Options)
	for ctx.Err() == nil {
		err := read(ctx, connection, options, reader)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, hookline.ErrStopped):
			return err
		case connection.IsClosed():
			return fmt.Errorf("%w: the connection is closed: connect with nats.MaxReconnects(-1), then follow again", hookline.ErrStopped)
		default:
			reader.Trouble(err, fmt.Sprintf("reading %s as %s failed, next try in 1 s", stream, options.Name))
			hookline.Sleep(ctx, time.Second)
		}
	}
	return nil
}

// read reads until something fails.
func read(ctx context.Context, connection *nats.Conn, options Options, reader *hookline.Reader) error {
	js, err := connection.JetStream()
	if err != nil {
		return err
	}
	ackWait, err := makeConsumer(js, options)
	if err != nil {
		return err
	}
	subscription, err := js.PullSubscribe(hookline.AccountFilter(options.Channel, options.Account), "", nats.Bind(stream, options.Name))
	if err != nil {
		return err
	}
	defer subscription.Unsubscribe()
	for ctx.Err() == nil {
		waiting, cancel := context.WithTimeout(ctx, expires)
		messages, err := subscription.Fetch(1, nats.Context(waiting))
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) {
			return err
		}
		for _, message := range messages {
			if err := carryOut(ctx, message, ackWait, reader); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeConsumer takes the consumer of that name, or makes it, and gives its ack wait. The stream is not asked for: a subscriber may not.
func makeConsumer(js nats.JetStreamContext, options Options) (time.Duration, error) {
	wanted := hookline.AccountFilter(options.Channel, options.Account)
	info, err := js.ConsumerInfo(stream, options.Name)
	if errors.Is(err, nats.ErrConsumerNotFound) {
		config := &nats.ConsumerConfig{
			Durable:       options.Name,
			FilterSubject: wanted,
			AckPolicy:     nats.AckExplicitPolicy,
			AckWait:       options.AckWait,
			DeliverPolicy: nats.DeliverAllPolicy,
			// Order: while one event is in somebody's hands, nothing behind it is handed out, whoever dies meanwhile.
			MaxAckPending: 1,
		}
		if options.OnlyNew {
			config.DeliverPolicy = nats.DeliverNewPolicy
		}
		info, err = js.AddConsumer(stream, config)
	}
	if err != nil {
		return 0, err
	}
	if is := info.Config; is.FilterSubject != wanted || is.MaxAckPending != 1 || is.AckPolicy != nats.AckExplicitPolicy {
		return 0, fmt.Errorf("%w: the consumer %s reads something else or not one at a time: use another name, or have an operator delete it",
			hookline.ErrStopped, options.Name)
	}
	return info.Config.AckWait, nil
}

func carryOut(ctx context.Context, message *nats.Msg, ackWait time.Duration, reader *hookline.Reader) error {
	about, err := message.Metadata()
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go working(message, ackWait/3, done)
	isDone := reader.Read(ctx, message.Data, about.Sequence.Stream, message.Header.Get("Hookline-Replay"))
	close(done)
	if isDone {
		return message.Ack()
	}
	return message.Nak()
}

// working says that the message is in hand, so that it comes to nobody else while a handler takes its time.
func working(message *nats.Msg, every time.Duration, done <-chan struct{}) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			message.InProgress()
		}
	}
}
