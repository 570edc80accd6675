package server

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/graphroom/graphroom/internal/fault"
)

// metrics are the server's own figures, in a registry that was given to it.
type metrics struct {
	requests   *prometheus.HistogramVec
	commands   *prometheus.CounterVec
	refused    prometheus.Counter
	sockets    prometheus.Gauge
	streams    prometheus.Gauge
	joins      *prometheus.CounterVec
	events     prometheus.Counter
	deliveries prometheus.Counter
	lagging    prometheus.Counter
	failures   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "graphroom_http_request_seconds", Help: "Time to answer a REST request.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5},
		}, []string{"route", "method", "status"}),
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "graphroom_commands_total", Help: "Commands, undos and redos by where they came in and how they ended.",
		}, []string{"via", "kind", "outcome"}),
		refused:    counter("graphroom_guard_refused_total", "Requests refused for their Host or Origin."),
		sockets:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "graphroom_sockets", Help: "Joined sockets."}),
		streams:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "graphroom_streams", Help: "Open event streams over HTTP."}),
		joins:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "graphroom_joins_total", Help: "Socket joins by outcome."}, []string{"outcome"}),
		events:     counter("graphroom_events_total", "Events taken from the sessions' feeds."),
		deliveries: counter("graphroom_deliveries_total", "Events handed to sockets."),
		lagging:    counter("graphroom_lagging_total", "Times that a socket fell behind and went on reading by itself."),
		failures:   counter("graphroom_broadcast_failures_total", "Broadcasts that failed or panicked."),
	}
	reg.MustRegister(m.requests, m.commands, m.refused, m.sockets, m.streams, m.joins, m.events, m.deliveries, m.lagging, m.failures)
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

// request counts one REST answer. The route is the pattern, never the path:
// the number of series stays bounded.
func (m *metrics) request(pattern, method string, status int, took time.Duration) {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		pattern = path
	}
	if pattern == "" || pattern == "/" {
		pattern = "none"
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete, http.MethodOptions:
	default:
		method = "other"
	}
	m.requests.WithLabelValues(pattern, method, strconv.Itoa(status)).Observe(took.Seconds())
}

// command counts one command by its outcome.
func (m *metrics) command(via, kind string, err error) {
	outcome := "ok"
	if err != nil {
		outcome = string(coded(err).Code)
	}
	m.commands.WithLabelValues(via, kind, outcome).Inc()
}

func (m *metrics) join(err error) {
	outcome := "ok"
	if err != nil {
		outcome = string(fault.From(err).Code)
	}
	m.joins.WithLabelValues(outcome).Inc()
}

func metricsHandler(reg *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}
