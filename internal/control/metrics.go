package control

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metricsTimeout bounds the status that a scrape asks for.
const metricsTimeout = 5 * time.Second

// metrics turns what the journal and the status know into samples at the moment of a scrape; nothing is counted twice.
type metrics struct {
	backend Observer
	journal *Journal

	events, openFaults                        *prometheus.Desc
	linked, rtt                               *prometheus.Desc
	entries, bytes, waiting, inSync, backlog  *prometheus.Desc
	preservedFiles, preservedBytes            *prometheus.Desc
	configLive, siteLive, nodeHealthy         *prometheus.Desc
	nodeRequests, nodeFailures, nodeActiveNow *prometheus.Desc
}

// metricsHandler answers in Prometheus' text format, from a registry of its own.
func metricsHandler(backend Observer, journal *Journal, log *slog.Logger) http.Handler {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tandem_"+name, help, labels, nil)
	}
	m := &metrics{
		backend: backend, journal: journal,
		events:         desc("events_total", "Events since the daemon started.", "id", "severity"),
		openFaults:     desc("open_faults", "Faults that have not healed."),
		linked:         desc("member_linked", "1 if a session with the member is established.", "member"),
		rtt:            desc("member_rtt_seconds", "Round trip of the latest heartbeat.", "member"),
		entries:        desc("folder_entries", "Live entries of the folder.", "folder"),
		bytes:          desc("folder_bytes", "Sum of the folder's file sizes.", "folder"),
		waiting:        desc("folder_waiting", "Paths known of that are not yet on disk as they should be.", "folder"),
		inSync:         desc("folder_in_sync", "1 if nothing is waiting, here or at the others.", "folder"),
		backlog:        desc("folder_backlog", "Changes applied here that the member has not applied.", "folder", "member"),
		preservedFiles: desc("folder_preserved_files", "Files kept here outside the tree; kind is conflict if nobody meant to lose them, else deleted.", "folder", "kind"),
		preservedBytes: desc("folder_preserved_bytes", "Sum of the sizes of files kept here outside the tree.", "folder"),
		configLive:     desc("config_live", "1 if the member runs the configuration that is wanted here.", "member"),
		siteLive:       desc("site_live", "1 if the site is served here.", "site"),
		nodeHealthy:    desc("node_healthy", "1 if the edge sends visitors to the node.", "node"),
		nodeRequests:   desc("node_requests_total", "Requests that the edge sent to the node.", "node"),
		nodeFailures:   desc("node_failures_total", "Requests that the node did not answer.", "node"),
		nodeActiveNow:  desc("node_active_requests", "Requests under way to the node.", "node"),
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)})
}

// Describe announces nothing, since labels come and go with folders and members.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	for c, n := range m.journal.Counts() {
		counter(m.events, n, string(c.ID), string(c.Severity))
	}
	faults := m.journal.Faults()
	gauge(m.openFaults, float64(len(faults.Open)+faults.More))

	ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
	defer cancel()
	st, err := m.backend.Status(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(m.linked, err)
		return
	}
	for _, p := range st.Members {
		if p.Link != LinkSelf {
			gauge(m.linked, oneIf(p.Link == LinkUp), string(p.Name))
			gauge(m.rtt, p.RTTMS/1000, string(p.Name))
		}
	}
	for _, f := range st.Folders {
		id := string(f.ID)
		gauge(m.entries, float64(f.Entries), id)
		gauge(m.bytes, float64(f.Bytes), id)
		gauge(m.waiting, float64(f.Waiting), id)
		gauge(m.inSync, oneIf(f.InSync), id)
		gauge(m.preservedBytes, float64(f.Preserved.Bytes), id)
		gauge(m.preservedFiles, float64(f.Preserved.Conflicts), id, "conflict")
		gauge(m.preservedFiles, float64(f.Preserved.Files-f.Preserved.Conflicts), id, "deleted")
		for _, p := range f.Peers {
			gauge(m.backlog, float64(p.Backlog), id, string(p.Member))
		}
	}
	for _, v := range st.Config.Members {
		gauge(m.configLive, oneIf(v.Live), string(v.Member))
	}
	for _, s := range st.Sites {
		gauge(m.siteLive, oneIf(s.Live), s.File)
	}
	for _, n := range st.Nodes {
		gauge(m.nodeHealthy, oneIf(n.State == HealthHealthy), string(n.Member))
		gauge(m.nodeActiveNow, float64(n.Active), string(n.Member))
		counter(m.nodeRequests, n.Requests, string(n.Member))
		counter(m.nodeFailures, n.Failures, string(n.Member))
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
