//go:build linux

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
)

// TestTrust: who has no good token, who is of another farm, and who was removed, stays outside, and an event says so.
func TestTrust(t *testing.T) {
	need(t)
	f := newFarm(t, "web1", "web2", "web3", "stranger", "wrong", "used", "expired")
	f.order = f.order[:3] // the others are not of the farm
	f.found(notesFarm, map[string]string{"notes.caddy": notesSite})
	f.inSync("web1", "web2", "web3")

	t.Run("token", f.badTokens)
	t.Run("stranger", f.otherFarm)
	t.Run("removed", f.removed)
	t.Run("keys", f.keysArePrivate)
}

func (f *farmUnderTest) invite(args ...string) control.Invite {
	f.t.Helper()
	var inv control.Invite
	if err := json.Unmarshal(f.tandem("web1", append([]string{"invite", "--json"}, args...)...), &inv); err != nil {
		f.t.Fatal(err)
	}
	return inv
}

// denied lets a stranger, who is called as the token is, join by it, and wants that to be refused with an event that
// says why. (Of one address, the farm tells only once in a while.)
func (f *farmUnderTest) denied(t *testing.T, token, stranger string) {
	t.Helper()
	since, m := time.Now(), f.members[stranger]
	if _, err := f.try(stranger, "join", token, "--name", stranger, "--address", m.addr); err == nil {
		t.Fatalf("a token that is %s lets a stranger in", stranger)
	}
	e := f.awaitEvent("web1", farm.EventTokenRefused, since, func(e farm.Event) bool { return e.Subject == m.addr })
	t.Log(e.Message)
	if !strings.Contains(e.Message, stranger) {
		t.Errorf("the event does not say that the token is %s: %+v", stranger, e)
	}
	if _, err := os.Stat(filepath.Join(m.dir, "config", "member.toml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the stranger has a member.toml (%v)", err)
	}
}

func (f *farmUnderTest) badTokens(t *testing.T) {
	short := f.invite("--ttl", "1s")
	f.denied(t, otherSecret(t, f.invite().Token), "wrong")

	spent := f.invite()
	f.tandem("stranger", "join", spent.Token, "--name", "guest", "--address", f.members["stranger"].addr)
	f.tandem("web1", "member", "remove", "guest")
	for _, sub := range []string{"config", "state"} {
		if err := os.RemoveAll(filepath.Join(f.members["stranger"].dir, sub)); err != nil {
			t.Fatal(err)
		}
	}
	f.denied(t, spent.Token, "used")

	f.await(5*time.Second, "the token has expired", func() error {
		if left := time.Until(short.Expires); left > 0 {
			return fmt.Errorf("%s are left", left)
		}
		return nil
	})
	f.denied(t, short.Token, "expired")
}

// otherSecret is the token with another secret: whole, for this farm, and for an invite that exists.
func otherSecret(t *testing.T, token string) string {
	const prefix, secretAt, checkBytes = "tandem1_", sha256.Size + 8, 4
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, prefix))
	if err != nil {
		t.Fatal(err)
	}
	b[secretAt] ^= 1
	sum := sha256.Sum256(b[:len(b)-checkBytes])
	return prefix + base64.RawURLEncoding.EncodeToString(append(b[:len(b)-checkBytes], sum[:checkBytes]...))
}

var memberTable = regexp.MustCompile(`(?ms)^\[member\.web1\].*?(\n\n|\z)`)

// otherFarm makes a farm whose only member believes that web1 is in it, too, with the key that web1 really has.
func (f *farmUnderTest) otherFarm(t *testing.T) {
	m := f.members["stranger"]
	f.tandem("stranger", "init", "--farm", "other", "--name", "web2", "--address", m.addr, "--role", "node")
	ours, err := os.ReadFile(filepath.Join(f.members["web1"].dir, "config", "farm.toml"))
	if err != nil {
		t.Fatal(err)
	}
	table := memberTable.Find(ours)
	if table == nil {
		t.Fatalf("web1 is not in its own farm.toml:\n%s", ours)
	}
	path := filepath.Join(m.dir, "config", "farm.toml")
	theirs, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f.write(path, string(theirs)+"\n"+string(table))
	since := time.Now()
	f.start("stranger")
	defer f.stop("stranger")
	f.awaitEvent("web1", farm.EventMemberRefused, since, func(e farm.Event) bool {
		return strings.Contains(e.Subject, m.addr) || e.Subject == "web2"
	})
	st, err := f.status("stranger")
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range st.Members {
		if other.Link == control.LinkUp {
			t.Errorf("the stranger has a link to %s", other.Name)
		}
	}
	f.linked(t, "web1", "web2", "web3") // the real web2 is not disturbed
}

// linked wants a member to have links to exactly these others.
func (f *farmUnderTest) linked(t *testing.T, n string, others ...string) {
	t.Helper()
	f.await(5*time.Second, fmt.Sprintf("%s is linked to %v", n, others), func() error {
		st, err := f.status(n)
		if err != nil {
			return err
		}
		var up []string
		for _, m := range st.Members {
			if m.Link == control.LinkUp {
				up = append(up, string(m.Name))
			}
		}
		if strings.Join(up, " ") != strings.Join(others, " ") {
			return fmt.Errorf("it is linked to %v", up)
		}
		return nil
	})
}

func (f *farmUnderTest) removed(t *testing.T) {
	since := time.Now()
	f.tandem("web1", "member", "remove", "web3")
	f.linked(t, "web1", "web2")
	f.linked(t, "web2", "web1")
	f.linked(t, "web3")
	t.Logf("cut off %s after the command began", time.Since(since).Round(time.Millisecond))
	for _, n := range []string{"web1", "web2"} {
		f.awaitEvent(n, farm.EventMemberRefused, since, func(e farm.Event) bool {
			return e.Subject == "web3" || strings.Contains(e.Subject, f.members["web3"].addr)
		})
	}
	// What is written on one side does not come to the other, also after a restart.
	f.stop("web3")
	restarted := time.Now()
	f.start("web3")
	f.write(filepath.Join(f.folder("web3"), "out.txt"), "from the removed one\n")
	f.write(filepath.Join(f.folder("web1"), "in.txt"), "from a member\n")
	f.await(10*time.Second, "members replicate", func() error {
		_, err := os.Stat(filepath.Join(f.folder("web2"), "in.txt"))
		return err
	})
	f.awaitEvent("web3", farm.EventMemberRefused, restarted, func(e farm.Event) bool { return e.Subject == "web1" })
	f.linked(t, "web3")
	for _, path := range []string{filepath.Join(f.folder("web3"), "in.txt"), filepath.Join(f.folder("web1"), "out.txt"), filepath.Join(f.folder("web2"), "out.txt")} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s exists (%v)", path, err)
		}
	}
}

// keysArePrivate looks at every file of every member that holds a private key.
func (f *farmUnderTest) keysArePrivate(t *testing.T) {
	found := map[string]int{}
	for n, m := range f.members {
		err := filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil || !bytes.Contains(b, []byte("PRIVATE KEY-----")) {
				return err
			}
			found[n]++
			info, err := d.Info()
			if err == nil && info.Mode().Perm() != 0o600 {
				t.Errorf("%s has the mode %s", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	for _, n := range f.order {
		if found[n] == 0 {
			t.Errorf("%s has no key at all", n)
		}
	}
}
