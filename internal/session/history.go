package session

import (
	"container/list"
	"fmt"

	"github.com/graphroom/graphroom/internal/graph"
)

// hist is one undoable command. changes are those that were last applied for
// it: by the command, by its undo, or by its redo. Turning it the other way is
// always the guarded inverse of them.
type hist struct {
	ref      uint64 // first seq of the command's entry; names it within the project
	id       string // command id; of the newest command when several joined
	actor    string
	typ      string
	label    string
	time     int64
	coalesce string
	changes  []graph.Change

	undoneBy    string // actor of the undo, while undone
	undoneScope string

	at, atActor *list.Element // places in the two lists it stands in
}

// history is the undo and redo stacks of one project. Done entries stand in
// the order they were last done, undone ones in the order they were undone; an
// actor's own are also listed apart, so that its last one is found at once.
type history struct {
	limit    int // done entries kept for each actor
	done     *list.List
	undone   *list.List
	byActor  map[string]*list.List // done, by the command's actor
	byUndoer map[string]*list.List // undone, by who undid
	byRef    map[uint64]*hist
}

func newHistory(limit int) *history {
	return &history{
		limit: limit, done: list.New(), undone: list.New(),
		byActor: map[string]*list.List{}, byUndoer: map[string]*list.List{}, byRef: map[uint64]*hist{},
	}
}

func last(l *list.List) *hist {
	if l == nil || l.Len() == 0 {
		return nil
	}
	h, _ := l.Back().Value.(*hist)
	return h
}

// before is the entry that stands before h in l, the next candidate when h
// turns out to have nothing left to turn.
func before(el *list.Element) *hist {
	if el == nil || el.Prev() == nil {
		return nil
	}
	h, _ := el.Prev().Value.(*hist)
	return h
}

func (h *history) candidate(undo bool, scope, actor string) *hist {
	switch {
	case undo && scope == ScopeActor:
		return last(h.byActor[actor])
	case undo:
		return last(h.done)
	case scope == ScopeActor:
		return last(h.byUndoer[actor])
	default:
		return last(h.undone)
	}
}

func (h *history) nextCandidate(scope string, e *hist) *hist {
	if scope == ScopeActor {
		return before(e.atActor)
	}
	return before(e.at)
}

func push(l *list.List, index map[string]*list.List, key string, e *hist) {
	e.at = l.PushBack(e)
	own := index[key]
	if own == nil {
		own = list.New()
		index[key] = own
	}
	e.atActor = own.PushBack(e)
}

func take(l *list.List, index map[string]*list.List, key string, e *hist) {
	l.Remove(e.at)
	own := index[key]
	own.Remove(e.atActor)
	if own.Len() == 0 {
		delete(index, key)
	}
	e.at, e.atActor = nil, nil
}

func (h *history) isUndone(e *hist) bool { return e.undoneScope != "" }

func (h *history) pushDone(e *hist) {
	e.undoneBy, e.undoneScope = "", ""
	push(h.done, h.byActor, e.actor, e)
	h.byRef[e.ref] = e
	if own := h.byActor[e.actor]; own.Len() > h.limit {
		oldest, _ := own.Front().Value.(*hist)
		h.drop(oldest)
	}
}

func (h *history) pushUndone(e *hist, scope, by string) {
	e.undoneBy, e.undoneScope = by, scope
	push(h.undone, h.byUndoer, by, e)
	h.byRef[e.ref] = e
}

func (h *history) takeOut(e *hist) {
	if h.isUndone(e) {
		take(h.undone, h.byUndoer, e.undoneBy, e)
	} else {
		take(h.done, h.byActor, e.actor, e)
	}
	delete(h.byRef, e.ref)
}

func (h *history) drop(e *hist) { h.takeOut(e) }

// dropRedo forgets what a new command of actor makes unreachable: what this
// actor undid, and what anyone undid in session scope.
func (h *history) dropRedo(actor string) {
	var next *list.Element
	for el := h.undone.Front(); el != nil; el = next {
		next = el.Next()
		if e, ok := el.Value.(*hist); ok && (e.undoneBy == actor || e.undoneScope == ScopeSession) {
			h.drop(e)
		}
	}
}

// joins reports whether a command of actor with that coalescing key may join
// the newest entry: the same actor's, the same key, and nobody came between.
func (h *history) joins(actor, key string) *hist {
	e := last(h.done)
	if key == "" || e == nil || e.coalesce != key || e.actor != actor {
		return nil
	}
	return e
}

// apply moves the stacks as entry e says. It is part of core.apply: the same
// on the live path and in recovery. What a step names may have left the stack
// already, when the journal is read with a shorter history than it was written
// with; the error is for an entry that contradicts itself.
func (h *history) apply(e *entry) error {
	switch e.Kind {
	case kindCommand:
		if len(e.Changes) > 0 {
			h.dropRedo(e.Actor)
			h.add(e)
		}
	case kindUndo, kindRedo:
		changes := e.Changes
		for _, s := range e.Steps {
			if s.Count < 0 || s.Count > len(changes) {
				return fmt.Errorf("a step of %d changes where %d are left", s.Count, len(changes))
			}
			mine := changes[:s.Count:s.Count]
			changes = changes[s.Count:]
			if t := h.byRef[s.Ref]; t != nil {
				h.turn(e, t, mine)
			}
		}
	}
	return nil
}

// add puts a command on the stack, or joins it to the newest one.
func (h *history) add(e *entry) {
	if joined := last(h.done); e.Joined && joined != nil {
		delete(h.byRef, joined.ref)
		joined.changes = graph.Merge(joined.changes, e.Changes)
		joined.ref, joined.id, joined.time = e.First, e.CommandID, e.Time
		h.byRef[joined.ref] = joined
		return
	}
	h.pushDone(&hist{
		ref: e.First, id: e.CommandID, actor: e.Actor, typ: e.CommandType, label: e.Label,
		time: e.Time, coalesce: e.Coalesce, changes: e.Changes,
	})
}

// turn moves t to the other stack with the changes that turned it, or drops it
// when there are none.
func (h *history) turn(e *entry, t *hist, changes []graph.Change) {
	h.takeOut(t)
	if len(changes) == 0 {
		return
	}
	t.changes = changes
	t.coalesce = "" // a turned entry is closed: nothing joins it any more
	if e.Kind == kindUndo {
		h.pushUndone(t, e.Scope, e.Actor)
	} else {
		h.pushDone(t)
	}
}
