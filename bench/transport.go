package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/graphroom/graphroom/bench/load"
)

// transport is one scenario of the transport bench: so many clients in one
// room, and a drive that makes events.
type transport struct {
	name    string
	about   string
	clients int
	stalled int // of clients, those that never read
	pad     int // bytes added to an event of about 380
	drive   func(context.Context, *rig, time.Duration) error
	full    time.Duration // how long the drive lasts
	quick   time.Duration
}

// sample is what one run of one scenario on one peer gave.
type sample struct {
	Scenario   string  `json:"scenario"`
	Peer       string  `json:"peer"`
	Round      int     `json:"round"`
	Clients    int     `json:"clients"`
	Stalled    int     `json:"stalled,omitempty"`
	Lost       int     `json:"connects_lost"`
	Emitted    uint64  `json:"emitted"`
	Deliveries uint64  `json:"deliveries"`
	Seconds    float64 `json:"seconds"`
	CPU        float64 `json:"server_cpu_seconds"`
	ClientCPU  float64 `json:"client_cpu_seconds"`
	PerMillion float64 `json:"cpu_seconds_per_million"`
	Rate       float64 `json:"deliveries_per_second"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	BaseRSS    int64   `json:"rss_before_clients"`
	RSS        int64   `json:"rss_with_clients"`
	PeakRSS    int64   `json:"rss_peak"`
	PerConn    float64 `json:"rss_per_connection"`
	Disordered uint64  `json:"out_of_order"`
	Closed     int     `json:"closed_by_server"`
	Problem    string  `json:"problem,omitempty"`
}

// rig is a running server with its clients.
type rig struct {
	server *process
	pool   *load.Pool
	clock  load.Clock
	index  []int // of the reading connections in the pool
}

func transportScenarios() []transport {
	return []transport{
		{name: "saturate-100", about: "as fast as 100 clients take it", clients: 100, drive: saturate(1024), full: 5 * time.Second, quick: time.Second},
		{name: "saturate-1000", about: "as fast as 1000 clients take it", clients: 1000, drive: saturate(256), full: 5 * time.Second, quick: time.Second},
		{name: "paced-100", about: "1000 events/s to 100 clients", clients: 100, drive: paced(1000), full: 10 * time.Second, quick: 2 * time.Second},
		{name: "callers-250", about: "250 clients each cause 5 events/s to all", clients: 250, drive: callers(5), full: 5 * time.Second, quick: time.Second},
		{name: "readers-100", about: "1000 events/s of 1 KiB to 100 clients", clients: 100, pad: 640, drive: paced(1000), full: 10 * time.Second, quick: 4 * time.Second},
		{name: "stalled-110", about: "the same, and 10 more that never read", clients: 110, stalled: 10, pad: 640, drive: paced(1000), full: 10 * time.Second, quick: 4 * time.Second},
		{name: "idle-5000", about: "5000 clients and no event", clients: 5000, drive: idle, full: 2 * time.Second, quick: time.Second},
	}
}

// run measures a scenario once on a fresh server of the peer. What goes wrong
// in the measurement itself stands in the sample's Problem.
func (s transport) run(ctx context.Context, p peer, round int, quick bool) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	out := sample{Scenario: s.name, Peer: p.name, Round: round, Clients: s.clients, Stalled: s.stalled}
	server, err := p.start(ctx)
	if err != nil {
		return out, err
	}
	defer server.Stop()
	clock, err := load.NewClock()
	if err != nil {
		return out, err
	}
	pool, err := load.NewPool(clock, load.StampKey)
	if err != nil {
		return out, err
	}
	defer pool.Close()
	r := &rig{server: server, pool: pool, clock: clock}
	if _, err := server.ask(ctx, time.Minute, "gc"); err != nil {
		return out, err
	}
	if out.BaseRSS, _, err = server.memory(); err != nil {
		return out, err
	}
	if out.Lost, err = r.connect(ctx, s); err != nil {
		return out, err
	}
	if err := server.tell("pad %d", s.pad); err != nil {
		return out, err
	}
	if err := r.warm(ctx); err != nil {
		return out, err
	}
	length := s.full
	if quick {
		length = s.quick
	}
	err = r.measure(ctx, s, length, &out)
	return out, err
}

// warm sends a few events through before anything is measured.
func (r *rig) warm(ctx context.Context) error {
	if _, err := r.server.ask(ctx, time.Minute, "paced 200 0.5"); err != nil {
		return err
	}
	return r.settle(ctx, 10*time.Second)
}

// settle waits until every reading client has all that was emitted.
func (r *rig) settle(ctx context.Context, wait time.Duration) error {
	done, err := r.server.ask(ctx, time.Minute, "stats")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return r.pool.AwaitAll(ctx, done.Emitted)
}

func (r *rig) measure(ctx context.Context, s transport, length time.Duration, out *sample) error {
	before, err := r.server.ask(ctx, time.Minute, "stats")
	if err != nil {
		return err
	}
	cpu, err := r.server.cpu()
	if err != nil {
		return err
	}
	self, err := cpuOf(os.Getpid())
	if err != nil {
		return err
	}
	r.pool.Reset()
	start := time.Now()
	if err := s.drive(ctx, r, length); err != nil {
		out.Problem = err.Error()
	} else if err := r.settle(ctx, 20*time.Second); err != nil {
		out.Problem = err.Error()
	}
	out.Seconds = time.Since(start).Seconds()
	cpuAfter, err := r.server.cpu()
	if err != nil {
		return err
	}
	selfAfter, err := cpuOf(os.Getpid())
	if err != nil {
		return err
	}
	after, err := r.server.ask(ctx, time.Minute, "stats")
	if err != nil {
		return err
	}
	out.CPU, out.ClientCPU, out.Emitted = cpuAfter-cpu, selfAfter-self, after.Emitted-before.Emitted
	return r.finish(ctx, s, out)
}

// finish turns the counts into a sample's figures, then looks at memory.
func (r *rig) finish(ctx context.Context, s transport, out *sample) error {
	stats := r.pool.Stats()
	out.Deliveries, out.Disordered, out.Closed = stats.Deliveries, stats.Disordered, stats.Closed
	if out.Deliveries > 0 {
		out.PerMillion = out.CPU / float64(out.Deliveries) * 1e6
		out.Rate = float64(out.Deliveries) / out.Seconds
	}
	out.P50 = float64(stats.Latency.Quantile(0.5)) / float64(time.Millisecond)
	out.P99 = float64(stats.Latency.Quantile(0.99)) / float64(time.Millisecond)
	if out.Problem == "" && stats.Unreadable > 0 {
		out.Problem = fmt.Sprintf("%d unreadable frames", stats.Unreadable)
	}
	if _, err := r.server.ask(ctx, time.Minute, "gc"); err != nil {
		return err
	}
	var err error
	out.RSS, out.PeakRSS, err = r.server.memory()
	out.PerConn = math.Max(0, float64(out.RSS-out.BaseRSS)/float64(s.clients))
	return err
}

// connect dials all clients, 64 at a time. A CONNECT that was never answered
// counts as lost; any other failure ends the run.
func (r *rig) connect(ctx context.Context, s transport) (lost int, err error) {
	type dialed struct {
		conn   *load.Conn
		stalls bool
		err    error
	}
	results := make(chan dialed)
	jobs := make(chan bool)
	var workers sync.WaitGroup
	for range 64 {
		workers.Go(func() {
			for stalls := range jobs {
				o := load.Options{Address: r.server.address(), Namespace: "/graph", Auth: map[string]string{"session_id": "bench"}}
				if stalls {
					o.ReadBuffer = 4096
				}
				ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
				conn, err := load.Dial(ctx, o)
				cancel()
				results <- dialed{conn, stalls, err}
			}
		})
	}
	go func() {
		for i := range s.clients {
			jobs <- s.stalled > 0 && i%(s.clients/s.stalled) == 0
		}
		close(jobs)
		workers.Wait()
		close(results)
	}()
	for d := range results {
		switch {
		case errors.Is(d.err, load.ErrConnectLost):
			lost++
		case d.err != nil:
			err = d.err
		default:
			index, addErr := r.pool.Add(d.conn, d.stalls)
			if addErr != nil {
				err = addErr
			}
			if !d.stalls {
				r.index = append(r.index, index)
			}
		}
	}
	return lost, err
}

// saturate has the server make events as fast as the slowest client takes
// them: at most window of them are on their way, and more are granted when
// that client has half of them.
func saturate(window uint64) func(context.Context, *rig, time.Duration) error {
	return func(ctx context.Context, r *rig, length time.Duration) error {
		end := time.Now().Add(length)
		total := r.pool.Fewest() + window
		for {
			if err := r.server.tell("grant %d", total); err != nil {
				return err
			}
			want, last := total-window/2, time.Now().After(end)
			if last {
				want = total
			}
			wait, cancel := context.WithTimeout(ctx, time.Minute)
			err := r.pool.AwaitAll(wait, want)
			cancel()
			if err != nil || last {
				return err
			}
			total += window / 2
		}
	}
}

// paced has the server make events at a steady rate.
func paced(rate int) func(context.Context, *rig, time.Duration) error {
	return func(ctx context.Context, r *rig, length time.Duration) error {
		_, err := r.server.ask(ctx, length+time.Minute, "paced %d %g", rate, length.Seconds())
		return err
	}
}

// callers has every client cause events at a steady rate, evenly spread.
func callers(rate int) func(context.Context, *rig, time.Duration) error {
	return func(ctx context.Context, r *rig, length time.Duration) error {
		first, start := r.pool.Fewest(), time.Now()
		pad := strings.Repeat("x", 300)
		total := uint64(length.Seconds() * float64(rate*len(r.index)))
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for sent := uint64(0); sent < total; {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			due := min(total, uint64(time.Since(start).Seconds()*float64(rate*len(r.index))))
			for ; sent < due; sent++ {
				payload := fmt.Sprintf(`{"t":%d,"n":0,"session_id":"bench","new_value":"%s"}`, r.clock.Now(), pad)
				if err := r.pool.Publish(r.index[sent%uint64(len(r.index))], "publish", payload); err != nil {
					return err
				}
			}
		}
		wait, cancel := context.WithTimeout(ctx, 3*length)
		defer cancel()
		return r.pool.AwaitAll(wait, first+total)
	}
}

// idle only lets time pass, so that what connecting left behind can go.
func idle(ctx context.Context, _ *rig, length time.Duration) error {
	select {
	case <-time.After(length):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
