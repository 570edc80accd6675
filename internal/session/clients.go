package session

import (
	"github.com/graphroom/graphroom/internal/fault"
)

// join registers a client and decides, in one turn, where its stream begins.
func (l *live) join(t *turn, cl Client, opt JoinOptions) (Joined, error) {
	if _, ok := l.clients[cl.Key]; ok {
		return Joined{}, fault.New(fault.Conflict, "this client has joined already")
	}
	if len(l.clients) >= l.m.cfg.MaxClients {
		return Joined{}, fault.New(fault.RateLimited, "the session holds at most %d clients", l.m.cfg.MaxClients)
	}
	// What is in the turn so far goes out first: the state shown to the joiner
	// must be durable, and its cursor must stand behind what the state holds.
	if err := t.flush(); err != nil {
		return Joined{}, err
	}
	l.clients[cl.Key] = cl
	l.joined = append(l.joined, cl.Key)
	l.clientCount.Store(int64(len(l.clients)))
	j := l.standing(t, opt)
	j.ClientCount = len(l.clients)
	j.Hello = l.clientItem(t, EventSessionConnected, cl, clientBody{Epoch: j.Epoch, Recovered: &j.Recovered})
	l.feed.push([]Item{j.Hello})
	j.Cursor = l.feed.Next()
	return j, nil
}

// standing decides how a client that says where it stood gets to where the
// stream is: by replay, by the state, or not at all.
func (l *live) standing(t *turn, opt JoinOptions) Joined {
	c := l.core
	j := Joined{Epoch: c.epoch, HeadSeq: c.head, ClientCount: len(l.clients), Cursor: l.feed.Next()}
	if opt.LastSeq != nil {
		last := *opt.LastSeq
		j.Recovered = opt.Epoch == c.epoch && last <= c.head && last+1 >= l.firstSeq
		j.Replay = j.Recovered && last < c.head
		j.ReplayAfter = last
	}
	if !j.Recovered && (opt.Snapshot || opt.LastSeq != nil) {
		j.State = l.state(t)
	}
	return j
}

// leave forgets a client and tells the others.
func (l *live) leave(t *turn, key, reason string) {
	cl, ok := l.clients[key]
	if !ok {
		return
	}
	delete(l.clients, key)
	l.clientCount.Store(int64(len(l.clients)))
	for i, k := range l.joined {
		if k == key {
			l.joined = append(l.joined[:i], l.joined[i+1:]...)
			break
		}
	}
	t.out = append(t.out, l.clientItem(t, EventSessionDisconnected, cl, clientBody{Reason: reason}))
}

func (l *live) clientItem(t *turn, name string, cl Client, body clientBody) Item {
	head := l.core.head
	body.ClientID, body.ClientCount, body.User = cl.ID, len(l.clients), &cl
	env := envelope{SessionID: l.id, Timestamp: timestamp(t.now), HeadSeq: &head}
	return Item{Head: head, Name: name, Payload: payload(env, body)}
}

// state is project:loaded of every open project as of now, the active one
// last, without a number of its own.
func (l *live) state(t *turn) []Item {
	c := l.core
	ids := make([]string, 0, len(c.order))
	for _, id := range c.order {
		if id != c.active {
			ids = append(ids, id)
		}
	}
	if c.active != "" {
		ids = append(ids, c.active)
	}
	items := make([]Item, 0, len(ids))
	for _, id := range ids {
		p := c.projects[id]
		env := envelope{SessionID: l.id, ProjectID: id, Timestamp: timestamp(t.now), HeadSeq: &c.head}
		items = append(items, Item{Head: c.head, ProjectID: id, Name: EventProjectLoaded, Payload: payload(env, loadedBody{
			TemplateID: p.templateID, Name: p.name, Revision: p.revision, Graph: p.graph.AppendJSON(nil, id),
		})})
	}
	return items
}

// deleteSession removes the session for good and tells every client why it
// ends. What the turn had before it is answered first.
func (t *turn) deleteSession() error {
	l := t.l
	if err := t.flush(); err != nil {
		return err
	}
	if err := l.m.cfg.Journal.Delete(l.ctx, l.id); err != nil {
		return err
	}
	for len(l.joined) > 0 {
		l.leave(t, l.joined[0], ReasonSessionDeleted)
	}
	l.deleted = true
	return nil
}
