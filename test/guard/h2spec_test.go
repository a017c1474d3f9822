package guard

import (
	"encoding/xml"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"tandem/internal/edge"
)

var long = flag.Bool("long", false, "run h2spec against the edge; without a program of that name it is fetched and built")

const h2spec = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"

// theirWay is what Go's HTTP/2 server does otherwise, by section and the beginning of h2spec's words.
var theirWay = map[string]string{
	"http2/6.5.3: Sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE":       "it hangs up on settings that stand there twice",
	"http2/8.1.2.2: Sends a HEADERS frame that contains the connection-specif": "it answers 400, as RFC 9113, 8.1.1 allows, and no node sees the request",
	"http2/8.1.2.2: Sends a HEADERS frame that contains the TE header field w": "it answers 400, as RFC 9113, 8.1.1 allows, and no node sees the request",
}

// TestH2Spec runs all of h2spec against a TLS front of an edge.
func TestH2Spec(t *testing.T) {
	if !*long {
		t.Skip("takes a minute: -long")
	}
	in := startEdge(t, startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "hello")
	}))
	report := filepath.Join(t.TempDir(), "report.xml")
	args := []string{"run", h2spec}
	name := "go"
	if path, err := exec.LookPath("h2spec"); err == nil {
		name, args = path, nil
	}
	_, port, _ := net.SplitHostPort(in.tls.String())
	out, err := exec.CommandContext(t.Context(), name, append(args, "-h", "127.0.0.1", "-p", port, "-t", "-k", "-j", report)...).CombinedOutput()
	t.Logf("%s", out)
	b, errRead := os.ReadFile(report)
	if errRead != nil {
		t.Fatalf("no report: %v, %v", err, errRead)
	}
	var suites struct {
		Suites []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Package string    `xml:"package,attr"`
				Name    string    `xml:"classname,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b, &suites); err != nil {
		t.Fatal(err)
	}
	passed := 0
	for _, s := range suites.Suites {
		for _, c := range s.Cases {
			what := c.Package + ": " + c.Name
			failed := c.Failure != nil || c.Error != nil
			switch why, known := theirWay[what[:min(len(what), 72)]]; {
			case failed && known:
				t.Logf("%s: fails, because %s", what, why)
			case failed:
				t.Error(what)
			default:
				passed++
			}
		}
	}
	t.Logf("%d cases passed", passed)
	if passed < 140 {
		t.Errorf("only %d cases were run", passed)
	}
}

// startHandler is a node that is a correct server.
func startHandler(t *testing.T, h http.HandlerFunc) net.Addr {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc(edge.HealthPath, func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/", h)
	srv := &http.Server{Handler: mux}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return ln.Addr()
}
