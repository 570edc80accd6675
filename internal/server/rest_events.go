package server

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/session"
)

type eventPage struct {
	SessionID string         `json:"session_id"`
	Epoch     string         `json:"epoch"`
	HeadSeq   uint64         `json:"head_seq"`
	Events    []session.Item `json:"events" doc:"{event, seq, data} in the order of seq"`
	Next      uint64         `json:"next" doc:"Pass as after to go on"`
	More      bool           `json:"more" doc:"There is more right now"`
}

type eventParams struct {
	PathSession
	After       uint64 `query:"after" doc:"Events with a greater seq"`
	Epoch       string `query:"epoch" doc:"The history that after belongs to; default: the session's own"`
	Limit       int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most events in the answer; not for a stream"`
	Snapshot    bool   `query:"snapshot" doc:"Stream only, without after: project:loaded of every open project first"`
	LastEventID string `header:"Last-Event-ID" doc:"Stream only: the id of the last event seen, in place of after and epoch"`

	placed bool // after was given
	stream bool
}

// Resolve implements huma.Resolver: it learns what the tags cannot say.
func (p *eventParams) Resolve(ctx huma.Context) []error {
	p.placed = ctx.Query("after") != ""
	_, w := humago.Unwrap(ctx)
	w.Header().Add("Vary", "Accept")
	p.stream = wantsStream(ctx.Header("Accept"))
	return nil
}

// streamed is an answer that writes itself.
type streamed struct{ Body func(huma.Context) }

func (a *api) registerEvents() {
	const id = "session-events"
	register(a, route{
		method: http.MethodGet, path: "/sessions/{id}/events", id: id, tag: "sessions", reply: eventPage{},
		summary: "Read the numbered events after a seq, in pages or as a stream",
		description: "With Accept: text/event-stream the answer is a stream of server-sent events that goes on: what was missed after Last-Event-ID " +
			"(or after), or where that is not kept the state (project:loaded), then every event as it happens. Numbered events have an id. " +
			"Otherwise one JSON page of what was missed: CONFLICT when the events after that seq are no longer kept.",
	}, func(ctx context.Context, p *eventParams) (*streamed, error) {
		sess, err := a.s.cfg.Sessions.Get(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		if p.stream {
			opt, err := p.joinOptions(ctx, sess)
			return &streamed{func(hc huma.Context) {
				r, w := humago.Unwrap(hc)
				a.s.stream(w, r, sess, opt)
			}}, err
		}
		page, err := p.page(ctx, sess)
		if err != nil {
			return nil, err
		}
		return &streamed{func(hc huma.Context) {
			_, w := humago.Unwrap(hc)
			w.Header().Set("Content-Type", "application/json")
			enc := json.NewEncoder(w)
			enc.SetEscapeHTML(false)
			_ = enc.Encode(page) // the client is gone
		}}, nil
	})
	a.huma.OpenAPI().Paths[apiPrefix+"/sessions/{id}/events"].Get.Responses["200"].Content[eventStream] =
		&huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Description: "Server-sent events: id (epoch.seq, of numbered events), event, data (the payload)"}}
}

// page reads one page of what was missed.
func (p *eventParams) page(ctx context.Context, sess *session.Session) (*eventPage, error) {
	info, err := sess.Info(ctx)
	if err != nil {
		return nil, err
	}
	if p.After > info.Seq {
		return nil, fault.New(fault.Conflict, "seq %d is past the head %d: this is not the history you know", p.After, info.Seq)
	}
	if p.Epoch != "" && p.Epoch != info.Epoch {
		return nil, fault.New(fault.Conflict, "the session's epoch is %s: this is not the history you know", info.Epoch)
	}
	items, err := sess.Events(ctx, p.After, p.Limit)
	if err != nil {
		return nil, err
	}
	page := &eventPage{SessionID: p.ID, Epoch: info.Epoch, HeadSeq: info.Seq, Events: items, Next: p.After}
	if page.Events == nil {
		page.Events = []session.Item{}
	}
	if n := len(items); n > 0 {
		page.Next = items[n-1].Seq
		page.HeadSeq = max(page.HeadSeq, page.Next)
		page.More = page.Next < page.HeadSeq
	}
	return page, nil
}

// joinOptions say where a stream begins: behind Last-Event-ID, which a client
// that comes back sends beside the query of its first request, else behind
// after, else at what happens from now on.
func (p *eventParams) joinOptions(ctx context.Context, sess *session.Session) (session.JoinOptions, error) {
	opt := session.JoinOptions{Snapshot: p.Snapshot}
	switch {
	case p.LastEventID != "":
		epoch, seq := parseEventID(p.LastEventID)
		opt.Epoch, opt.LastSeq = epoch, &seq
	case p.placed:
		opt.Epoch, opt.LastSeq = p.Epoch, &p.After
		if p.Epoch == "" {
			info, err := sess.Info(ctx)
			if err != nil {
				return opt, err
			}
			opt.Epoch = info.Epoch
		}
	}
	return opt, nil
}
