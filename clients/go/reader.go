// Package hookline reads the events of hookline, each once, in order. FollowHTTP reads them by HTTP, the package overnats over NATS.
package hookline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"
)

// Event is one event.
type Event struct {
	ID       string
	Type     string
	Revision int64
	// Value is the event as the type of its kind, such as *MessageReceived.
	Value any
	// Raw is the event as it was published, with the fields that this release does not know.
	Raw json.RawMessage
	// Position is that in the stream, over NATS.
	Position uint64
	// Replay is the job that published it again. An automation does not act on such an event.
	Replay string
}

// Unknown is an event that this release cannot read: of a kind that it does not know, or of another shape than it should have.
type Unknown struct {
	Raw      []byte
	Reason   string
	Position uint64
	Replay   string
}

// Handlers take events. What they return as an error is reported, and the same event comes again.
type Handlers struct {
	// Event takes a fact.
	Event func(context.Context, Event) error
	// Withdrawn: withdrawal.Data.EventID no longer holds, whatever its revision. May be nil.
	Withdrawn func(ctx context.Context, withdrawal *FactWithdrawn, event Event) error
	// Unknown takes what cannot be read, which is skipped where it is nil.
	Unknown func(context.Context, Unknown) error
}

// Options of every way to read. The zero value is good.
type Options struct {
	// Store is what was handled already: a window of 10,000 in memory where it is nil.
	Store Store
	// Trouble is called with what failed and is tried again: a line in the log where it is nil.
	Trouble func(err error, what string)
	// RetryMin and RetryMax are the first and the longest pause between tries of a handler: 500 ms and 30 s where they are zero.
	RetryMin, RetryMax time.Duration
}

// ErrStopped is wrapped by errors that no retry will mend: their words say what to do.
var ErrStopped = errors.New("reading has ended")

// Reader does with one event what is to be done with it, wherever it came from. FollowHTTP and overnats.Follow have one.
type Reader struct {
	handlers Handlers
	options  Options
}

// NewReader gives a reader its handlers.
func NewReader(handlers Handlers, options Options) *Reader {
	if options.Store == nil {
		options.Store = NewWindow(10_000)
	}
	if options.Trouble == nil {
		options.Trouble = func(err error, what string) { log.Printf("hookline: %s: %v", what, err) }
	}
	if options.RetryMin == 0 {
		options.RetryMin = 500 * time.Millisecond
	}
	if options.RetryMax == 0 {
		options.RetryMax = 30 * time.Second
	}
	return &Reader{handlers, options}
}

// Trouble reports what failed and is tried again.
func (r *Reader) Trouble(err error, what string) { r.options.Trouble(err, what) }

// Read carries an event out, again and again until that works, so that nothing behind it overtakes it; false: ctx ended first, and it has to
// come again.
func (r *Reader) Read(ctx context.Context, raw []byte, position uint64, replay string) bool {
	for pause := r.options.RetryMin; ctx.Err() == nil; pause = min(2*pause, r.options.RetryMax) {
		err := r.once(ctx, raw, position, replay)
		if err == nil {
			return true
		}
		r.Trouble(err, fmt.Sprintf("an event was not handled, next try in %v", pause))
		Sleep(ctx, pause)
	}
	return false
}

// Sleep waits, but not longer than ctx.
func Sleep(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

// envelope is what a reader has to know of every event.
type envelope struct {
	ID   *string `json:"id"`
	Type *string `json:"type"`
	Data struct {
		Origin struct {
			Revision *int64 `json:"revision"`
		} `json:"origin"`
	} `json:"data"`
}

func (r *Reader) once(ctx context.Context, raw []byte, position uint64, replay string) error {
	unknown := func(reason string) error {
		if r.handlers.Unknown == nil {
			return nil
		}
		return r.handlers.Unknown(ctx, Unknown{raw, reason, position, replay})
	}
	if !json.Valid(raw) {
		return unknown("not JSON")
	}
	var has envelope
	if json.Unmarshal(raw, &has) != nil || has.ID == nil || has.Type == nil || has.Data.Origin.Revision == nil {
		return unknown("no `id`, `type` or `data.origin.revision`")
	}
	event := Event{*has.ID, *has.Type, *has.Data.Origin.Revision, nil, raw, position, replay}
	isHandled, err := r.options.Store.Has(ctx, event.ID, event.Revision)
	if err != nil || isHandled {
		return err
	}
	if err := r.hand(ctx, event, unknown); err != nil {
		return err
	}
	return r.options.Store.Add(ctx, event.ID, event.Revision)
}

func (r *Reader) hand(ctx context.Context, event Event, unknown func(string) error) error {
	make, isKnown := kinds[event.Type]
	if !isKnown {
		return unknown("unknown kind " + event.Type)
	}
	event.Value = make()
	if err := json.Unmarshal(event.Raw, event.Value); err != nil {
		return unknown("not of its kind's shape" + where(err))
	}
	if withdrawal, is := event.Value.(*FactWithdrawn); is {
		if r.handlers.Withdrawn != nil {
			if err := r.handlers.Withdrawn(ctx, withdrawal, event); err != nil {
				return err
			}
		}
		return r.options.Store.Withdraw(ctx, withdrawal.Data.EventID)
	}
	isWithdrawn, err := r.options.Store.IsWithdrawn(ctx, event.ID)
	if err != nil || isWithdrawn {
		return err
	}
	return r.handlers.Event(ctx, event)
}

// where names the field, not what stands in it: people wrote that.
func where(err error) string {
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return ": " + mistyped.Field
	}
	return ""
}
