package main

import "fmt"

// The goals of the transport. Each is judged on the medians of a run's rounds.
const (
	saturatedShare = 12  // node's CPU per delivery over ours, at saturation
	pacedShare     = 2.5 // the same at 1000 events/s to 100 clients
	idleBytes      = 12 << 10
	stalledBytes   = 1 << 20 // what one reader that never reads may cost
	// heapNoise is how much the peak of two runs of one server differs without
	// any stalled reader, most of it when the collector happened to run.
	heapNoise    = 4 << 20
	stalledDelay = 1.5 // others' p99 with stalled readers over that without
)

// judgeTransport compares the samples with the goals. A goal whose scenario
// did not run, or whose peer is missing, is left out.
func judgeTransport(samples []sample) []verdict {
	var out []verdict
	both := func(name string) (a, b sample, ok bool) {
		x, y := pick(samples, name, ours), pick(samples, name, node)
		if len(x) == 0 || len(y) == 0 {
			return a, b, false
		}
		return medians(x), medians(y), true
	}
	for _, name := range []string{"saturate-100", "saturate-1000"} {
		if a, b, ok := both(name); ok {
			out = append(out, judgeShare(name, a, b, saturatedShare))
		}
	}
	if a, b, ok := both("paced-100"); ok {
		out = append(out, judgeShare("paced-100", a, b, pacedShare),
			judge(a.P99 <= b.P99, fmt.Sprintf("%.2f ms, node %.2f ms", a.P99, b.P99), "paced-100: p99 at or below node's"))
	}
	if a, b, ok := both("callers-250"); ok {
		out = append(out, judgeShare("callers-250", a, b, 1))
	}
	out = append(out, judgeIdle(samples)...)
	out = append(out, judgeStalled(samples)...)
	return append(out, judgeSound(samples)...)
}

func judgeShare(name string, a, b sample, least float64) verdict {
	share := 0.0
	if a.PerMillion > 0 {
		share = b.PerMillion / a.PerMillion
	}
	return judge(share >= least, fmt.Sprintf("1/%.1f (%.3f against %.3f CPU-seconds per million)", share, a.PerMillion, b.PerMillion),
		"%s: at most 1/%g of node's CPU per delivery", name, least)
}

func judgeIdle(samples []sample) []verdict {
	rows := pick(samples, "idle-5000", ours)
	if len(rows) == 0 {
		return nil
	}
	m := medians(rows)
	return []verdict{judge(m.PerConn <= idleBytes, fmt.Sprintf("%.1f KiB", m.PerConn/1024), "idle-5000: at most 12 KiB resident per connection")}
}

func judgeStalled(samples []sample) []verdict {
	with, without := pick(samples, "stalled-110", ours), pick(samples, "readers-100", ours)
	if len(with) == 0 || len(without) == 0 {
		return nil
	}
	a, b := medians(with), medians(without)
	grown := a.PeakRSS - b.PeakRSS
	return []verdict{
		judge(grown <= int64(a.Stalled)*stalledBytes+heapNoise, fmt.Sprintf("%.1f MiB for %d", float64(grown)/(1<<20), a.Stalled),
			"stalled-110: a reader that never reads costs at most 1 MiB (and %d MiB of noise in all)", heapNoise>>20),
		judge(a.P99 <= b.P99*stalledDelay, fmt.Sprintf("%.2f ms, without them %.2f ms", a.P99, b.P99),
			"stalled-110: the others' p99 within %g times of that without them", stalledDelay),
	}
}

// judgeSound asks that ours lost, mixed up and refused nothing anywhere.
func judgeSound(samples []sample) []verdict {
	runs, lost, unsound := 0, 0, 0
	for _, s := range samples {
		if s.Peer == ours {
			runs++
			lost += s.Lost
			unsound += problems([]sample{s})
		}
	}
	if runs == 0 {
		return nil
	}
	return []verdict{
		judge(lost == 0, fmt.Sprintf("%d lost", lost), "transport: every CONNECT is answered"),
		judge(unsound == 0, fmt.Sprintf("%d of %d runs with a problem", unsound, runs), "transport: every event reaches every reader once and in order"),
	}
}
