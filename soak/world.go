package main

import (
	"context"
	"sync"
)

// mode is what the clients may do now.
type mode int

const (
	modeDown  mode = iota // the server is being killed or started
	modeQuiet             // it runs; nobody writes
	modeLoad              // writers work
	modeDrain             // writers find out about what is open and end
	modeEnd               // everybody ends
)

func (m mode) up() bool { return m == modeQuiet || m == modeLoad || m == modeDrain }

// world is what all goroutines share: the mode, and how far the round is. It
// is safe for concurrent use.
type world struct {
	mu      sync.Mutex
	mode    mode
	changed chan struct{}
	acks    int
	target  int
	reached chan struct{} // closed when acks >= target
}

func newWorld() *world {
	return &world{changed: make(chan struct{}), reached: make(chan struct{})}
}

func (w *world) set(m mode) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mode = m
	close(w.changed)
	w.changed = make(chan struct{})
}

// load lets the writers work and returns a channel that is closed when that
// many commands have been acknowledged.
func (w *world) load(target int) <-chan struct{} {
	w.mu.Lock()
	w.acks, w.target, w.reached = 0, target, make(chan struct{})
	ch := w.reached
	w.mu.Unlock()
	w.set(modeLoad)
	return ch
}

func (w *world) acked() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acks++
	if w.acks == w.target {
		close(w.reached)
	}
}

func (w *world) now() (mode, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mode, w.changed
}

// await blocks until ok says so of the mode.
func (w *world) await(ctx context.Context, ok func(mode) bool) (mode, error) {
	for {
		m, changed := w.now()
		if ok(m) {
			return m, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return m, ctx.Err()
		}
	}
}
