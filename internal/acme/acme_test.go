package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/internal/acme/acmetest"
	"tandem/internal/certs"
	"tandem/internal/farm"
)

// TestMain is the DNS hook, too: it tells the test what it was called with.
func TestMain(m *testing.M) {
	if len(os.Args) == 6 && os.Args[1] == "hook" {
		resp, err := http.Get(os.Args[2] + "?" + url.Values{"verb": os.Args[3:4], "name": os.Args[4:5], "value": os.Args[5:6]}.Encode())
		if err != nil || resp.StatusCode != http.StatusOK {
			fmt.Println("the zone is not ours")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// rig is a farm whose members share a directory, as if replication took no time.
type rig struct {
	t    *testing.T
	ca   *acmetest.Authority
	dir  string
	http int // port on which all members answer
	tls  int

	mu       sync.Mutex
	settings Settings
	hosts    []string
	up       []farm.MemberID
	events   []farm.Event
	pause    time.Duration // after the first failure
	stops    map[farm.MemberID]func()
}

func newRig(t *testing.T, o acmetest.Options) *rig {
	o.HTTPPort, o.TLSPort = acmetest.Port(t), acmetest.Port(t)
	r := &rig{t: t, ca: acmetest.Start(t, o), dir: t.TempDir(), pause: 200 * time.Millisecond, http: o.HTTPPort, tls: o.TLSPort, stops: map[farm.MemberID]func(){}}
	r.settings = Settings{Agreed: true, Directory: r.ca.Directory, Roots: r.ca.Roots, Email: "a@shop.test", Challenges: []string{"http-01", "tls-alpn-01"}}
	t.Cleanup(func() {
		for _, stop := range r.stops {
			stop()
		}
	})
	return r
}

func (r *rig) Settings() Settings { r.mu.Lock(); defer r.mu.Unlock(); return r.settings }
func (r *rig) Hosts() []string    { r.mu.Lock(); defer r.mu.Unlock(); return r.hosts }
func (r *rig) Covered(h string) bool {
	return strings.HasPrefix(h, "covered.")
}
func (r *rig) Members() (int, []farm.MemberID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return 3, append([]farm.MemberID{}, r.up...)
}
func (r *rig) Settle(context.Context) {}

// member runs an issuer. The one that answers listens where the authority asks.
func (r *rig) member(name farm.MemberID, answers bool) *Issuer {
	i := New(Config{Self: name, Dir: r.dir, Stage: filepath.Join(r.dir, ".tandem"), Farm: r, Log: slog.New(slog.DiscardHandler),
		Times: Times{Look: 20 * time.Millisecond, Calm: 50 * time.Millisecond, Alone: 60 * time.Millisecond, TakeOver: 100 * time.Millisecond, First: r.pause},
		Sink: func(e farm.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			e.Member = name
			r.events = append(r.events, e)
		}})
	if answers {
		r.listen(i)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	r.mu.Lock()
	r.up = append(r.up, name)
	r.stops[name] = func() {
		cancel()
		<-done
	}
	r.mu.Unlock()
	go func() { done <- i.Run(ctx) }()
	return i
}

// kill ends a member without notice.
func (r *rig) kill(name farm.MemberID) {
	r.stops[name]()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.stops, name)
	for n, m := range r.up {
		if m == name {
			r.up = append(r.up[:n], r.up[n+1:]...)
			return
		}
	}
}

// listen answers challenges on the authority's ports; those of http-01 for other members, too.
func (r *rig) listen(i *Issuer, others ...*Issuer) {
	answers := http.NotFoundHandler()
	for _, o := range others {
		answers = o.Answer(answers)
	}
	plain := &http.Server{Handler: i.Answer(answers)}
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", r.http))
	if err != nil {
		r.t.Fatal(err)
	}
	go func() { _ = plain.Serve(ln) }()
	secure, err := tls.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", r.tls), &tls.Config{
		NextProtos: []string{"http/1.1", ALPN},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if cert := i.Certificate(hello); cert != nil {
				return cert, nil
			}
			return nil, errors.New("no challenge")
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	go func() { _ = (&http.Server{Handler: plain.Handler}).Serve(secure) }()
	r.t.Cleanup(func() { _ = plain.Close(); _ = secure.Close() })
}

func (r *rig) want(hosts ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hosts = hosts
}

func (r *rig) change(set func(*Settings)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	set(&r.settings)
}

// cert waits until the store has a certificate for the host that ok takes.
func (r *rig) cert(host string, ok func(*tls.Certificate) bool) *tls.Certificate {
	r.t.Helper()
	name, err := certs.FileName(host)
	if err != nil {
		r.t.Fatal(err)
	}
	var cert *tls.Certificate
	r.await("there is a certificate for "+host, func() bool {
		content, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			return false
		}
		if cert, err = certs.Parse("", content); err != nil {
			r.t.Fatal(err)
		}
		return ok == nil || ok(cert)
	})
	return cert
}

func (r *rig) told(id farm.EventID, s farm.Severity) (found []farm.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.ID == id && e.Severity == s {
			found = append(found, e)
		}
	}
	return found
}

// TestOneOrderForTheFarm: three members, of which another than the issuer answers; by either kind, with an authority that
// refuses every fifth request at first.
func TestOneOrderForTheFarm(t *testing.T) {
	for _, kind := range []string{"http-01", "tls-alpn-01"} {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, acmetest.Options{BadNonces: 20})
			r.settings.Challenges = []string{kind}
			r.member("web1", false)
			r.member("web2", true)
			r.member("web3", false)
			r.want("shop.test", "covered.test")
			cert := r.cert("shop.test", nil)
			if err := cert.Leaf.VerifyHostname("shop.test"); err != nil {
				t.Error(err)
			}
			<-time.After(300 * time.Millisecond) // enough for any other to order, too
			if n := r.ca.Orders(); n != 1 {
				t.Errorf("%d orders were made", n)
			}
			issued := r.told(farm.EventACMEIssued, farm.Info)
			if len(issued) != 1 || issued[0].Member != "web1" || !strings.HasPrefix(issued[0].Message, "the certificate was ordered") {
				t.Errorf("told %+v", issued)
			}
			left, err := os.ReadDir(filepath.Join(r.dir, "challenge"))
			if err != nil || len(left) != 0 {
				t.Errorf("answers are left: %v, %v", left, err)
			}
			for _, file := range []string{"shop.test.pem", filepath.Base(r.account())} {
				if info, err := os.Stat(filepath.Join(r.dir, file)); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v, %v", file, info, err)
				}
			}
		})
	}
}

func (r *rig) account() string {
	r.t.Helper()
	found, err := filepath.Glob(filepath.Join(r.dir, "account-*.json"))
	if err != nil || len(found) != 1 {
		r.t.Fatalf("accounts are %v, %v", found, err)
	}
	return found[0]
}

func TestWildcardByHook(t *testing.T) {
	r := newRig(t, acmetest.Options{})
	hook := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		name := q.FormValue("name")
		if !strings.HasPrefix(name, "_acme-challenge.") || strings.Contains(name, "foreign") {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		if q.FormValue("verb") == "set" {
			r.ca.DNS.AddDNSTXTRecord(name+".", q.FormValue("value"))
		} else {
			r.ca.DNS.DeleteDNSTXTRecord(name + ".")
		}
	})}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = hook.Serve(ln) }()
	t.Cleanup(func() { _ = hook.Close() })
	r.settings.Challenges = nil
	r.settings.Hook = []string{os.Args[0], "hook", "http://" + ln.Addr().String()}
	r.member("web1", false)
	r.want("*.shop.test", "foreign.test")
	if err := r.cert("*.shop.test", nil).Leaf.VerifyHostname("www.shop.test"); err != nil {
		t.Error(err)
	}
	if left := r.ca.DNS.GetDNSTXTRecords("_acme-challenge.shop.test."); len(left) > 0 {
		t.Errorf("records are left: %v", left)
	}
	r.await("the hook's failure is told", func() bool {
		failed := r.told(farm.EventACMEFailed, farm.Fault)
		return len(failed) > 0 && failed[0].Subject == "foreign.test" && strings.Contains(failed[0].Message, "the zone is not ours")
	})
}

func (r *rig) await(what string, ok func() bool) {
	r.t.Helper()
	limit := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			r.mu.Lock()
			defer r.mu.Unlock()
			r.t.Fatalf("not so: %s; events %+v", what, r.events)
		}
	}
}

func TestRenewal(t *testing.T) {
	r := newRig(t, acmetest.Options{Lasts: 6 * time.Second})
	r.member("web1", false)
	r.member("web2", true)
	r.want("shop.test")
	first := r.cert("shop.test", nil)
	second := r.cert("shop.test", func(c *tls.Certificate) bool { return !c.Leaf.Equal(first.Leaf) })
	if second.Leaf.NotBefore.After(first.Leaf.NotAfter) {
		t.Errorf("renewed from %v, after the end %v", second.Leaf.NotBefore, first.Leaf.NotAfter)
	}
	r.await("it is told", func() bool {
		issued := r.told(farm.EventACMEIssued, farm.Info)
		return len(issued) >= 2 && strings.HasPrefix(issued[1].Message, "the certificate was renewed")
	})
	if r.account(); len(r.told(farm.EventACMEFailed, farm.Fault)) > 0 {
		t.Errorf("told %+v", r.told(farm.EventACMEFailed, farm.Fault))
	}
}

// TestPartedFarm: each half of a farm that is parted orders a certificate. When they meet again, one of the two is everybody's,
// as replication decides, both are good, and nobody orders another one.
func TestPartedFarm(t *testing.T) {
	a := newRig(t, acmetest.Options{})
	a.settings.Challenges = []string{"http-01"}
	b := &rig{t: t, ca: a.ca, dir: t.TempDir(), http: a.http, tls: a.tls, settings: a.settings, stops: map[farm.MemberID]func(){}}
	t.Cleanup(func() { b.kill("web2") })
	a.listen(a.member("web1", false), b.member("web2", false))
	a.want("shop.test")
	b.want("shop.test")
	first, second := a.cert("shop.test", nil), b.cert("shop.test", nil)
	if first.Leaf.Equal(second.Leaf) || first.Leaf.VerifyHostname("shop.test") != nil || second.Leaf.VerifyHostname("shop.test") != nil {
		t.Fatal("the halves have not ordered one each")
	}
	for _, half := range []*rig{a, b} {
		half.await("the order is told", func() bool { return len(half.told(farm.EventACMEIssued, farm.Info)) == 1 })
	}
	meet(t, a.dir, b.dir)
	for _, half := range []*rig{a, b} {
		half.mu.Lock()
		half.up = []farm.MemberID{"web1", "web2"}
		half.mu.Unlock()
	}
	<-time.After(500 * time.Millisecond) // many times what anybody would wait for an order
	if x, y := a.cert("shop.test", nil), b.cert("shop.test", nil); !x.Leaf.Equal(y.Leaf) || !x.Leaf.Equal(first.Leaf) && !x.Leaf.Equal(second.Leaf) {
		t.Error("the two have not one of the two certificates")
	}
	if n := a.ca.Orders(); n != 2 {
		t.Errorf("%d orders were made", n)
	}
	for _, half := range []*rig{a, b} {
		if failed := half.told(farm.EventACMEFailed, farm.Fault); len(failed) > 0 {
			t.Errorf("told %+v", failed)
		}
	}
}

// meet makes two directories the same, as replication does: of two files of one name the later stays.
func meet(t *testing.T, dirs ...string) {
	later := map[string]os.FileInfo{}
	content := map[string][]byte{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			info, err := os.Stat(f)
			if err != nil || !info.Mode().IsRegular() {
				continue
			}
			if was := later[info.Name()]; was != nil && !info.ModTime().After(was.ModTime()) {
				continue
			}
			if content[info.Name()], err = os.ReadFile(f); err != nil {
				t.Fatal(err)
			}
			later[info.Name()] = info
		}
	}
	for _, dir := range dirs {
		for name, b := range content {
			temp := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(temp, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(temp, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestIssuerDies: it is killed while the authority takes its time; another takes over, and the first one's answers and
// claim are in nobody's way.
func TestIssuerDies(t *testing.T) {
	r := newRig(t, acmetest.Options{Patient: true})
	r.member("web1", false)
	r.member("web2", true)
	r.want("shop.test")
	r.await("the first has ordered", func() bool { return r.ca.Orders() == 1 })
	r.kill("web1")
	r.cert("shop.test", nil)
	r.await("the second tells", func() bool {
		issued := r.told(farm.EventACMEIssued, farm.Info)
		return len(issued) == 1 && issued[0].Member == "web2"
	})
	if n := r.ca.Orders(); n != 2 {
		t.Errorf("%d orders were made", n)
	}
}

// TestFailuresAreSpaced: an authority that is down, then refuses, then gives in.
func TestFailuresAreSpaced(t *testing.T) {
	r := newRig(t, acmetest.Options{})
	r.ca.Down.Store(true)
	r.member("web1", true)
	r.member("web2", false)
	r.want("shop.test")
	r.await("both have tried", func() bool {
		who := map[farm.MemberID]bool{}
		for _, e := range r.told(farm.EventACMEFailed, farm.Fault) {
			who[e.Member] = true
		}
		return len(who) == 2
	})
	r.await("how often and until when is noted", func() bool {
		a, ok := (&Issuer{cfg: Config{Dir: r.dir}}).attempt("shop.test")
		return ok && a.Failures >= 2 && !a.Open && a.After.After(a.Since)
	})
	r.ca.Down.Store(false)
	r.cert("shop.test", nil)
	r.await("the faults are healed", func() bool {
		return len(r.told(farm.EventACMEFailed, farm.Healed)) == 2
	})
}

func TestAuthorityThatRefuses(t *testing.T) {
	r := newRig(t, acmetest.Options{Blocked: []string{"blocked.test"}})
	r.member("web1", true)
	r.want("blocked.test", "shop.test")
	r.cert("shop.test", nil)
	failed := r.told(farm.EventACMEFailed, farm.Fault)
	if len(failed) == 0 || !strings.Contains(failed[0].Message, "policy forbids") && !strings.Contains(failed[0].Message, "blocked") {
		t.Errorf("told %+v", failed)
	}
}

// TestExternalAccount: an authority that wants an account of its own. As soon as somebody has said which, it is asked again,
// however long the pause would be.
func TestExternalAccount(t *testing.T) {
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	r := newRig(t, acmetest.Options{KeyID: "kid-1", MAC: key})
	r.pause = time.Hour
	r.member("web1", true)
	r.member("web2", false)
	r.want("shop.test")
	refused := func(times int, why string) {
		t.Helper()
		r.await("it is refused: "+why, func() bool {
			failed := r.told(farm.EventACMEFailed, farm.Fault)
			return len(failed) == times && strings.Contains(failed[times-1].Message, why) && strings.Contains(failed[times-1].Next, "mac_key in [acme]")
		})
	}
	refused(1, "'externalAccountBinding'")
	r.change(func(s *Settings) { s.KeyID = "kid-1" })
	refused(2, "mac_key in [acme], is not known here")
	r.change(func(s *Settings) { s.MAC = strings.Repeat("A", len(key)) })
	refused(3, "external account binding")
	if healed := r.told(farm.EventACMEFailed, farm.Healed); len(healed) > 0 {
		t.Errorf("healed too early: %+v", healed)
	}
	r.change(func(s *Settings) { s.MAC = key })
	r.cert("shop.test", nil)
}

func TestAnswersOnlyWhatIsAsked(t *testing.T) {
	dir := t.TempDir()
	i := New(Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err := os.MkdirAll(i.challenges(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(i.challenges(), "http-01.abcdefgh12345678.json"), []byte(`{"key_authorization":"yes"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	h := i.Answer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for path, want := range map[string]int{
		wellKnown + "abcdefgh12345678": 200, wellKnown + "zzzzzzzz12345678": 418, wellKnown: 418, wellKnown + "../../x12345678": 418, "/": 418,
	} {
		w := &statusOnly{}
		h.ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}})
		if w.status != want {
			t.Errorf("%s answers %d", path, w.status)
		}
	}
	if i.Certificate(&tls.ClientHelloInfo{ServerName: "../x", SupportedProtos: []string{ALPN}}) != nil {
		t.Error("a challenge is answered that nobody made")
	}
}

type statusOnly struct{ status int }

func (s *statusOnly) Header() http.Header { return http.Header{} }
func (s *statusOnly) WriteHeader(n int)   { s.status = n }
func (s *statusOnly) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return len(b), nil
}
