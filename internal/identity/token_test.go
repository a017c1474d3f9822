package identity

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tandem/internal/farm"
)

func newInvites(t *testing.T) (*Invites, *testClock) {
	c := newClock()
	return NewInvites(filepath.Join(t.TempDir(), "invites.json"), createFarm(t, c, "web1")), c
}

func invited(t *testing.T, s *Invites, ttl time.Duration) Token {
	t.Helper()
	text, err := s.Create(ttl, []farm.Role{farm.RoleNode}, "", []string{"10.0.0.1:7443", "[fd00::1]:7443"})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestTokenText(t *testing.T) {
	s, _ := newInvites(t)
	tok := invited(t, s, time.Hour)
	text := tok.String()
	if strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		t.Errorf("%q is not one URL-safe word", text)
	}
	if tok.Pin != s.pin || len(tok.Addresses) != 2 || tok.Addresses[1] != "[fd00::1]:7443" || len(tok.Secret)*8 < 128 {
		t.Errorf("parsed %+v", tok)
	}
	for cut := range len(text) {
		if _, err := ParseToken(text[:cut]); farm.KindOf(err) != farm.Invalid {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
	for i := range len(text) {
		b := []byte(text)
		b[i] ^= 1
		if _, err := ParseToken(string(b)); farm.KindOf(err) != farm.Invalid {
			t.Fatalf("changed at %d: %v", i, err)
		}
	}
	if _, err := ParseToken("\t" + text + "\n"); err != nil {
		t.Errorf("with white space around: %v", err)
	}
}

func TestCheckCA(t *testing.T) {
	c := newClock()
	id := createFarm(t, c, "web1")
	tok := Token{Pin: id.Farm()}
	if err := tok.CheckCA(id.CA()); err != nil {
		t.Error(err)
	}
	if err := tok.CheckCA(createFarm(t, c, "web1").CA()); farm.KindOf(err) != farm.Denied {
		t.Errorf("another farm's: %v", err)
	}
	if err := tok.CheckCA(nil); farm.KindOf(err) != farm.Invalid {
		t.Errorf("none: %v", err)
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(Token{Addresses: []string{"a:1"}, Pin: "sha256:" + strings.Repeat("00", 32), ID: strings.Repeat("00", 8),
		Secret: make([]byte, 20)}.String())
	f.Add("tandem1_")
	f.Fuzz(func(t *testing.T, text string) {
		tok, err := ParseToken(text)
		if err != nil {
			return
		}
		if tok.String() != strings.TrimSpace(text) {
			t.Errorf("%q became %q", text, tok.String())
		}
	})
}

func TestRedeem(t *testing.T) {
	s, c := newInvites(t)
	used, open, old := invited(t, s, time.Hour), invited(t, s, 3*time.Hour), invited(t, s, time.Hour)
	got, err := s.Redeem(used.ID, used.Secret, "web2")
	if err != nil || len(got.Roles) != 1 || got.Roles[0] != farm.RoleNode {
		t.Fatal(got, err)
	}
	wrong := append([]byte(nil), open.Secret...)
	wrong[0] ^= 1
	check := func(name, id string, secret []byte, want error) {
		t.Helper()
		_, err := s.Redeem(id, secret, "web2")
		if want == nil && err != nil || want != nil && (!errors.Is(err, want) || farm.KindOf(err) != farm.Denied) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	check("used", used.ID, used.Secret, ErrTokenUsed)
	check("wrong secret", open.ID, wrong, ErrTokenWrong)
	check("no secret", open.ID, nil, ErrTokenWrong)
	check("unknown id", "00", open.Secret, ErrTokenWrong)
	check("unknown id, no secret", "00", nil, ErrTokenWrong)
	c.at = c.at.Add(2 * time.Hour)
	check("expired", old.ID, old.Secret, ErrTokenExpired)
	check("a wrong secret does not use it up", open.ID, open.Secret, nil)

	c.at = c.at.Add(keepDead + 2*time.Hour)
	check("forgotten after a month", used.ID, used.Secret, ErrTokenWrong)
}

func TestRedeemIsForTheNameItWasMadeFor(t *testing.T) {
	s, _ := newInvites(t)
	text, err := s.Create(time.Hour, []farm.Role{farm.RoleEdge}, "edge1", []string{"web1:7443"})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Redeem(tok.ID, tok.Secret, "web9"); !errors.Is(err, ErrTokenName) || farm.KindOf(err) != farm.Denied {
		t.Errorf("another name: %v", err)
	}
	if _, err := s.Redeem(tok.ID, tok.Secret, "edge1"); err != nil {
		t.Errorf("its own name, after another tried: %v", err)
	}
}

func TestRedeemOnceUnderConcurrency(t *testing.T) {
	s, _ := newInvites(t)
	tok := invited(t, s, time.Hour)
	var ok atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := s.Redeem(tok.ID, tok.Secret, "web2"); err == nil {
				ok.Add(1)
			}
		})
	}
	group.Wait()
	if ok.Load() != 1 {
		t.Errorf("redeemed %d times", ok.Load())
	}
}

func TestStoreHoldsNoSecret(t *testing.T) {
	s, _ := newInvites(t)
	tok := invited(t, s, time.Hour)
	b, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), string(tok.Secret)) || strings.Contains(string(b), tok.String()) {
		t.Error("the secret is in the file")
	}
	if err := os.Chmod(s.file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Redeem(tok.ID, tok.Secret, "web2"); farm.KindOf(err) != farm.Denied {
		t.Errorf("a store that others can read: %v", err)
	}
}

func TestStoreIsBounded(t *testing.T) {
	s, c := newInvites(t)
	list := make([]invite, maxInvites)
	for i := range list {
		list[i] = invite{ID: "x", Expires: c.at.Add(time.Hour)}
	}
	if err := s.save(list); err != nil {
		t.Fatal(err)
	}
	create := func() error {
		_, err := s.Create(time.Hour, []farm.Role{farm.RoleEdge}, "", []string{"a:1"})
		return err
	}
	if err := create(); farm.KindOf(err) != farm.Full {
		t.Errorf("full of open invites: %v", err)
	}
	c.at = c.at.Add(2 * time.Hour)
	if err := create(); err != nil {
		t.Errorf("full of dead invites: %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	s, _ := newInvites(t)
	for name, call := range map[string]func() (string, error){
		"no address":  func() (string, error) { return s.Create(time.Hour, []farm.Role{farm.RoleNode}, "", nil) },
		"bad address": func() (string, error) { return s.Create(time.Hour, []farm.Role{farm.RoleNode}, "", []string{"web1"}) },
		"no role":     func() (string, error) { return s.Create(time.Hour, nil, "", []string{"a:1"}) },
		"no time":     func() (string, error) { return s.Create(0, []farm.Role{farm.RoleNode}, "", []string{"a:1"}) },
	} {
		if _, err := call(); farm.KindOf(err) != farm.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
