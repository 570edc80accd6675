package server

import (
	"context"

	"github.com/graphroom/graphroom/internal/session"
)

// syncPage is the most events in one answer to session:sync.
const syncPage = 1000

// syncBody is what session:sync carries: where the client stands.
type syncBody struct {
	SessionID string  `json:"session_id,omitempty"`
	Epoch     string  `json:"epoch,omitempty"`
	LastSeq   *uint64 `json:"last_seq,omitempty"`
	Snapshot  bool    `json:"snapshot,omitempty"`
}

// ackSync answers session:sync: where the session stands, and what the client
// lacks. The events come as pages; the state where they are not kept. It leaves
// the stream of the socket alone: what is in both has the same seq.
type ackSync struct {
	OK          bool           `json:"ok"`
	SessionID   string         `json:"session_id"`
	Epoch       string         `json:"epoch"`
	HeadSeq     uint64         `json:"head_seq"`
	ClientCount int            `json:"client_count"`
	Recovered   bool           `json:"recovered"`
	Events      []session.Item `json:"events,omitempty"`
	More        bool           `json:"more,omitempty"` // ask again with the last event's seq
	State       []session.Item `json:"state,omitempty"`
}

// sync compares where the client says that it stands with the session.
func (p *peer) sync(ctx context.Context, b *syncBody) (*ackSync, error) {
	j, err := p.b.sess.Sync(ctx, session.JoinOptions{Epoch: b.Epoch, LastSeq: b.LastSeq, Snapshot: b.Snapshot})
	if err != nil {
		return nil, err
	}
	out := &ackSync{
		OK: true, SessionID: p.b.sess.ID(), Epoch: j.Epoch, HeadSeq: j.HeadSeq, ClientCount: j.ClientCount,
		Recovered: j.Recovered, State: j.State,
	}
	if !j.Replay {
		return out, nil
	}
	if out.Events, err = p.b.sess.Events(ctx, j.ReplayAfter, syncPage); err != nil {
		return nil, err
	}
	if n := len(out.Events); n > 0 {
		out.More = out.Events[n-1].Seq < j.HeadSeq
	}
	return out, nil
}
