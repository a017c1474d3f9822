package peer_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"tandem/internal/farm"
	"tandem/internal/identity"
	"tandem/internal/peer"
	"tandem/internal/peer/peertest"
	"tandem/internal/wire"
	"tandem/internal/wire/pb"
)

// as is a world in which the hub has another identity than the farm gave it.
type as struct {
	*tlsWorld
	id *identity.Identity
}

func (w as) Hub(cfg peer.Config) *peer.Hub { return w.hubAs(w.id, cfg) }

func TestStrangersAreRefused(t *testing.T) {
	for name, x := range map[string]struct {
		intruder func(*tlsWorld) *identity.Identity
		subject  string // of the event at the member that refuses
		says     string
	}{
		"another farm's": {func(w *tlsWorld) *identity.Identity {
			return issue(t, newTLSWorld(t).ca, "web2")
		}, "127.0.0.1", "does not take"},
		"unknown name": {func(w *tlsWorld) *identity.Identity {
			id := w.member("web2")
			w.revoke("web2", "")
			return id
		}, "web2", string(identity.UnknownName)},
		"revoked key": {func(w *tlsWorld) *identity.Identity {
			w.member("web2")
			return issue(t, w.ca, "web2")
		}, "web2", string(identity.RevokedKey)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTLSWorld(t)
			web1 := peertest.Start(t, w, peer.Config{Self: "web1"})
			web2 := peertest.Start(t, as{w, x.intruder(w)}, peer.Config{Self: "web2"})
			web2.SetMembers([]peer.Member{{ID: "web1", Address: web1.Addr()}})
			e := web1.UntilEvent(farm.EventMemberRefused, x.subject)
			if !strings.Contains(e.Message, x.says) {
				t.Errorf("event %+v, want %q", e, x.says)
			}
			web2.UntilEvent(farm.EventMemberRefused, "web1")
			if st := web2.Stats()[0]; st.State != peer.Refused && st.State != peer.Connecting && st.State != peer.Greeting {
				t.Errorf("stats of the refused %+v", st)
			}
			if web1.Events(farm.EventMemberUp)+web2.Events(farm.EventMemberUp) != 0 {
				t.Error("a session came about")
			}
		})
	}
}

// TestAnIntruderIsRefused: somebody of another farm who does not care whom he talks to.
func TestAnIntruderIsRefused(t *testing.T) {
	w := newTLSWorld(t)
	web1 := peertest.Start(t, w, peer.Config{Self: "web1"})
	config := identity.Trust{ID: issue(t, newTLSWorld(t).ca, "web2"), Keys: w.key}.ClientTLS("web1", "h2")
	config.VerifyConnection = nil
	c, err := tls.Dial("tcp", web1.Addr(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("it got an answer")
	}
	if e := web1.UntilEvent(farm.EventMemberRefused, "127.0.0.1"); !strings.Contains(e.Message, string(identity.AnotherFarm)) {
		t.Errorf("event %+v", e)
	}
}

func TestRevocationEndsWhatIsLive(t *testing.T) {
	for name, key := range map[string]string{"removed": "", "another key": "sha256:00"} {
		t.Run(name, func(t *testing.T) {
			w := newTLSWorld(t)
			x, y := peertest.Pair(t, w, peer.Config{}, peer.Config{})
			c, err := y.DialHTTP(context.Background(), "web1")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			accepted, err := x.HTTP().Accept()
			if err != nil {
				t.Fatal(err)
			}
			w.revoke("web2", key)
			x.SetMembers([]peer.Member{{ID: "web2", Address: y.Addr()}}) // still listed: the key alone decides
			if _, err := accepted.Read(make([]byte, 1)); err == nil {
				t.Error("a connection of the revoked member is open when SetMembers has returned")
			}
			x.UntilDown("web2")
			y.UntilDown("web1")
			x.UntilEvent(farm.EventMemberRefused, "web2")
		})
	}
}

// TestMain's helper: a member that runs until it is killed.
func TestHelperMember(t *testing.T) {
	dir := os.Getenv("TANDEM_TEST_MEMBER")
	if dir == "" {
		t.Skip("runs only as the child of TestKilledMemberIsDownAtOnce")
	}
	id, err := identity.Load(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	w := &tlsWorld{t: t, keys: map[farm.MemberID]string{"web2": id.Fingerprint(), "web1": os.Getenv("TANDEM_TEST_KEY")}}
	n := peertest.Start(t, as{w, id}, peer.Config{Self: id.Name()})
	n.SetMembers([]peer.Member{{ID: "web1", Address: os.Getenv("TANDEM_TEST_ADDRESS")}})
	fmt.Println("listening on", n.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent is gone, should it not kill us
}

func TestKilledMemberIsDownAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process")
	}
	w := newTLSWorld(t)
	web1 := peertest.Start(t, w, peer.Config{Self: "web1"})
	dir := filepath.Join(t.TempDir(), "identity")
	req, err := identity.NewRequest(dir, "web2", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	der, err := w.ca.Issue(req.CSR, "web2")
	if err != nil {
		t.Fatal(err)
	}
	id, err := req.Accept(identity.EncodeCert(der), w.ca.CA(), nil)
	if err != nil {
		t.Fatal(err)
	}
	w.revoke("web2", id.Fingerprint())

	child := exec.Command(os.Args[0], "-test.run=^TestHelperMember$")
	child.Env = append(os.Environ(), "TANDEM_TEST_MEMBER="+dir, "TANDEM_TEST_ADDRESS="+web1.Addr(),
		"TANDEM_TEST_KEY="+w.member("web1").Fingerprint())
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(strings.TrimSpace(line), "listening on ")
	web1.SetMembers([]peer.Member{{ID: "web2", Address: address}})
	web1.UntilUp("web2", 1)
	began := time.Now()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	web1.UntilDown("web2")
	if d := time.Since(began); d > time.Second {
		t.Errorf("noticed after %v", d)
	} else {
		t.Logf("noticed after %v", d)
	}
}

// joiner lets in who has a good token.
type joiner struct {
	*identity.Identity
	*identity.Invites
}

func (j joiner) Join(_ context.Context, _ string, q wire.JoinRequest) (wire.JoinReply, error) {
	if _, err := j.Redeem(q.Token, q.Secret, q.Name); err != nil {
		return wire.JoinReply{}, err
	}
	der, err := j.Issue(q.CSR, q.Name)
	return wire.JoinReply{Certificate: identity.EncodeCert(der), CA: j.CA(), Revision: []byte("revision")}, err
}

// deadAddress is one on which nobody listens.
func deadAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestJoin(t *testing.T) {
	w := newTLSWorld(t)
	w.ids["founder"], w.keys["founder"] = w.ca, w.ca.Fingerprint()
	invites := identity.NewInvites(filepath.Join(t.TempDir(), "invites.json"), w.ca)
	founder := peertest.Start(t, w, peer.Config{Self: "founder", Joiner: joiner{w.ca, invites}})
	token := func(ttl time.Duration, addresses ...string) identity.Token {
		text, err := invites.Create(ttl, []farm.Role{farm.RoleNode}, "", addresses)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := identity.ParseToken(text)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	join := func(tok identity.Token) (*identity.Identity, error) {
		req, err := identity.NewRequest(filepath.Join(t.TempDir(), "identity"), "web2", time.Now)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := peer.Join(context.Background(), tok, wire.JoinRequest{Name: "web2", CSR: req.CSR, Address: "127.0.0.1:1"}, time.Now)
		if err != nil {
			return nil, err
		}
		return req.Accept(reply.Certificate, reply.CA, reply.CAKey)
	}
	refused := func(name string, tok identity.Token, kind farm.Kind) {
		t.Helper()
		if _, err := join(tok); farm.KindOf(err) != kind {
			t.Errorf("%s: %v", name, err)
		}
	}

	good := token(time.Hour, deadAddress(t), founder.Addr())
	wrong, foreign := good, good
	wrong.Secret = make([]byte, len(good.Secret))
	foreign.Pin = newTLSWorld(t).ca.Farm()
	foreign.Addresses = []string{founder.Addr()}
	refused("wrong secret", wrong, farm.Denied)
	founder.UntilEvent(farm.EventTokenRefused, "127.0.0.1")
	refused("another farm answers", foreign, farm.Denied)
	refused("expired", token(time.Nanosecond, founder.Addr()), farm.Denied)
	refused("nobody answers", token(time.Hour, deadAddress(t)), farm.Unavailable)

	web2, err := join(good)
	if err != nil {
		t.Fatal(err)
	}
	founder.UntilEvent(farm.EventMemberJoined, "web2")
	refused("used", good, farm.Denied)

	w.revoke("web2", web2.Fingerprint()) // as the new revision lists it
	n := peertest.Start(t, as{w, web2}, peer.Config{Self: "web2"})
	peertest.Meet(founder, n)
	founder.UntilUp("web2", 1)
}

// TestTheDoorLeadsNowhereElse: without a certificate there is nothing to call but Join.
func TestTheDoorLeadsNowhereElse(t *testing.T) {
	w := newTLSWorld(t)
	web1 := peertest.Start(t, w, peer.Config{Self: "web1"})
	call := func(protocol string) error {
		config := identity.PinTLS(w.ca.Farm(), protocol, time.Now)
		c, err := grpc.NewClient("passthrough:///"+web1.Addr(), grpc.WithTransportCredentials(plainTLS{config}))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, err = pb.NewMembersClient(c).Call(context.Background(), &pb.CallRequest{Method: "status"})
		return err
	}
	if err := call("tandem-join/1"); status.Code(err) != codes.Unimplemented {
		t.Errorf("through the door: %v", err)
	}
	if err := call("h2"); status.Code(err) != codes.Unavailable {
		t.Errorf("without a certificate: %v", err)
	}
}

// plainTLS does a TLS handshake with the configuration as it is: gRPC's own insists on h2.
type plainTLS struct{ config *tls.Config }

func (p plainTLS) ClientHandshake(ctx context.Context, _ string, c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	t := tls.Client(c, p.config)
	return t, credentials.TLSInfo{}, t.HandshakeContext(ctx)
}

func (p plainTLS) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, net.ErrClosed
}
func (plainTLS) Info() credentials.ProtocolInfo            { return credentials.ProtocolInfo{} }
func (p plainTLS) Clone() credentials.TransportCredentials { return p }
func (plainTLS) OverrideServerName(string) error           { return nil }

// TestNoiseOnThePort: whoever says nothing, or nonsense, holds up nobody.
func TestNoiseOnThePort(t *testing.T) {
	w := newTLSWorld(t)
	x, y := peertest.Start(t, w, peer.Config{Self: "web1"}), peertest.Start(t, w, peer.Config{Self: "web2"})
	for i := range 20 {
		c, err := net.Dial("tcp", x.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	peertest.Meet(x, y)
	x.UntilUp("web2", 1)
	if n := x.Events(farm.EventMemberRefused); n != 0 {
		t.Errorf("%d events about noise", n)
	}
}

func TestTakenPort(t *testing.T) {
	w := newTLSWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := complete(peer.Config{Self: "web1", Listen: l.Addr().String(), Identity: identity.Trust{ID: w.member("web1"), Keys: w.key}})
	if err := peer.New(cfg).Run(context.Background()); farm.KindOf(err) != farm.Unavailable {
		t.Errorf("got %v", err)
	}
}
