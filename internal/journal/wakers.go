package journal

import "sync"

// Wakers is the Watch of an in-process driver: it wakes the watchers of a
// session after the driver made a change durable. The zero value is ready. It
// is safe for concurrent use, never blocks, and holds memory only for watched
// sessions.
type Wakers struct {
	mu       sync.Mutex
	watchers map[string]map[chan struct{}]struct{}
}

// Watch implements Journal.Watch.
func (w *Wakers) Watch(session string) (wake <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watchers == nil {
		w.watchers = make(map[string]map[chan struct{}]struct{})
	}
	set := w.watchers[session]
	if set == nil {
		set = make(map[chan struct{}]struct{})
		w.watchers[session] = set
	}
	set[ch] = struct{}{}
	return ch, func() { w.stop(session, ch) }
}

// Wake wakes every watcher of the session.
func (w *Wakers) Wake(session string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.watchers[session] {
		select {
		case ch <- struct{}{}:
		default: // it has a wake that it did not take yet
		}
	}
}

func (w *Wakers) stop(session string, ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	set := w.watchers[session]
	delete(set, ch)
	if len(set) == 0 {
		delete(w.watchers, session)
	}
}
