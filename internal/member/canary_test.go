package member

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

// three is a farm of three nodes, each with a site on an address of its own that answers with what the revision says.
func three(t *testing.T) (members []*server, url string) {
	web1 := first(t, "web1")
	eventually(t, "web1's folder is live", web1.inState(control.FolderLive))
	members = []*server{web1, web1.join("web2"), web1.join("web3")}
	eventually(t, "all are linked", func() bool {
		for _, s := range members {
			for _, o := range members {
				if s != o && !s.links.up(o.self) {
					return false
				}
			}
		}
		return true
	})
	return members, "http://shop.example"
}

func site(status int) control.Files {
	return control.Files{"sites/shop.caddy": fmt.Appendf(nil, "http://shop.example {\n\tbind 192.0.2.1\n\trespond %d\n}\n", status)}
}

// visit asks a member's site as an edge does.
func (s *server) visit(url string) int {
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	w := &statusWriter{header: http.Header{}}
	s.web.Trusted().ServeHTTP(w, r)
	return w.status
}

type statusWriter struct {
	header http.Header
	status int
}

func (w *statusWriter) Header() http.Header { return w.header }
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
}
func (w *statusWriter) Write(p []byte) (int, error) { return len(p), nil }

func answers(url string, want int, members ...*server) func() bool {
	return func() bool {
		for _, s := range members {
			if s.visit(url) != want {
				return false
			}
		}
		return true
	}
}

// outcome is what came of a trial, as a member knows.
func (s *server) outcome(trial *control.ConfigTrial) control.ConfigTrial {
	rev, err := s.ConfigRevision(s.t.Context(), trial.Revision)
	if err != nil || rev.Trial == nil {
		return control.ConfigTrial{}
	}
	return *rev.Trial
}

// knowsTrial tells whether the member has heard that something is being tried on web2.
func (s *server) knowsTrial() bool {
	st, err := s.Status(s.t.Context())
	return err == nil && st.Config.Trial != nil && st.Config.Trial.Canary == "web2"
}

func (s *server) try(files control.Files, ms int64) *control.ConfigTrial {
	s.t.Helper()
	done, err := s.ApplyConfig(s.t.Context(), control.ConfigEdit{Files: files, Patch: true, Canary: "web2", ForMS: ms})
	if err != nil || !done.Check.OK || done.Trial == nil {
		s.t.Fatalf("apply: %+v, %v", done, err)
	}
	return done.Trial
}

// TestCanary: what fails on the canary goes back on all, what does well reaches all, and a second edit waits.
func TestCanary(t *testing.T) {
	members, url := three(t)
	web1, web2, web3 := members[0], members[1], members[2]
	if _, err := web1.ApplyConfig(t.Context(), control.ConfigEdit{Files: site(200), Patch: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the site is live", answers(url, 200, members...))

	trial := web1.try(site(500), 60_000)
	eventually(t, "the canary runs it", answers(url, 500, web2))
	if !answers(url, 200, web1, web3)() {
		t.Error("the others run it too")
	}
	eventually(t, "web3's status says so", web3.knowsTrial)
	eventually(t, "each does what it should, as web3 sees it", func() bool {
		st, _ := web3.Status(t.Context())
		for _, v := range st.Config.Members {
			if !v.Live {
				return false
			}
		}
		return len(st.Config.Members) == 3
	})
	if rev, err := web3.ConfigRevision(t.Context(), trial.Revision); err != nil || len(rev.Runs) != 1 || rev.Runs[0] != "web2" {
		t.Errorf("it runs on %v, %v", rev.Runs, err)
	}
	if _, err := web3.ApplyConfig(t.Context(), control.ConfigEdit{Files: site(201), Patch: true}); farm.KindOf(err) != farm.Conflict {
		t.Errorf("a second edit: %v", err)
	}
	for range 10 {
		web2.visit(url)
	}
	eventually(t, "it is taken back", answers(url, 200, members...))
	eventually(t, "web3 knows why", func() bool {
		o := web3.outcome(trial)
		return o.Outcome == control.TrialBack && strings.Contains(o.Why, "requests failed")
	})

	trial = web3.try(site(201), 1000)
	eventually(t, "what does well reaches all", answers(url, 201, members...))
	eventually(t, "web1 knows it", func() bool { return web1.outcome(trial).Outcome == control.TrialPassed })

	// A rollback ends a trial.
	web1.try(site(202), 60_000)
	eventually(t, "the canary runs it", answers(url, 202, web2))
	eventually(t, "web3 knows it", web3.knowsTrial)
	if done, err := web3.RollbackConfig(t.Context(), control.ConfigEdit{}); err != nil || done.Trial == nil || done.Trial.Outcome != control.TrialBack {
		t.Errorf("rollback: %+v, %v", done, err)
	}
	eventually(t, "all are back", answers(url, 201, members...))
}

// TestCanaryRestarts: a daemon that is started anew in the middle of a trial does not try it again; one that was away all
// the time goes back, too.
func TestCanaryRestarts(t *testing.T) {
	members, url := three(t)
	web1, web2, web3 := members[0], members[1], members[2]
	if _, err := web1.ApplyConfig(t.Context(), control.ConfigEdit{Files: site(200), Patch: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the site is live", answers(url, 200, members...))
	web3.end()
	trial := web1.try(site(201), 60_000)
	eventually(t, "the canary runs it", answers(url, 201, web2))
	web2.end()
	web2.start()
	eventually(t, "the canary is back", answers(url, 200, web2))
	eventually(t, "web1 knows why", func() bool {
		o := web1.outcome(trial)
		return o.Outcome == control.TrialBack && (strings.Contains(o.Why, "stopped") || strings.Contains(o.Why, "started anew"))
	})
	web3.start()
	eventually(t, "web3 has heard of it", func() bool { return web3.outcome(trial).Outcome == control.TrialBack })
	eventually(t, "all run the same", answers(url, 200, members...))
}

// TestSiteRefusedOnOneMember: a site that lacks its root on one member is left out there alone, and each member's status
// says so.
func TestSiteRefusedOnOneMember(t *testing.T) {
	members, url := three(t)
	web1, web2 := members[0], members[1]
	if _, err := web1.ApplyConfig(t.Context(), control.ConfigEdit{Files: site(200), Patch: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the site is live", answers(url, 200, members...))
	// The log's directory can be made everywhere but on web2, where a file stands in its place.
	src := "http://log.example {\n\tbind 192.0.2.1\n\tlog {\n\t\toutput file " + t.TempDir() + "/{member.name}/x/access.log\n\t}\n\trespond 200\n}\n"
	blocked := src[strings.Index(src, "file ")+5 : strings.Index(src, "/{member")]
	if err := writeNew(blocked+"/web2", nil); err != nil {
		t.Fatal(err)
	}
	done, err := web1.ApplyConfig(t.Context(), control.ConfigEdit{Files: control.Files{"sites/log.caddy": []byte(src)}, Patch: true})
	if err != nil || !done.Check.OK {
		t.Fatalf("apply: %+v, %v", done, err)
	}
	eventually(t, "live where it can be", answers("http://log.example", 200, web1, members[2]))
	eventually(t, "the other site is live there", answers(url, 200, web2))
	for _, s := range members {
		eventually(t, string(s.self)+" says so", func() bool {
			st, err := s.Status(t.Context())
			if err != nil {
				return false
			}
			for _, v := range st.Config.Members {
				if !v.Live || (len(v.Sites) == 1) != (v.Member == "web2") {
					return false
				}
			}
			return true
		})
	}
	// An edit of something else, on the member that refuses the site, is taken.
	web2.edit(config.FarmFile, func(s string) string { return strings.Replace(s, `"test"`, `"renamed"`, 1) })
	eventually(t, "the edit is live", func() bool { return members[2].config().Farm.Name == "renamed" })
}
