package socketio

import (
	"context"
)

// Call emits an event and waits for the client's acknowledgement. It fails
// with ErrClosed, ErrQueueFull, or the context's error: give it a deadline, for
// a client need not answer.
func (s *Socket) Call(ctx context.Context, name string, args ...any) (Reply, error) {
	replies := make(chan Reply, 1)
	id, err := s.ask(replies, name, args)
	if err != nil {
		return Reply{}, err
	}
	select {
	case r, ok := <-replies:
		if !ok {
			return Reply{}, ErrClosed
		}
		return r, nil
	case <-ctx.Done():
		s.forgetAck(id)
		return Reply{}, ctx.Err()
	}
}

// ask emits an event whose acknowledgement goes to replies, which is closed
// when the socket ends first. The channel must have room for it.
func (s *Socket) ask(replies chan<- Reply, name string, args []any) (uint64, error) {
	body, attachments, err := encodeArgs(&name, args)
	if err != nil {
		return 0, err
	}
	id := s.client.srv.nextAck.Add(1)
	s.mu.Lock()
	if s.state != socketConnected {
		s.mu.Unlock()
		return 0, ErrClosed
	}
	if s.acks == nil {
		s.acks = make(map[uint64]chan<- Reply)
	}
	s.acks[id] = replies
	s.mu.Unlock()
	p := Packet{Type: PacketEvent, Namespace: s.ns.name, ID: id, HasID: true, Data: body}
	if err := s.client.conn.Send(dataFrames(p, attachments)); err != nil {
		s.forgetAck(id)
		return 0, err
	}
	return id, nil
}

func (s *Socket) forgetAck(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.acks, id)
}

// acknowledged hands an acknowledgement to who waits for it. One that nobody
// waits for is ignored: it may be late.
func (s *Socket) acknowledged(p *Packet, attachments [][]byte) {
	s.mu.Lock()
	replies := s.acks[p.ID]
	delete(s.acks, p.ID)
	s.mu.Unlock()
	if replies != nil {
		replies <- Reply{Socket: s, Args: splitArray(p.Data), attachments: attachments}
	}
}

// Call emits an event to every socket that is in the room now and returns
// their acknowledgements, in the order in which they came, until all have
// answered or ended, or ctx ends: then the error is the context's and the
// answers so far are returned. It does not go through the room's queue: what
// was broadcast before comes first all the same.
func (r *Room) Call(ctx context.Context, name string, args ...any) ([]Reply, error) {
	sockets := r.Sockets()
	answers := make(chan Reply, len(sockets))
	waiting := 0
	for _, s := range sockets {
		one := make(chan Reply, 1)
		id, err := s.ask(one, name, args)
		if err != nil {
			continue
		}
		waiting++
		r.srv.goroutine(func() {
			select {
			case reply := <-one: // the zero Reply when the socket ended
				answers <- reply
			case <-ctx.Done():
				s.forgetAck(id)
			}
		})
	}
	var got []Reply
	for ; waiting > 0; waiting-- {
		select {
		case reply := <-answers:
			if reply.Socket != nil {
				got = append(got, reply)
			}
		case <-ctx.Done():
			return got, ctx.Err()
		}
	}
	return got, nil
}
