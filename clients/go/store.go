package hookline

import (
	"context"
	"sync"
)

// Store is what was handled already. Give one of your own, in the database that the handler writes to, to drop what comes twice across
// restarts: Add may then do nothing, where the handler has stored id and revision in the transaction of its effect.
type Store interface {
	Has(ctx context.Context, id string, revision int64) (bool, error)
	Add(ctx context.Context, id string, revision int64) error
	IsWithdrawn(ctx context.Context, id string) (bool, error)
	Withdraw(ctx context.Context, id string) error
}

type handled struct {
	id       string
	revision int64
}

// Window has the last events and withdrawals of this process, in memory.
type Window struct {
	mutex     sync.Mutex
	handled   bounded[handled]
	withdrawn bounded[string]
}

// NewWindow makes a window of the last size events, and as many withdrawals.
func NewWindow(size int) *Window {
	return &Window{handled: newBounded[handled](size), withdrawn: newBounded[string](size)}
}

func (w *Window) Has(_ context.Context, id string, revision int64) (bool, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.handled.has(handled{id, revision}), nil
}

func (w *Window) Add(_ context.Context, id string, revision int64) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.handled.add(handled{id, revision})
	return nil
}

func (w *Window) IsWithdrawn(_ context.Context, id string) (bool, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.withdrawn.has(id), nil
}

func (w *Window) Withdraw(_ context.Context, id string) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.withdrawn.add(id)
	return nil
}

// bounded is a set that forgets the oldest.
type bounded[K comparable] struct {
	keys map[K]struct{}
	ring []K
	next int
}

func newBounded[K comparable](size int) bounded[K] {
	return bounded[K]{keys: make(map[K]struct{}), ring: make([]K, 0, max(size, 1))}
}

func (b *bounded[K]) has(key K) bool {
	_, is := b.keys[key]
	return is
}

func (b *bounded[K]) add(key K) {
	if b.has(key) {
		return
	}
	b.keys[key] = struct{}{}
	if len(b.ring) < cap(b.ring) {
		b.ring = append(b.ring, key)
		return
	}
	delete(b.keys, b.ring[b.next])
	b.ring[b.next] = key
	b.next = (b.next + 1) % len(b.ring)
}
