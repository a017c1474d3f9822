package member

import (
	"io"
	"net/http"
	"testing"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
)

// Said on a node, a site is in maintenance on the edge when the call returns, and still when the edge has been restarted.
func TestMaintenanceReachesTheEdge(t *testing.T) {
	web1, _, edge1, at := balanced(t, "http://a.test:1 {\n\trespond hello\n}\n")
	ask := func(at string) (int, string, string) {
		r, err := http.NewRequest(http.MethodGet, at, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "a.test"
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err.Error(), ""
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return resp.StatusCode, string(body), resp.Header.Get("Retry-After")
	}
	eventually(t, "the site answers", func() bool { status, body, _ := ask(at); return status == 200 && body == "hello" })
	if err := web1.Maintain(t.Context(), control.Maintenance{Site: "a", On: true, Message: "back soon", RetryAfter: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if status, body, after := ask(at); status != 503 || body != "back soon\n" || after != "60" {
		t.Errorf("in maintenance: %d, %q, Retry-After %q", status, body, after)
	}
	if st, err := edge1.Status(t.Context()); err != nil || len(st.Maintenance) != 1 || st.Maintenance[0].Site != "a" {
		t.Errorf("the edge says %+v, %v", st.Maintenance, err)
	}
	if err := web1.Maintain(t.Context(), control.Maintenance{Site: "b", On: true}); farm.KindOf(err) != farm.NotFound {
		t.Errorf("a site that is not there: %v", err)
	}
	edge1.end()
	edge1.start()
	eventually(t, "the edge has the site", func() bool { return edge1.web.Edge("a.test") != nil })
	if edge1.web.Edge("a.test").Maintenance == nil {
		t.Error("a restart has ended the maintenance")
	}
	if err := edge1.Maintain(t.Context(), control.Maintenance{Site: "a", On: true, Allow: []string{"127.0.0.1"}}); err != nil {
		t.Fatal(err)
	}
	if m := edge1.web.Edge("a.test").Maintenance; m == nil || m.Message != "" || len(m.Admits) != 1 {
		t.Errorf("said again: %+v", m)
	}
	if err := edge1.Maintain(t.Context(), control.Maintenance{Site: "a"}); err != nil {
		t.Fatal(err)
	}
	if edge1.web.Edge("a.test").Maintenance != nil {
		t.Error("the maintenance does not end")
	}
	if err := edge1.Maintain(t.Context(), control.Maintenance{Site: "a"}); farm.KindOf(err) != farm.NotFound {
		t.Errorf("it was over already: %v", err)
	}
}
