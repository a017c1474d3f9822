package member

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"tandem/internal/edge"
	"tandem/internal/farm"
)

// publicHealth is what a node tells balancers that are not the farm's. Anybody may ask, so it names nothing.
type publicHealth struct {
	Ready    bool   `json:"ready"`    // send visitors here
	Draining bool   `json:"draining"` // it was asked to take no new visitors
	Lag      uint64 `json:"lag"`      // changes that some member has and this node has not on disk yet
}

// answerBalancers is a handler that says how fit this node is, on all ports of its sites and for any host name, and
// leaves all else to next.
func (m *Member) answerBalancers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != edge.HealthPath {
			next.ServeHTTP(w, r)
			return
		}
		m.publicHealth().answer(w, r)
	})
}

// publicHealth looks at what is in memory; it costs some microseconds.
func (m *Member) publicHealth() publicHealth {
	h := publicHealth{Ready: m.unfit() == "", Draining: m.own.get().Draining}
	if c := m.config(); c != nil {
		for _, spec := range m.specs(c) {
			h.Lag += m.lag(spec.id)
		}
	}
	return h
}

// lag counts the changes of a folder that a linked member has on disk, or that this one has heard of, and that are not on
// this one's disk.
func (m *Member) lag(id farm.FolderID) uint64 {
	f := m.folders.get(id)
	if f == nil {
		return 0 // it is halted: the node is not ready
	}
	own, _ := f.runner.State()
	there := own.Known
	for _, h := range (transport{m, id}).Linked() {
		there = there.Join(m.links.get(h).state.Folders[id].Applied)
	}
	return backlog(there, own.Applied)
}

// answer writes JSON for who asks for it, by ?json or Accept, else lines for people.
func (h publicHealth) answer(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Cache-Control", "no-store")
	head.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		head.Set("Allow", "GET, HEAD")
		http.Error(w, "ask with GET", http.StatusMethodNotAllowed)
		return
	}
	status, word := http.StatusOK, "ready"
	switch {
	case h.Draining:
		status, word = http.StatusServiceUnavailable, "draining"
	case !h.Ready:
		status, word = http.StatusServiceUnavailable, "not ready"
	}
	kind, body := "text/plain; charset=utf-8", fmt.Appendf(nil, "%s\nlag %d\n", word, h.Lag)
	if r.URL.Query().Has("json") || strings.Contains(r.Header.Get("Accept"), "application/json") {
		kind = "application/json"
		body, _ = json.Marshal(h) // two booleans and a number can't fail
		body = append(body, '\n')
	}
	head.Set("Content-Type", kind)
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // who asked may have left
	}
}
