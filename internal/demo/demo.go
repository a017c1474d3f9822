package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
	"tandem/internal/gallery"
)

// Times of the demo.
const (
	readyTime = 60 * time.Second // until the farm serves
	downTime  = 5 * time.Second  // between the killing of a node and its return
)

// Options of a demo.
type Options struct {
	Dir        string        // keep the farm here; empty: a temporary directory that is removed
	KillAfter  time.Duration // kill a node when the farm has served for so long; 0: don't
	JSON       bool          // print JSON lines
	Out        io.Writer
	Executable string // this program
}

type demo struct {
	Options
	dir     string
	all     []server
	members map[farm.MemberID]*process
	apps    []*process
	print   *printer
}

// Run builds the farm, says where it is, and shows what happens in it until ctx ends.
func Run(ctx context.Context, o Options) (err error) {
	runtime.LockOSThread() // children are tied to the thread that starts them
	defer runtime.UnlockOSThread()
	d := &demo{Options: o, dir: o.Dir, members: map[farm.MemberID]*process{}, print: newPrinter(o.Out, o.JSON)}
	if d.dir == "" {
		if d.dir, err = os.MkdirTemp("", "tandem-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(d.dir)
	} else if d.dir, err = filepath.Abs(d.dir); err != nil {
		return err
	}
	d.all = servers(d.dir)
	defer d.stop()
	if err := checkPorts(d.all); err != nil {
		return err
	}
	begin, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	if err := d.build(begin); err != nil {
		return d.explain(ctx, err)
	}
	if err := d.awaitServing(begin); err != nil {
		return d.explain(ctx, err)
	}
	cancel()
	d.print.ready(d)
	return d.show(ctx)
}

// explain adds where to look to an error; an end by Ctrl-C is none.
func (d *demo) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	if logs, _ := filepath.Glob(filepath.Join(d.dir, "*", "log")); d.Dir == "" && len(logs) > 0 {
		for _, l := range logs {
			if b, rerr := os.ReadFile(l); rerr == nil {
				err = fmt.Errorf("%w\n--- %s\n%s", err, filepath.Base(filepath.Dir(l)), tail(string(b), 15))
			}
		}
	}
	return err
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// build makes the first member, and lets the others join it, as the README says. A directory that holds the farm
// already is started again.
func (d *demo) build(ctx context.Context) error {
	first := d.all[0]
	if _, err := os.Stat(filepath.Join(first.configDir(), "member.toml")); err == nil {
		return d.again(ctx)
	}
	d.print.note("making the farm: %s", first.Name)
	if err := d.makeFirst(ctx, first); err != nil {
		return err
	}
	if err := d.serve(ctx, first); err != nil {
		return err
	}
	for _, s := range d.all[1:] {
		d.print.note("joining %s", s.Name)
		if err := os.MkdirAll(s.Dir, 0o755); err != nil {
			return err
		}
		inv, err := control.NewClient(first.socket()).Invite(ctx, control.InviteRequest{Roles: s.Roles, TTLSec: 600})
		if err != nil {
			return err
		}
		args := append([]string{"join", inv.Token, "--name", string(s.Name), "--address", net.JoinHostPort(s.IP, memberPort),
			"--listen", net.JoinHostPort(s.IP, memberPort)}, s.flags()...)
		if _, err := run(ctx, d.Executable, args...); err != nil {
			return err
		}
		if err := setMemberFile(s); err != nil {
			return err
		}
		if err := d.serve(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) makeFirst(ctx context.Context, s server) error {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return err
	}
	at := net.JoinHostPort(s.IP, memberPort)
	args := append([]string{"init", "--farm", "demo", "--name", string(s.Name), "--role", "node", "--address", at, "--listen", at}, s.flags()...)
	if _, err := run(ctx, d.Executable, args...); err != nil {
		return err
	}
	if err := addToFarmFile(s, d.all[2]); err != nil {
		return err
	}
	if err := setMemberFile(s); err != nil {
		return err
	}
	if err := gallery.Seed(s.folder()); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.configDir(), "sites", "gallery.caddy"), []byte(siteFile(d.all)), 0o644)
}

func (d *demo) again(ctx context.Context) error {
	d.print.note("starting the farm in %s again", d.dir)
	for _, s := range d.all {
		if err := d.serve(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// serve starts the server's daemon and, on a node, the site's application, and waits until the daemon answers.
func (d *demo) serve(ctx context.Context, s server) error {
	if s.node() {
		if err := os.MkdirAll(s.folder(), 0o755); err != nil {
			return err
		}
		app, err := start(d.Executable, filepath.Join(s.Dir, "gallery.log"), "demo-app", "--dir", s.folder(),
			"--listen", net.JoinHostPort(s.IP, galleryPort), "--node", string(s.Name))
		if err != nil {
			return err
		}
		d.apps = append(d.apps, app)
	}
	return d.runMember(ctx, s)
}

func (d *demo) runMember(ctx context.Context, s server) error {
	p, err := start(d.Executable, filepath.Join(s.Dir, "log"), append([]string{"run"}, s.flags()...)...)
	if err != nil {
		return err
	}
	d.members[s.Name] = p
	client := control.NewClient(s.socket())
	return poll(ctx, 20*time.Millisecond, func() error {
		if !p.alive() {
			return errGone
		}
		_, err := client.Status(ctx)
		return err
	})
}

// awaitServing waits until the edge has both nodes and the site answers everywhere.
func (d *demo) awaitServing(ctx context.Context) error {
	edge := d.all[2]
	client := control.NewClient(edge.socket())
	err := poll(ctx, 20*time.Millisecond, func() error {
		st, err := client.Status(ctx)
		if err != nil {
			return err
		}
		healthy := 0
		for _, n := range st.Nodes {
			if n.State == control.HealthHealthy {
				healthy++
			}
		}
		if healthy < 2 {
			return fmt.Errorf("the edge has %d of 2 nodes", healthy)
		}
		return nil
	})
	for _, s := range d.all {
		if err == nil {
			err = poll(ctx, 20*time.Millisecond, func() error { return get(ctx, s.url()) })
		}
	}
	return err
}

func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/", nil)
	if err != nil {
		return err
	}
	req.Host = siteHost
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}

// stop ends all processes: the edge first, then the nodes, then the application.
func (d *demo) stop() {
	for _, s := range []int{2, 1, 0} {
		if p := d.members[d.all[s].Name]; p != nil {
			p.stop()
		}
	}
	for _, p := range d.apps {
		p.stop()
	}
}
