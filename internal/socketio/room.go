package socketio

import (
	"github.com/graphroom/graphroom/internal/engineio"
)

// Room is a name that sockets of any namespace join. It exists as long as it
// is named: an empty one holds nothing.
type Room struct {
	srv  *Server
	name string
}

// Room returns the room of that name.
func (s *Server) Room(name string) *Room { return &Room{srv: s, name: name} }

// Name returns the room's name.
func (r *Room) Name() string { return r.name }

func (r *Room) group() *engineio.Group {
	r.srv.roomsMu.RLock()
	defer r.srv.roomsMu.RUnlock()
	return r.srv.rooms[r.name]
}

// Add lets a socket receive what is broadcast from now on. A socket that is
// there already, or not connected, changes nothing.
func (r *Room) Add(s *Socket) {
	if !s.isConnected() {
		return
	}
	srv := r.srv
	srv.roomsMu.Lock()
	defer srv.roomsMu.Unlock()
	g := srv.rooms[r.name]
	if g == nil {
		g = srv.engine.NewGroup(r.name)
		srv.rooms[r.name] = g
	}
	if !g.Add(s.sub) && g.Len() == 0 {
		delete(srv.rooms, r.name)
	}
}

// Remove lets a socket receive nothing that is broadcast from now on.
func (r *Room) Remove(s *Socket) {
	if g := r.group(); g != nil && g.Remove(s.sub) {
		r.srv.leave([]*engineio.Group{g})
	}
}

// Broadcast queues m for every socket in the room and returns how many there
// are. It does not wait for any client; a publisher that is faster than the
// machine waits for the machine. It must not be called with a lock held that a
// handler's Disconnect needs.
func (r *Room) Broadcast(m *Message) int {
	g := r.group()
	if g == nil {
		return 0
	}
	return g.Broadcast(roomMessage{m, r.srv})
}

// Len returns how many sockets are in the room.
func (r *Room) Len() int {
	if g := r.group(); g != nil {
		return g.Len()
	}
	return 0
}

// Sockets returns the sockets that are in the room now.
func (r *Room) Sockets() []*Socket {
	g := r.group()
	if g == nil {
		return nil
	}
	subs := g.Subscribers()
	out := make([]*Socket, 0, len(subs))
	for _, sub := range subs {
		out = append(out, sub.Data().(*Socket))
	}
	return out
}

// leave forgets rooms that are empty.
func (s *Server) leave(groups []*engineio.Group) {
	if len(groups) == 0 {
		return
	}
	s.roomsMu.Lock()
	defer s.roomsMu.Unlock()
	for _, g := range groups {
		if g.Len() == 0 && s.rooms[g.Name()] == g {
			delete(s.rooms, g.Name())
		}
	}
}
