package hookline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

type answer struct {
	status int
	body   string
}

// api gives these answers one after the other, then calls last and hangs; and notes what it was asked.
func api(t *testing.T, last func(), answers ...answer) (*httptest.Server, *[]url.Values) {
	asked := new([]url.Values)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("authorization") != "Bearer secret" {
			t.Error("no token")
		}
		*asked = append(*asked, r.URL.Query())
		if len(answers) == 0 {
			last()
			<-r.Context().Done()
			return
		}
		w.Header().Set("retry-after", "0.01")
		w.WriteHeader(answers[0].status)
		fmt.Fprint(w, answers[0].body)
		answers = answers[1:]
	}))
	t.Cleanup(server.Close)
	return server, asked
}

func TestTheLogIsReadPageByPageAndThePositionIsSavedBehindWhatWasHandled(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	server, asked := api(t, cancel, answer{503, "{}"},
		answer{200, fmt.Sprintf(`{"events":[%s,%s,%s],"next":7}`, message("a", 0), message("b", 0), message("a", 0))},
		answer{200, `{"events":[],"next":12000000000000008}`},
		answer{200, fmt.Sprintf(`{"events":[%s],"next":12000000000000009,"gap":{"after":3,"first":9}}`, event("n", 0, "message.sung", ""))})
	log, handlers := recording()
	troubles := 0
	with := options(t)
	with.Trouble = func(error, string) { troubles++ }
	cursor := FileCursor(filepath.Join(t.TempDir(), "cursor"))
	var gaps []Gap
	err := FollowHTTP(ctx, HTTPOptions{Options: with, URL: server.URL, Token: "secret", Cursor: cursor, Account: "178", Kinds: []string{"message.received"},
		Limit: 3, Gap: func(gap Gap) { gaps = append(gaps, gap) }}, handlers)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, *log, "a 0", "b 0", "unknown kind hookline.message.sung.v1")
	if position, _ := cursor.Load(); position != 12_000_000_000_000_009 {
		t.Error(position)
	}
	var after []string
	for _, query := range *asked {
		after = append(after, query.Get("after"))
	}
	equal(t, after, "", "", "7", "12000000000000008", "12000000000000009")
	first := (*asked)[0]
	equal(t, []string{first.Get("account_id"), first.Get("kinds"), first.Get("limit"), first.Get("wait")}, "178", "message.received", "3", "20s")
	if !slices.Equal(gaps, []Gap{{3, 9}}) || troubles != 1 {
		t.Error(gaps, troubles)
	}
}

func TestAStopInTheMiddleOfAPageSavesNothingOfIt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	server, _ := api(t, cancel, answer{200, fmt.Sprintf(`{"events":[%s,%s],"next":2}`, message("a", 0), message("b", 0))})
	cursor := FileCursor(filepath.Join(t.TempDir(), "cursor"))
	if err := cursor.Save(1); err != nil {
		t.Fatal(err)
	}
	with := options(t)
	with.Trouble = func(error, string) {}
	err := FollowHTTP(ctx, HTTPOptions{Options: with, URL: server.URL, Token: "secret", Cursor: cursor}, Handlers{
		Event: func(_ context.Context, e Event) error {
			if e.ID == "b" {
				cancel()
				return errors.New("not now")
			}
			return nil
		},
	})
	if position, _ := cursor.Load(); err != nil || position != 1 {
		t.Error(position, err)
	}
}

func TestWhatNoRetryMendsEndsReadingAndSaysWhatToDo(t *testing.T) {
	for status, says := range map[int]string{409: "empty cursor", 401: "401", 422: "422"} {
		server, _ := api(t, func() {}, answer{status, "{}"})
		_, handlers := recording()
		cursor := FileCursor(filepath.Join(t.TempDir(), "cursor"))
		err := FollowHTTP(context.Background(), HTTPOptions{Options: options(t), URL: server.URL, Token: "secret", Cursor: cursor}, handlers)
		if !errors.Is(err, ErrStopped) || !strings.Contains(err.Error(), says) {
			t.Error(status, err)
		}
	}
}
