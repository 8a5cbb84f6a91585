package hookline

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// recording notes what came to which handler.
func recording() (*[]string, Handlers) {
	log := new([]string)
	note := func(line string) error {
		*log = append(*log, line)
		return nil
	}
	return log, Handlers{
		Event:     func(_ context.Context, e Event) error { return note(fmt.Sprintf("%s %d", e.ID, e.Revision)) },
		Withdrawn: func(_ context.Context, w *FactWithdrawn, _ Event) error { return note(w.Data.EventID + " withdrawn") },
		Unknown:   func(_ context.Context, u Unknown) error { return note(u.Reason) },
	}
}

func event(id string, revision int, kind, data string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"type":"hookline.%s.v1","time":"2026-11-21T10:00:00.123Z","data":{"origin":{"via":"webhook","revision":%d}%s}}`,
		id, kind, revision, data)
}

func message(id string, revision int) string { return event(id, revision, "message.received", "") }

func options(t *testing.T) Options {
	return Options{
		Trouble:  func(err error, what string) { t.Errorf("%s: %v", what, err) },
		RetryMin: time.Millisecond,
		RetryMax: 2 * time.Millisecond,
	}
}
