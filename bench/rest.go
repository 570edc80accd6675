package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/graphroom/graphroom/bench/load"
)

// The goals of REST beside the socket layer.
const (
	overheadGoal = 1.05                   // median with the socket layer over that without it
	reachGoal    = 100 * time.Millisecond // REST command to event at the client, p99
	reachRate    = 1000                   // commands/s offered
	eventsGoal   = 1000                   // events/s delivered
)

// variant is one way to run the program while commands are timed.
type variant struct {
	name    string
	clients int
	args    []string
	judged  bool
}

func restVariants() []variant {
	return []variant{
		{name: "off", args: []string{"--realtime=false"}},
		{name: "0 clients", judged: true},
		{name: "1 client", clients: 1, judged: true},
		{name: "100 clients", clients: 100},
	}
}

// restSample is how long commands took in one variant in one round.
type restSample struct {
	Variant string  `json:"variant"`
	Round   int     `json:"round"`
	Count   uint64  `json:"commands"`
	Median  float64 `json:"median_us"`
	P99     float64 `json:"p99_us"`
}

// benchREST times commands one after the other, the variants taking turns from
// one command to the next in random order: whatever else the machine does, it
// does to all of them.
func benchREST(ctx context.Context, o options, binary, dir string, r *report) error {
	clock, err := load.NewClock()
	if err != nil {
		return err
	}
	count := 5000
	if o.quick {
		count = 500
	}
	for round := range o.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d: rest\n", round+1, o.rounds)
		samples, err := restRound(ctx, clock, binary, dir, count)
		if err != nil {
			return err
		}
		for i := range samples {
			samples[i].Round = round
		}
		r.REST = append(r.REST, samples...)
	}
	off := median(variantOf(r.REST, "off"), restMedian)
	for _, v := range restVariants() {
		if v.judged {
			on := median(variantOf(r.REST, v.name), restMedian)
			r.Verdicts = append(r.Verdicts, judge(on <= off*overheadGoal, fmt.Sprintf("%.0f us against %.0f us, %+.1f %%", on, off, (on/off-1)*100),
				"rest: a command with the socket layer and %s at most 5 %% slower than without it (median)", v.name))
		}
	}
	return nil
}

func restMedian(s restSample) float64 { return s.Median }

func variantOf(samples []restSample, name string) []restSample {
	var out []restSample
	for _, s := range samples {
		if s.Variant == name {
			out = append(out, s)
		}
	}
	return out
}

func restRound(ctx context.Context, clock load.Clock, binary, dir string, count int) ([]restSample, error) {
	variants := restVariants()
	programs := make([]*program, len(variants))
	times := make([]load.Histogram, len(variants))
	for i, v := range variants {
		p, err := startProgram(ctx, dir, binary, v.args...)
		if err != nil {
			return nil, err
		}
		defer p.Stop()
		pool, err := load.NewPool(clock, programKey)
		if err != nil {
			return nil, err
		}
		defer pool.Close()
		if err := p.join(ctx, pool, v.clients); err != nil {
			return nil, err
		}
		programs[i] = p
	}
	warm := count / 10
	for n := range warm + count {
		for _, i := range rand.Perm(len(variants)) {
			start := time.Now()
			if err := programs[i].command(ctx, clock.Now()); err != nil {
				return nil, err
			}
			if n >= warm {
				times[i].Add(time.Since(start))
			}
		}
	}
	samples := make([]restSample, len(variants))
	for i, v := range variants {
		samples[i] = restSample{
			Variant: v.name, Count: times[i].Count(),
			Median: float64(times[i].Quantile(0.5)) / 1e3, P99: float64(times[i].Quantile(0.99)) / 1e3,
		}
	}
	return samples, nil
}

func printREST(w io.Writer, samples []restSample) {
	_, _ = fmt.Fprint(w, "\nREST: one command after the other, medians of the rounds\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "socket layer\tcommands\tmedian us\tp99 us\tagainst off\t")
	off := median(variantOf(samples, "off"), restMedian)
	for _, v := range restVariants() {
		rows := variantOf(samples, v.name)
		m := median(rows, restMedian)
		_, _ = fmt.Fprintf(t, "%s\t%d\t%.0f\t%.0f\t%+.1f %%\t\n", v.name, rows[0].Count, m, median(rows, func(s restSample) float64 { return s.P99 }), (m/off-1)*100)
	}
	_ = t.Flush()
}

// offerSample is how long it took from a REST command to its event at the
// clients, at an offered rate.
type offerSample struct {
	Round     int     `json:"round"`
	Offered   int     `json:"commands_per_second_offered"`
	Taken     float64 `json:"commands_per_second"`
	Clients   int     `json:"clients"`
	Delivered float64 `json:"events_per_second_delivered"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
}

// held says whether the machine took what was offered.
func (s offerSample) held() bool { return s.Taken >= 0.97*float64(s.Offered) }

// benchReach offers commands at a rate and looks when their events arrive. If
// the machine does not take the rate, the next lower one is offered.
func benchReach(ctx context.Context, o options, binary, dir string, r *report) error {
	length := 10 * time.Second
	if o.quick {
		length = 2 * time.Second
	}
	var best []offerSample
	for rate := reachRate; rate >= reachRate/8 && len(best) == 0; rate /= 2 {
		for round := range o.rounds {
			fmt.Fprintf(os.Stderr, "round %d of %d: reach at %d commands/s\n", round+1, o.rounds, rate)
			s, err := reachRound(ctx, binary, dir, rate, length)
			if err != nil {
				return err
			}
			s.Round = round
			r.Latency = append(r.Latency, s)
			if s.held() {
				best = append(best, s)
			}
		}
		if len(best) <= o.rounds/2 {
			best = nil
		}
	}
	if len(best) == 0 {
		r.Verdicts = append(r.Verdicts, judge(false, "no offered rate was taken", "reach: REST command to event"))
		return nil
	}
	p99 := median(best, func(s offerSample) float64 { return s.P99 })
	delivered := median(best, func(s offerSample) float64 { return s.Delivered })
	r.Verdicts = append(r.Verdicts,
		judge(p99 < float64(reachGoal)/1e6, fmt.Sprintf("%.2f ms at %d commands/s offered", p99, best[0].Offered),
			"reach: REST command to event at the client, p99 under 100 ms at 1000 commands/s or the highest rate that the machine takes"),
		judge(delivered > eventsGoal, fmt.Sprintf("%.0f/s", delivered), "reach: over 1000 events/s delivered"))
	return nil
}

// reachClients is how many clients watch in the reach scenario.
const reachClients = 10

func reachRound(ctx context.Context, binary, dir string, rate int, length time.Duration) (offerSample, error) {
	out := offerSample{Offered: rate, Clients: reachClients}
	clock, err := load.NewClock()
	if err != nil {
		return out, err
	}
	p, err := startProgram(ctx, dir, binary)
	if err != nil {
		return out, err
	}
	defer p.Stop()
	pool, err := load.NewPool(clock, programKey)
	if err != nil {
		return out, err
	}
	defer pool.Close()
	if err := p.join(ctx, pool, reachClients); err != nil {
		return out, err
	}
	if _, err := offer(ctx, p, clock, rate, time.Second); err != nil {
		return out, err
	}
	pool.Reset()
	start := time.Now()
	sent, err := offer(ctx, p, clock, rate, length)
	if err != nil {
		return out, err
	}
	took := time.Since(start).Seconds()
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := pool.AwaitAll(wait, 3*uint64(sent)); err != nil { // executing, property-changed, executed
		return out, err
	}
	stats := pool.Stats()
	out.Taken, out.Delivered = float64(sent)/took, float64(stats.Deliveries)/time.Since(start).Seconds()
	out.P50 = float64(stats.Latency.Quantile(0.5)) / 1e6
	out.P99 = float64(stats.Latency.Quantile(0.99)) / 1e6
	return out, nil
}

// offer sends commands at a rate that does not wait for answers. A command's
// stamp is the moment at which it was due: waiting to be sent counts.
func offer(ctx context.Context, p *program, clock load.Clock, rate int, length time.Duration) (sent int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	total := int(length.Seconds() * float64(rate))
	start := clock.Now()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 256 {
		workers.Go(func() {
			for {
				n := next.Add(1) - 1
				if n >= int64(total) {
					return
				}
				due := start + n*int64(time.Second)/int64(rate)
				if pause := time.Duration(due - clock.Now()); pause > 0 {
					select {
					case <-time.After(pause):
					case <-ctx.Done():
						return
					}
				}
				if err := p.command(ctx, due); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	workers.Wait()
	return total, context.Cause(ctx)
}

func printLatency(w io.Writer, samples []offerSample) {
	_, _ = fmt.Fprint(w, "\nReach: from a REST command to its event at the clients\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "round\toffered/s\ttaken/s\tclients\tevents/s delivered\tp50 ms\tp99 ms\t")
	for _, s := range samples {
		_, _ = fmt.Fprintf(t, "%d\t%d\t%.0f\t%d\t%.0f\t%.2f\t%.2f\t\n", s.Round+1, s.Offered, s.Taken, s.Clients, s.Delivered, s.P50, s.P99)
	}
	_ = t.Flush()
}
