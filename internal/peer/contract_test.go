package peer_test

import (
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tandem/internal/farm"
	"tandem/internal/identity"
	"tandem/internal/peer"
	"tandem/internal/peer/peertest"
)

// memoryWorld makes hubs on a network in memory.
type memoryWorld struct{ *peer.Net }

func (w memoryWorld) Hub(cfg peer.Config) *peer.Hub { return w.Net.Hub(complete(cfg)) }

func complete(cfg peer.Config) peer.Config {
	cfg.Log = slog.New(slog.DiscardHandler)
	if cfg.Farm == "" {
		cfg.Farm = "sha256:f"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

// tlsWorld makes hubs with identities of one farm on loopback ports.
type tlsWorld struct {
	t    testing.TB
	mu   sync.Mutex
	ca   *identity.Identity
	ids  map[farm.MemberID]*identity.Identity
	keys map[farm.MemberID]string // as the configuration lists them
}

func newTLSWorld(t testing.TB) *tlsWorld {
	ca, err := identity.CreateFarm(filepath.Join(t.TempDir(), "identity"), "founder", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return &tlsWorld{t: t, ca: ca, ids: map[farm.MemberID]*identity.Identity{}, keys: map[farm.MemberID]string{}}
}

// member is the identity of a member, made when it is first asked for.
func (w *tlsWorld) member(name farm.MemberID) *identity.Identity {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id, ok := w.ids[name]; ok {
		return id
	}
	id := issue(w.t, w.ca, name)
	w.ids[name], w.keys[name] = id, id.Fingerprint()
	return id
}

func issue(t testing.TB, ca *identity.Identity, name farm.MemberID) *identity.Identity {
	t.Helper()
	req, err := identity.NewRequest(filepath.Join(t.TempDir(), "identity"), name, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	der, err := ca.Issue(req.CSR, name)
	if err != nil {
		t.Fatal(err)
	}
	id, err := req.Accept(identity.EncodeCert(der), ca.CA(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// key is what the configuration lists for a name.
func (w *tlsWorld) key(name farm.MemberID) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k, ok := w.keys[name]
	return k, ok
}

// revoke makes the configuration list another key, or none.
func (w *tlsWorld) revoke(name farm.MemberID, key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keys[name] = key; key == "" {
		delete(w.keys, name)
	}
}

func (w *tlsWorld) Hub(cfg peer.Config) *peer.Hub { return w.hubAs(w.member(cfg.Self), cfg) }

func (w *tlsWorld) hubAs(id *identity.Identity, cfg peer.Config) *peer.Hub {
	cfg = complete(cfg)
	cfg.Farm, cfg.Listen = id.Farm(), "127.0.0.1:0"
	cfg.DeadAfter = peertest.Patience // a machine that is busy with other tests stalls for long
	cfg.Identity = identity.Trust{ID: id, Keys: w.key}
	h := peer.New(cfg)
	if err := h.Listen(); err != nil {
		w.t.Fatal(err)
	}
	return h
}

func TestContractInMemory(t *testing.T) {
	peertest.Run(t, func(*testing.T) peertest.World { return memoryWorld{peer.NewNet()} })
}

func TestContractOverTLS(t *testing.T) {
	peertest.Run(t, func(t *testing.T) peertest.World { return newTLSWorld(t) })
}
