//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
)

// newWeatherFarm is a farm whose network is made of TUN devices. It is skipped where the system has none.
func newWeatherFarm(t *testing.T, fair weather, names ...string) *farmUnderTest {
	need(t)
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skipf("needs TUN devices: %v", err)
	}
	l := newLAN(t)
	l.sky = newSky(t, fair)
	f := newFarmOn(t, l, names...)
	f.found("\n[folder.www]\npath = \"/var/www\"\n", nil)
	return f
}

// TestWeather: two nodes far from each other, over a line that is slow, loses packets and goes away every now and then.
func TestWeather(t *testing.T) {
	f := newWeatherFarm(t, weather{}, "web1", "web2")
	f.inSync("web1", "web2")
	f.lan.sky.everywhere(weather{delay: 40 * time.Millisecond, loss: 0.02, rate: 2 << 20})
	put := func(n, name, text string) { f.write(filepath.Join(f.folder(n), name), text) }

	put("web1", "far", "over a slow line\n")
	began := time.Now()
	f.arrives("web2", "far", "over a slow line\n")
	t.Logf("a small file, 80 ms round trip, 2 %% loss: %s", time.Since(began).Round(time.Millisecond))

	// A large file is on its way while the line goes away and comes back, and small ones overtake it.
	large := string(bytes.Repeat([]byte("a line of a large file that nobody can keep in one frame\n"), 4<<20/57))
	put("web1", "large", large)
	for i := range 4 {
		f.lan.sky.everywhere(weather{cut: i%2 == 0, delay: 20 * time.Millisecond, loss: 0.01, rate: 2 << 20})
		put("web1", fmt.Sprintf("small/%d-1", i), "from web1\n")
		put("web2", fmt.Sprintf("small/%d-2", i), "from web2\n")
		<-time.After(700 * time.Millisecond)
	}
	f.lan.sky.everywhere(weather{delay: 5 * time.Millisecond})
	f.arrives("web2", "large", large)
	f.inSync("web1", "web2")
	f.equal("web1", "web2")
}

// TestOneWay: packets get through in one direction only. Nobody claims to be in sync, and all heals.
func TestOneWay(t *testing.T) {
	f := newWeatherFarm(t, weather{}, "web1", "web2")
	f.inSync("web1", "web2")
	since := time.Now()
	f.lan.sky.between(f.members["web1"].addr, f.members["web2"].addr, weather{cut: true})
	f.write(filepath.Join(f.folder("web1"), "a"), "one\n")
	f.write(filepath.Join(f.folder("web2"), "b"), "two\n")
	for _, n := range []string{"web1", "web2"} {
		f.awaitEvent(n, farm.EventMemberDown, since, func(farm.Event) bool { return true })
		st, err := f.status(n)
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range st.Folders {
			if folder.ID == "www" && folder.InSync {
				t.Errorf("%s says that it is in sync while it hears nothing", n)
			}
		}
	}
	f.lan.sky.everywhere(weather{})
	f.arrives("web2", "a", "one\n")
	f.arrives("web1", "b", "two\n")
	f.inSync("web1", "web2")
	f.equal("web1", "web2")
}

// arrives waits until a node has a file with the text.
func (f *farmUnderTest) arrives(n, name, text string) {
	f.t.Helper()
	f.await(30*time.Second, name+" is on "+n, func() error {
		b, err := os.ReadFile(filepath.Join(f.folder(n), name))
		if err == nil && string(b) != text {
			err = fmt.Errorf("it has %d bytes: %q", len(b), strings.TrimSpace(string(b[:min(len(b), 40)])))
		}
		return err
	})
}
