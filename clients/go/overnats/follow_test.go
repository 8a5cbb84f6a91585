// On a real broker with the shipped permissions: `deploy/dev/clients.sh test go` starts one.
package overnats

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	hookline "hookline.example/client"
)

const account = "17841400000000001"

func connect(t *testing.T, user string) *nats.Conn {
	connection, err := nats.Connect(os.Getenv("HOOKLINE_TEST_NATS"), nats.UserInfo(user, user), nats.CustomInboxPrefix("_INBOX_"+user), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	return connection
}

// lab has what the handlers noted.
type lab struct {
	t      *testing.T
	worker nats.JetStreamContext
	mutex  sync.Mutex
	log    []string
	fails  int
}

func (l *lab) note(line string) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.log = append(l.log, line)
	return nil
}

func (l *lab) taken() []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return slices.Clone(l.log)
}

func (l *lab) eventually(what string, holds func(log []string) bool) {
	l.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(l.taken()); time.Sleep(10 * time.Millisecond) {
		if deadline.Before(time.Now()) {
			l.t.Fatalf("%s: %q", what, l.taken())
		}
	}
}

func (l *lab) publish(of, id string, revision int, kind, data, replay string) {
	l.t.Helper()
	body := fmt.Sprintf(`{"specversion":"1.0","id":%q,"type":"hookline.%s.v1","time":"2026-11-21T10:00:00.123Z","new_field":[1],"data":{"origin":{"via":"webhook","revision":%d}%s}}`,
		id, kind, revision, data)
	l.publishBytes(of, body, replay)
}

func (l *lab) publishBytes(of, body, replay string) {
	l.t.Helper()
	message := nats.NewMsg("inbox.v1.event.07.instagram." + of + ".message-received")
	message.Data = []byte(body)
	if replay != "" {
		message.Header.Set("Hookline-Replay", replay)
	}
	if _, err := l.worker.PublishMsg(message); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) message(id string) { l.t.Helper(); l.publish(account, id, 0, "message.received", "", "") }

func (l *lab) handlers() hookline.Handlers {
	return hookline.Handlers{
		Event: func(_ context.Context, event hookline.Event) error {
			if event.Position == 0 || !strings.Contains(string(event.Raw), "new_field") {
				l.t.Errorf("%+v", event)
			}
			if l.mutex.Lock(); event.ID == "fails-twice" && l.fails < 2 {
				l.fails++
				l.mutex.Unlock()
				return errors.New("not now")
			}
			l.mutex.Unlock()
			if event.ID == "slow" {
				time.Sleep(5 * time.Second)
			}
			return l.note(strings.TrimSpace(fmt.Sprintf("%s %d %s", event.ID, event.Revision, event.Replay)))
		},
		Withdrawn: func(_ context.Context, withdrawal *hookline.FactWithdrawn, _ hookline.Event) error {
			return l.note(withdrawal.Data.EventID + " withdrawn")
		},
		Unknown: func(_ context.Context, unknown hookline.Unknown) error { return l.note(unknown.Reason) },
	}
}

// follow reads until the function that it gives is called.
func (l *lab) follow(connection *nats.Conn, options Options) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- Follow(ctx, connection, options, l.handlers()) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			l.t.Error(err)
		}
	}
}

// allButLast knows every event but one.
type allButLast struct{ *hookline.Window }

func (allButLast) Has(_ context.Context, id string, _ int64) (bool, error) { return id != "last", nil }

func TestAnAccountIsFollowedWithTheShippedPermissions(t *testing.T) {
	if os.Getenv("HOOKLINE_TEST_NATS") == "" {
		t.Skip("deploy/dev/clients.sh starts a broker")
	}
	worker, err := connect(t, "worker").JetStream()
	if err != nil {
		t.Fatal(err)
	}
	l, subscriber := &lab{t: t, worker: worker}, connect(t, "subscriber")
	var troubles []string
	var mutex sync.Mutex
	options := Options{Name: "shop-a", Channel: "instagram", Account: account, AckWait: 2 * time.Second}
	options.RetryMin = 10 * time.Millisecond
	options.Trouble = func(err error, what string) {
		mutex.Lock()
		defer mutex.Unlock()
		troubles = append(troubles, fmt.Sprint(what, ": ", err))
	}

	l.message("before")
	stop := l.follow(subscriber, options)
	l.eventually("what was there before it", func(log []string) bool { return len(log) == 1 })
	l.message("a")
	l.publish("17841400000000002", "of-another-account", 0, "message.received", "", "")
	l.message("a")
	l.publish(account, "a", 1, "message.received", "", "")
	l.publish(account, "b", 0, "message.received", "", "job-1")
	l.publish(account, "c", 0, "message.sung", "", "")
	l.publishBytes(account, "{", "")
	l.message("fails-twice")
	l.publish(account, "w", 0, "fact.withdrawn", `,"event_id":"a"`, "")
	l.publish(account, "a", 2, "message.received", "", "")
	l.message("d")
	wanted := []string{"before 0", "a 0", "a 1", "b 0 job-1", "unknown kind hookline.message.sung.v1", "not JSON", "fails-twice 0", "a withdrawn", "d 0"}
	l.eventually("all of it", func(log []string) bool { return len(log) >= len(wanted) })
	if !slices.Equal(l.taken(), wanted) {
		t.Errorf("%q", l.taken())
	}
	// Stopped and resumed: what came meanwhile comes, nothing else.
	stop()
	if len(troubles) != 2 {
		t.Errorf("each failure of a handler is reported: %q", troubles)
	}
	l.log = nil
	l.message("meanwhile")
	stop = l.follow(subscriber, options)
	l.eventually("what came meanwhile", func(log []string) bool { return 0 < len(log) })
	stop()
	if !slices.Equal(l.log, []string{"meanwhile 0"}) {
		t.Errorf("%q", l.log)
	}

	// Two share the name: one has the event in hand, longer than the ack wait, and the other gets neither it nor what lies behind it.
	l.log = nil
	one, another := l.follow(subscriber, options), l.follow(subscriber, options)
	l.message("slow")
	l.message("behind-it")
	l.eventually("both of them", func(log []string) bool { return slices.Contains(log, "behind-it 0") })
	one()
	another()
	if !slices.Equal(l.log, []string{"slow 0", "behind-it 0"}) {
		t.Errorf("%q", l.log)
	}

	// A consumer that is gone is made again, and begins at the start: the store drops what it has.
	again := options
	again.Store = allButLast{hookline.NewWindow(1)}
	stop = l.follow(subscriber, again)
	if _, err := connect(t, "operator").Request("$JS.API.CONSUMER.DELETE.INBOX_EVENTS.shop-a", nil, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	l.message("last")
	l.eventually("what came after it was made again", func(log []string) bool { return slices.Contains(log, "last 0") })
	stop()

	// The name is taken by a reader of something else: that is said, and nothing is read.
	other := options
	other.Account = "17841400000000002"
	if err := Follow(context.Background(), subscriber, other, l.handlers()); !errors.Is(err, hookline.ErrStopped) || !strings.Contains(err.Error(), "another name") {
		t.Error(err)
	}
	subscriber.Close()
	if err := Follow(context.Background(), subscriber, options, l.handlers()); !errors.Is(err, hookline.ErrStopped) {
		t.Error(err)
	}
}
