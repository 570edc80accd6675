package app

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/graphroom/graphroom/internal/session"
)

// observe gives the sessions what they report their turns to.
func observe(reg prometheus.Registerer) session.Observe {
	turns := prometheus.NewCounter(prometheus.CounterOpts{Name: "graphroom_turns_total", Help: "Turns of sessions."})
	requests := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "graphroom_turn_requests", Help: "Requests answered in one turn.", Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256},
	})
	entries := prometheus.NewCounter(prometheus.CounterOpts{Name: "graphroom_journal_entries_total", Help: "Entries appended to journals."})
	bytes := prometheus.NewCounter(prometheus.CounterOpts{Name: "graphroom_journal_bytes_total", Help: "Bytes appended to journals."})
	reg.MustRegister(turns, requests, entries, bytes)
	return session.Observe{Turn: func(n, appended, size int) {
		turns.Inc()
		requests.Observe(float64(n))
		entries.Add(float64(appended))
		bytes.Add(float64(size))
	}}
}

// watch adds the figures that are read when they are asked for.
func (a *App) watch(reg prometheus.Registerer) {
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "graphroom_sessions_loaded", Help: "Sessions in memory."},
			func() float64 { return float64(a.sessions.Loaded()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "graphroom_ready", Help: "1 while the journal can write."},
			func() float64 {
				if a.ready() != nil {
					return 0
				}
				return 1
			}),
	)
}
