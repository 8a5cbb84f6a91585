package hookline

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, with Options, events ...string) []string {
	t.Helper()
	log, handlers := recording()
	reader := NewReader(handlers, with)
	for _, one := range events {
		if !reader.Read(context.Background(), []byte(one), 0, "") {
			t.Fatalf("not read: %s", one)
		}
	}
	return *log
}

func equal(t *testing.T, got []string, wanted ...string) {
	t.Helper()
	if !slices.Equal(got, wanted) {
		t.Errorf("%q\nis not %q", got, wanted)
	}
}

func TestAnEventComesOnceForEachIDAndRevision(t *testing.T) {
	equal(t, read(t, options(t), message("a", 0), message("a", 0), message("a", 1), message("b", 0), message("a", 1)), "a 0", "a 1", "b 0")
}

func TestAWindowForgetsTheOldest(t *testing.T) {
	with := options(t)
	with.Store = NewWindow(2)
	equal(t, read(t, with, message("a", 0), message("b", 0), message("c", 0), message("a", 0), message("c", 0)), "a 0", "b 0", "c 0", "a 0")
}

func TestWhatIsWithdrawnStaysSoWhateverRevisionComesLater(t *testing.T) {
	withdrawal := event("w", 0, "fact.withdrawn", `,"event_id":"a"`)
	equal(t, read(t, options(t), message("a", 0), withdrawal, withdrawal, message("a", 1), message("b", 0)), "a 0", "a withdrawn", "b 0")
}

func TestWhatThisReleaseCannotReadGoesToItsOwnHandlerOrNowhere(t *testing.T) {
	stranger, mistyped := event("n", 0, "message.sung", ""), event("m", 0, "message.received", `,"message_id":["people's words"]`)
	shape := "no `id`, `type` or `data.origin.revision`"
	strangers := []string{stranger, stranger, mistyped, `{"id":"x"}`, "null", "7", `"text"`, "[]", "{", "\xff\xfe", ""}
	equal(t, read(t, options(t), strangers...), "unknown kind hookline.message.sung.v1", "not of its kind's shape: data.message_id",
		shape, shape, shape, shape, shape, "not JSON", "not JSON", "not JSON")
	bare := NewReader(Handlers{Event: func(context.Context, Event) error { return errors.New("no event") }}, options(t))
	for _, one := range strangers {
		if !bare.Read(context.Background(), []byte(one), 0, "") {
			t.Errorf("not skipped: %s", one)
		}
	}
}

func TestAnEventComesAgainUntilItsHandlerTakesItOrReadingEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	calls, troubles := 0, 0
	with := options(t)
	with.Trouble = func(error, string) { troubles++ }
	reader := NewReader(Handlers{Event: func(context.Context, Event) error {
		calls++
		if calls == 5 {
			cancel()
		}
		if calls == 3 {
			return nil
		}
		return errors.New("the database is away")
	}}, with)
	if !reader.Read(ctx, []byte(message("a", 0)), 0, "") || calls != 3 {
		t.Errorf("%d calls", calls)
	}
	if reader.Read(ctx, []byte(message("b", 0)), 0, "") || calls != 5 || troubles != 4 {
		t.Errorf("%d calls, %d troubles", calls, troubles)
	}
}

// lost says what of known is not in read.
func lost(known, read any, path string) []string {
	var faults []string
	switch known := known.(type) {
	case map[string]any:
		has, _ := read.(map[string]any)
		for name, value := range known {
			faults = append(faults, lost(value, has[name], path+"."+name)...)
		}
	case []any:
		has, _ := read.([]any)
		if len(has) != len(known) {
			return []string{path}
		}
		for index, value := range known {
			faults = append(faults, lost(value, has[index], fmt.Sprintf("%s[%d]", path, index))...)
		}
	default:
		if known != read {
			faults = append(faults, fmt.Sprintf("%s: %v was read as %v", path, known, read))
		}
	}
	return faults
}

func TestADayOfALaterReleaseIsReadAndNothingKnownOfItIsLost(t *testing.T) {
	path := os.Getenv("HOOKLINE_TEST_DAY")
	if path == "" {
		t.Skip("deploy/dev/clients.sh gives it")
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []Event
	var unknown []string
	keep := func(_ context.Context, event Event) error {
		got = append(got, event)
		return nil
	}
	reader := NewReader(Handlers{
		Event:     keep,
		Withdrawn: func(ctx context.Context, _ *FactWithdrawn, event Event) error { return keep(ctx, event) },
		Unknown: func(_ context.Context, stranger Unknown) error {
			unknown = append(unknown, stranger.Reason)
			return nil
		},
	}, options(t))
	lines := 0
	for scanner := bufio.NewScanner(file); scanner.Scan(); lines++ {
		var line struct {
			Event json.RawMessage
			Known any
			Words bool
		}
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		before := len(got)
		reader.Read(context.Background(), line.Event, 0, "")
		if line.Words { // nothing in it is new but words
			json.Unmarshal(line.Event, &line.Known)
		}
		if line.Known == nil {
			continue
		}
		if len(got) != before+1 {
			t.Fatalf("not handed on: %s", line.Event)
		}
		written, err := json.Marshal(got[before].Value)
		if err != nil {
			t.Fatal(err)
		}
		var again any
		json.Unmarshal(written, &again)
		for _, fault := range lost(line.Known, again, "") {
			t.Errorf("%s%s", got[before].ID, fault)
		}
		if !line.Words && !strings.Contains(string(got[before].Raw), "said_by_a_later_release") {
			t.Errorf("%s: its new fields are gone", got[before].ID)
		}
	}
	equal(t, unknown, "unknown kind hookline.message.translated.v1")
	if len(got) != lines-1 || lines < 140 {
		t.Errorf("%d of %d", len(got), lines)
	}
}

func TestSubjectsAreAsTheContractSays(t *testing.T) {
	text, err := os.ReadFile("../testing/subjects.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases struct{ Tokens [][2]string }
	if err := json.Unmarshal(text, &cases); err != nil || len(cases.Tokens) == 0 {
		t.Fatal(err)
	}
	for _, one := range cases.Tokens {
		equal(t, []string{Token(one[0])}, one[1])
	}
	equal(t, []string{AccountFilter("instagram", "a.b")}, "inbox.v1.event.*.instagram.a%2Eb.>")
}
