package hookline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Cursor is where the position is kept. Saved after what was read up to it was handled; what came after it comes again.
type Cursor interface {
	// Load gives 0 where nothing was saved.
	Load() (uint64, error)
	Save(position uint64) error
}

// FileCursor keeps the position in a file of that name.
type FileCursor string

func (c FileCursor) Load() (uint64, error) {
	text, err := os.ReadFile(string(c))
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}

func (c FileCursor) Save(position uint64) error {
	beside, err := os.CreateTemp(filepath.Dir(string(c)), filepath.Base(string(c))+".*")
	if err != nil {
		return err
	}
	_, err = beside.WriteString(strconv.FormatUint(position, 10))
	for _, step := range []func() error{beside.Sync, beside.Close} {
		if failed := step(); err == nil {
			err = failed
		}
	}
	if err != nil {
		os.Remove(beside.Name())
		return err
	}
	return os.Rename(beside.Name(), string(c))
}

// Gap: events older than First are not kept any more, and were never read.
type Gap struct {
	After uint64 `json:"after"`
	First uint64 `json:"first"`
}

// HTTPOptions say what FollowHTTP reads.
type HTTPOptions struct {
	Options
	// URL is the origin of the api, such as https://inbox.example.
	URL    string
	Token  string
	Cursor Cursor
	// Channel and Account: only those, where they are set.
	Channel, Account string
	// Kinds are names such as message.received; all where it is empty. The api refuses one that it does not know.
	Kinds []string
	// Limit is the most events of an answer: 100 where it is 0.
	Limit int
	// Wait is how long the api waits for the first event: 20 s where it is 0, 30 s at most.
	Wait time.Duration
	// Gap is called for events that were never read; trouble where it is nil.
	Gap func(Gap)
	// Client: one with a time-out longer than Wait, where it is nil.
	Client *http.Client
}

type page struct {
	Events []json.RawMessage `json:"events"`
	Next   uint64            `json:"next"`
	Gap    *Gap              `json:"gap"`
}

// FollowHTTP hands every event of GET /v1/events to handlers, one at a time, in the order of the log, until ctx ends, and then returns nil. An
// error wraps ErrStopped, or is of the first look at the cursor; everything else is tried again.
func FollowHTTP(ctx context.Context, options HTTPOptions, handlers Handlers) error {
	if options.Limit == 0 {
		options.Limit = 100
	}
	if options.Wait == 0 {
		options.Wait = 20 * time.Second
	}
	if options.Client == nil {
		options.Client = &http.Client{Timeout: options.Wait + 30*time.Second}
	}
	reader := NewReader(handlers, options.Options)
	if options.Gap == nil {
		options.Gap = func(gap Gap) {
			reader.Trouble(nil, fmt.Sprintf("events between %d and %d are not kept any more", gap.After, gap.First))
		}
	}
	after, err := options.Cursor.Load()
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		next, again, err := readPage(ctx, options, reader, after)
		switch {
		case ctx.Err() != nil:
		case err == nil:
			after = next
		case again == 0:
			return err
		default:
			reader.Trouble(err, "reading /v1/events failed, next try follows")
			Sleep(ctx, again)
		}
	}
	return nil
}

// readPage handles what comes after a position, and gives the next one; with an error the pause before another try, 0 where there is none.
func readPage(ctx context.Context, options HTTPOptions, reader *Reader, after uint64) (uint64, time.Duration, error) {
	got, again, err := get(ctx, options, after)
	if err != nil {
		return after, again, err
	}
	if got.Gap != nil {
		options.Gap(*got.Gap)
	}
	for _, event := range got.Events {
		if !reader.Read(ctx, event, 0, "") {
			return after, time.Second, ctx.Err()
		}
	}
	if got.Next != after {
		err = options.Cursor.Save(got.Next)
	}
	return got.Next, time.Second, err
}

func get(ctx context.Context, options HTTPOptions, after uint64) (*page, time.Duration, error) {
	query := url.Values{"limit": {strconv.Itoa(options.Limit)}, "wait": {fmt.Sprintf("%ds", int(options.Wait.Seconds()))}}
	for name, value := range map[string]string{"channel": options.Channel, "account_id": options.Account, "kinds": strings.Join(options.Kinds, ",")} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if after != 0 {
		query.Set("after", strconv.FormatUint(after, 10))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(options.URL, "/")+"/v1/events?"+query.Encode(), nil)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrStopped, err)
	}
	request.Header.Set("authorization", "Bearer "+options.Token)
	answer, err := options.Client.Do(request)
	if err != nil {
		return nil, time.Second, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		got := new(page)
		return got, time.Second, json.NewDecoder(answer.Body).Decode(got)
	}
	body, _ := io.ReadAll(io.LimitReader(answer.Body, 500))
	said := fmt.Sprintf("%d of /v1/events: %s", answer.StatusCode, body)
	if answer.StatusCode == http.StatusConflict {
		return nil, 0, fmt.Errorf("%w: %s. The log was made anew: what is stored stays; follow again with an empty cursor", ErrStopped, said)
	}
	if answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests {
		return nil, 0, fmt.Errorf("%w: %s", ErrStopped, said)
	}
	seconds, err := strconv.ParseFloat(answer.Header.Get("retry-after"), 64)
	if err != nil || seconds <= 0 {
		seconds = 1
	}
	return nil, time.Duration(seconds * float64(time.Second)), fmt.Errorf("%s", said)
}
