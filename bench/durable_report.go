package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

// The goals of durability.
const (
	durableRate  = 15_000 // commands/s of the goal's scenario …
	durableShare = 0.6    // … or that share of the memory driver's, where the machine is slower
	restartReady = 2000   // ms
	restartCold  = 50     // ms
	memoryGrowth = 1.2
)

// benchDurable runs the durable scenarios, the two drivers taking turns at
// being first.
func benchDurable(ctx context.Context, o options, root, dir string, r *report) error {
	var rates []durable
	for _, d := range durableScenarios() {
		if o.wants(d.name) {
			rates = append(rates, d)
		}
	}
	long := o.wants(durableSize) || o.wants(durableRestart) || o.wants(durableMemory)
	if len(rates) == 0 && !long {
		return nil
	}
	binary, err := buildOurs(ctx, root, dir, "./cmd/graphroom")
	if err != nil {
		return err
	}
	for round := range o.rounds {
		for _, d := range rates {
			drivers := []string{onDisk, inMemory}
			for i := range drivers {
				driver := drivers[(i+round)%2]
				fmt.Fprintf(os.Stderr, "round %d of %d: %s on %s\n", round+1, o.rounds, d.name, driver)
				got, err := d.run(ctx, binary, dir, driver, round, o.quick)
				if err != nil {
					return fmt.Errorf("%s on %s: %w", d.name, driver, err)
				}
				r.Durable = append(r.Durable, got)
			}
		}
		if o.wants(durableSize) {
			rows, err := benchSizes(ctx, binary, dir, round, o.quick)
			if err != nil {
				return fmt.Errorf("%s: %w", durableSize, err)
			}
			r.Durable = append(r.Durable, rows...)
		}
	}
	if err := benchLong(ctx, o, binary, dir, r); err != nil {
		return err
	}
	r.Verdicts = append(r.Verdicts, judgeDurable(r.Durable, o.quick)...)
	return nil
}

// benchLong runs, once, what takes a minute or more.
func benchLong(ctx context.Context, o options, binary, dir string, r *report) error {
	if o.wants(durableRestart) {
		fmt.Fprintln(os.Stderr, durableRestart)
		row, err := benchRestart(ctx, binary, dir, 0, o.quick)
		if err != nil {
			return fmt.Errorf("%s: %w", durableRestart, err)
		}
		r.Durable = append(r.Durable, row)
	}
	if o.wants(durableMemory) {
		fmt.Fprintln(os.Stderr, durableMemory)
		rows, err := benchMemory(ctx, binary, dir, 0, o.quick)
		if err != nil {
			return fmt.Errorf("%s: %w", durableMemory, err)
		}
		r.Durable = append(r.Durable, rows...)
	}
	return nil
}

// listDurable names the durable scenarios.
func listDurable(w io.Writer) {
	for _, d := range durableScenarios() {
		_, _ = fmt.Fprintf(w, "%-14s %s\n", d.name, d.about)
	}
	for _, d := range [][2]string{
		{durableSize, "what a durable command costs in a small and in a large project"},
		{durableRestart, "restart with a million entries in a thousand sessions (minutes)"},
		{durableMemory, "memory after 300,000 and after 3,000,000 commands (minutes)"},
	} {
		_, _ = fmt.Fprintf(w, "%-14s %s\n", d[0], d[1])
	}
}

// pickDurable returns the rows of a scenario on a driver.
func pickDurable(rows []durableSample, scenario, driver string) []durableSample {
	var out []durableSample
	for _, row := range rows {
		if row.Scenario == scenario && row.Driver == driver {
			out = append(out, row)
		}
	}
	return out
}

// judgeDurable compares the samples with the goals. A goal whose scenario did
// not run is left out; a quick run is too short for those of the long ones.
func judgeDurable(rows []durableSample, quick bool) []verdict {
	var out []verdict
	rate := func(d durableSample) float64 { return d.Rate }
	disk, mem := pickDurable(rows, durableGoal, onDisk), pickDurable(rows, durableGoal, inMemory)
	if len(disk) > 0 && len(mem) > 0 {
		a, b := median(disk, rate), median(mem, rate)
		out = append(out, judge(a >= durableRate || a >= durableShare*b,
			fmt.Sprintf("%.0f/s, %.2f of the memory driver's %.0f/s", a, a/b, b),
			"%s: at least %d durable commands/s, or %g of the memory driver's", durableGoal, durableRate, durableShare))
	}
	if !quick {
		out = append(out, judgeSizes(rows)...)
		out = append(out, judgeLong(rows)...)
	}
	refused := 0
	for _, row := range rows {
		if row.Problem != "" {
			refused++
		}
	}
	return append(out, judge(refused == 0, fmt.Sprintf("%d of %d runs with a problem", refused, len(rows)), "durable: no command is refused"))
}

func judgeSizes(rows []durableSample) []verdict {
	var small, large []durableSample
	for _, row := range pickDurable(rows, durableSize, onDisk) {
		if row.Nodes == smallNodes {
			small = append(small, row)
		} else {
			large = append(large, row)
		}
	}
	if len(small) == 0 || len(large) == 0 {
		return nil
	}
	cpu := func(d durableSample) float64 { return d.CPU }
	a, b := median(small, cpu), median(large, cpu)
	return []verdict{judge(b <= sizeGrowth*a, fmt.Sprintf("%.2f (%.0f and %.0f us of server CPU)", b/a, a, b),
		"%s: a durable command in %d nodes costs at most %g of one in %d", durableSize, largeNodes, sizeGrowth, smallNodes)}
}

func judgeLong(rows []durableSample) []verdict {
	var out []verdict
	if r := pickDurable(rows, durableRestart, onDisk); len(r) > 0 {
		out = append(out,
			judge(r[0].StartMS < restartReady, fmt.Sprintf("%.0f ms", r[0].StartMS),
				"%s: ready in under %d ms with %d entries in %d sessions", durableRestart, restartReady, r[0].Entries, r[0].Sessions),
			judge(r[0].ColdMS < restartCold, fmt.Sprintf("%.1f ms (median; worst %.1f)", r[0].ColdMS, r[0].ColdMax),
				"%s: first command of a cold session under %d ms", durableRestart, restartCold))
	}
	if r := pickDurable(rows, durableMemory, onDisk); len(r) == 2 {
		share := float64(r[1].RSS) / float64(r[0].RSS)
		out = append(out, judge(share <= memoryGrowth, fmt.Sprintf("%.2f (%.0f and %.0f MiB)", share, float64(r[0].RSS)/(1<<20), float64(r[1].RSS)/(1<<20)),
			"%s: memory after %d commands at most %g of that after %d", durableMemory, r[1].Entries, memoryGrowth, r[0].Entries))
	}
	return out
}

func printDurable(w io.Writer, rows []durableSample) {
	_, _ = fmt.Fprint(w, "\nDurable commands: medians of the rounds; CPU is the server's, latency is command to receipt\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "scenario\tdriver\tnodes\trounds\tcommands/s\tof memory's\tp50 ms\tp99 ms\tCPU us\tRSS MiB\t")
	type key struct {
		scenario, driver string
		nodes            int
		entries          uint64
	}
	var order []key
	groups := map[key][]durableSample{}
	for _, row := range rows {
		k := key{row.Scenario, row.Driver, row.Nodes, row.Entries}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], row)
	}
	rate := func(d durableSample) float64 { return d.Rate }
	for _, k := range order {
		g := groups[k]
		share := "-"
		if mem := pickDurable(rows, k.scenario, inMemory); k.driver == onDisk && len(mem) > 0 {
			share = fmt.Sprintf("%.2f", median(g, rate)/median(mem, rate))
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%.0f\t%s\t%.2f\t%.2f\t%.1f\t%.0f\t\n", k.scenario, k.driver, k.nodes, len(g), median(g, rate), share,
			median(g, func(d durableSample) float64 { return d.P50 }), median(g, func(d durableSample) float64 { return d.P99 }),
			median(g, func(d durableSample) float64 { return d.CPU }), median(g, func(d durableSample) float64 { return float64(d.RSS) })/(1<<20))
	}
	_ = t.Flush()
	for _, row := range rows {
		if row.StartMS > 0 {
			_, _ = fmt.Fprintf(w, "%s: %d entries in %d sessions, ready in %.0f ms, first command of a cold session %.1f ms (worst %.1f), then %.0f MiB\n",
				row.Scenario, row.Entries, row.Sessions, row.StartMS, row.ColdMS, row.ColdMax, float64(row.RSS)/(1<<20))
		}
		if row.Problem != "" {
			_, _ = fmt.Fprintf(w, "problem: %s, %s, round %d: %s\n", row.Scenario, row.Driver, row.Round, row.Problem)
		}
	}
}
