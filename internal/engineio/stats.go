package engineio

import (
	"sync"
	"sync/atomic"
)

// Stats is a snapshot of a server's counters. Gauges say what is now, the
// others count since the start.
type Stats struct {
	Polling     int   // gauge: open conns on polling
	WebSocket   int   // gauge: open conns on WebSocket
	Closing     int   // gauge: conns whose orderly close is under way
	QueuedBytes int64 // gauge: unsent bytes of all conns

	Handshakes uint64            // conns that were opened
	Refused    uint64            // handshakes refused by a limit
	Upgrades   uint64            // conns that went from polling to WebSocket
	Closed     map[string]uint64 // conns that ended, by reason
	Lagging    uint64            // times that a conn's queue reached its bound

	MessagesIn uint64 // messages read
	BytesIn    uint64 // their bytes
	Deliveries uint64 // broadcast messages queued or written, one per receiver
	Writes     uint64 // write system calls on WebSockets
	Flushes    uint64 // rounds of the lanes
}

type counters struct {
	handshakes, refused, upgrades, lagging atomic.Uint64
	messagesIn, bytesIn                    atomic.Uint64
	deliveries, writes, flushes            atomic.Uint64

	mu     sync.Mutex
	closed map[string]uint64
}

func (s *counters) countClosed(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed == nil {
		s.closed = make(map[string]uint64)
	}
	if _, known := s.closed[reason]; !known && len(s.closed) >= 64 {
		reason = "other" // reasons are the owner's words: keep them bounded
	}
	s.closed[reason]++
}

// Stats takes a snapshot. It visits every conn.
func (s *Server) Stats() Stats {
	out := Stats{
		Handshakes: s.stats.handshakes.Load(),
		Refused:    s.stats.refused.Load(),
		Upgrades:   s.stats.upgrades.Load(),
		Lagging:    s.stats.lagging.Load(),
		MessagesIn: s.stats.messagesIn.Load(),
		BytesIn:    s.stats.bytesIn.Load(),
		Deliveries: s.stats.deliveries.Load(),
		Writes:     s.stats.writes.Load(),
		Flushes:    s.stats.flushes.Load(),
		Closed:     make(map[string]uint64),
	}
	s.stats.mu.Lock()
	for reason, n := range s.stats.closed {
		out.Closed[reason] = n
	}
	s.stats.mu.Unlock()
	for _, c := range s.snapshot() {
		c.mu.Lock()
		switch {
		case c.state != stateOpen:
			out.Closing++
		case c.ws != nil:
			out.WebSocket++
		default:
			out.Polling++
		}
		out.QueuedBytes += int64(c.q.bytes)
		c.mu.Unlock()
	}
	return out
}
