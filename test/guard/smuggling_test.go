package guard

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite testdata/smuggling.golden")

const (
	goldenFile = "testdata/smuggling.golden"
	// waitTime is how long a server may keep a connection open that has sent too little.
	waitTime = 4 * time.Second
	follower = "GET /end HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"
)

// outcome is what a server made of a case.
type outcome struct {
	answers string   // statuses that the visitor got, in order; "waits" if the connection stayed open
	node    []string // requests that arrived behind the server
	faults  []string // what in them could be understood in two ways
}

func (o outcome) String() string {
	text := o.answers
	for _, r := range append(slices.Clone(o.node), o.faults...) {
		text += "\n          > " + r
	}
	return text
}

// TestSmuggling sends each case of the corpus to an edge and to nginx, each with a node that records what arrives. Of the edge,
// nothing may arrive that two servers could understand differently, nothing that was not answered as a request of its
// own, and, where nginx passes the request on too, nothing that differs from what nginx made of it, unless the case
// says why. What both make of each is in testdata/smuggling.golden.
func TestSmuggling(t *testing.T) {
	tandem := outcomes(t, tandemFront)
	nginx, version := map[string]outcome{}, ""
	if version = nginxVersion(); version == "" {
		t.Log("nginx is not installed: not compared with it")
	} else {
		nginx = outcomes(t, startNginx(t, len(corpus)))
	}
	var golden bytes.Buffer
	fmt.Fprintf(&golden, "What the edge and %s make of test/guard/corpus_test.go. Behind >: what arrives at the node.\n", cmp.Or(version, "nginx"))
	for _, c := range corpus {
		judge(t, c, tandem[c.name], nginx)
		fmt.Fprintf(&golden, "\n%s\n  tandem  %s\n  nginx   %s\n", c.name, tandem[c.name], nginx[c.name])
		if c.differs != "" {
			fmt.Fprintf(&golden, "  differs %s\n", c.differs)
		}
	}
	compare(t, golden.String(), version)
}

func judge(t *testing.T, c rawCase, got outcome, nginx map[string]outcome) {
	for _, f := range got.faults {
		t.Errorf("%s: the node got %s", c.name, f)
	}
	if n := len(strings.Fields(got.answers)); len(got.node) > n {
		t.Errorf("%s: %d requests at the node, answers %s", c.name, len(got.node), got.answers)
	}
	other := nginx[c.name]
	if len(got.node) == 0 || len(other.node) == 0 {
		return
	}
	if same := slices.Equal(got.node, other.node); same == (c.differs != "") {
		t.Errorf("%s: equal to nginx is %v, and the case says differs=%q:\n%s\n%s", c.name, same, c.differs, got, other)
	}
}

// compare holds the outcomes against the golden file; what is nginx's only counts where it is of the same version.
func compare(t *testing.T, got, version string) {
	if *update {
		if version == "" {
			t.Fatal("without nginx the file can't be written")
		}
		if err := os.WriteFile(goldenFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	want := string(b)
	if version == "" || !strings.Contains(want, version) {
		t.Log("the golden file is of another nginx: only what the edge does is compared")
		got, want = withoutNginx(got), withoutNginx(want)
	}
	gotParts, wantParts := strings.Split(got, "\n\n"), strings.Split(want, "\n\n")
	for i := range max(len(gotParts), len(wantParts)) {
		g, w := at(gotParts, i), at(wantParts, i)
		if g != w {
			t.Errorf("got\n%s\nwant\n%s\n(-update rewrites %s)", g, w, goldenFile)
		}
	}
}

func at(parts []string, i int) string {
	if i < len(parts) {
		return strings.TrimSpace(parts[i])
	}
	return ""
}

var nginxPart = regexp.MustCompile(`(?m)^  nginx .*\n(          >.*\n?)*|^What .*\n`)

func withoutNginx(s string) string { return nginxPart.ReplaceAllString(s, "") }

// entry starts or names the server under test for the i-th case, with the node behind it, and returns its address.
type entry func(t *testing.T, i int, node *recorder) net.Addr

// outcomes plays all cases at once: some end only by time.
func outcomes(t *testing.T, front entry) map[string]outcome {
	all := make([]outcome, len(corpus))
	nodes, fronts := make([]*recorder, len(corpus)), make([]net.Addr, len(corpus))
	for i := range corpus {
		nodes[i] = newRecorder(t)
		fronts[i] = front(t, i, nodes[i])
	}
	var wg sync.WaitGroup
	for i, c := range corpus {
		wg.Go(func() {
			all[i].answers = play(t, fronts[i], c.raw)
			all[i].node, all[i].faults = nodes[i].seen()
		})
	}
	wg.Wait()
	by := map[string]outcome{}
	for i, c := range corpus {
		by[c.name] = all[i]
	}
	return by
}

var statusLine = regexp.MustCompile(`HTTP/1\.[01] ([2-5]\d\d)`)

// play sends a case, and another request after it, and returns what the visitor got.
func play(t *testing.T, to net.Addr, raw string) string {
	c, err := net.Dial(to.Network(), to.String())
	if err != nil {
		t.Error(err)
		return ""
	}
	defer c.Close()
	_, _ = c.Write([]byte(raw + follower)) // who refuses early may close
	_ = c.SetReadDeadline(time.Now().Add(waitTime))
	var got bytes.Buffer
	_, err = got.ReadFrom(c)
	var words []string
	for _, m := range statusLine.FindAllSubmatch(got.Bytes(), -1) {
		words = append(words, string(m[1]))
	}
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		words = append(words, "waits")
	}
	if len(words) == 0 {
		return "closed"
	}
	return strings.Join(words, " ")
}
