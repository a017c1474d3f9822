package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
)

var errGone = errors.New("the daemon has ended")

// poll tries until it succeeds, ctx ends, or there is no hope.
func poll(ctx context.Context, every time.Duration, try func() error) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		err := try()
		if err == nil || errors.Is(err, errGone) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-t.C:
		}
	}
}

// show prints what happens until ctx ends, and kills a node if asked to.
func (d *demo) show(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, s := range d.all {
		wg.Go(func() { d.follow(ctx, s) })
	}
	kill := make(<-chan time.Time)
	if d.KillAfter > 0 {
		kill = time.After(d.KillAfter)
	}
	var back <-chan time.Time
	victim := d.all[1]
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-kill:
			d.members[victim.Name].kill()
			d.print.line(line{Event: "killed", Member: victim.Name}, "%s killed (kill -9); it comes back in %s", victim.Name, downTime)
			kill, back = nil, time.After(downTime)
		case <-back:
			back = nil
			if err := d.runMember(ctx, victim); err != nil && ctx.Err() == nil {
				return err
			}
			d.print.line(line{Event: "restarted", Member: victim.Name, PID: d.members[victim.Name].cmd.Process.Pid}, "%s is started again", victim.Name)
		}
	}
}

// follow prints a member's events, through its restarts.
func (d *demo) follow(ctx context.Context, s server) {
	client := control.NewClient(s.socket())
	since := time.Now()
	_ = poll(ctx, 100*time.Millisecond, func() error {
		for r, err := range client.Follow(ctx, control.Query{Since: since}) {
			if err != nil {
				return err
			}
			since = r.Event.Time.Add(time.Nanosecond) // sequence numbers begin anew with a daemon
			d.print.event(r.Event)
		}
		return errors.New("the stream has ended")
	})
}

// printer writes lines for people or for programs.
type printer struct {
	mu   sync.Mutex
	out  io.Writer
	json bool
}

func newPrinter(out io.Writer, json bool) *printer { return &printer{out: out, json: json} }

// line is a JSON line of the demo, except for the first.
type line struct {
	Event  string        `json:"event"` // file, config, node-down, node-up, killed, restarted, warning
	Member farm.MemberID `json:"member,omitempty"`
	From   string        `json:"from,omitempty"`
	Path   string        `json:"path,omitempty"`
	Millis string        `json:"millis,omitempty"`
	PID    int           `json:"pid,omitempty"`
	Text   string        `json:"text,omitempty"`
}

// ready is the first JSON line.
type readyLine struct {
	Event   string            `json:"event"`
	Site    string            `json:"site"`
	Edge    map[string]string `json:"edge"`
	Members []readyMember     `json:"members"`
}

type readyMember struct {
	Name    farm.MemberID `json:"name"`
	Roles   []farm.Role   `json:"roles"`
	PID     int           `json:"pid"`
	Dir     string        `json:"dir"`
	Control string        `json:"control"`
	Config  string        `json:"config"`
	Folder  string        `json:"folder,omitempty"`
	URL     string        `json:"url"`
}

func (p *printer) write(v any, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.json {
		fmt.Fprintf(p.out, format+"\n", args...)
		return
	}
	b, err := json.Marshal(v)
	if err == nil {
		fmt.Fprintf(p.out, "%s\n", b)
	}
}

// note is for people only.
func (p *printer) note(format string, args ...any) {
	if !p.json {
		p.write(nil, format, args...)
	}
}

func (p *printer) line(l line, format string, args ...any) {
	p.write(l, time.Now().Format("15:04:05.000 ")+format, args...)
}

func (p *printer) ready(d *demo) {
	edge := d.all[2]
	r := readyLine{Event: "ready", Site: siteHost, Edge: map[string]string{
		"http": edge.url(), "https": "https://" + edge.IP + ":" + securePort}}
	text := fmt.Sprintf("\nThe farm serves. Open the gallery through the edge, upload a picture, and see it on both nodes:\n\n  edge   %s   %s\n",
		r.Edge["http"], r.Edge["https"])
	for _, s := range d.all {
		m := readyMember{Name: s.Name, Roles: s.Roles, PID: d.members[s.Name].cmd.Process.Pid, Dir: s.Dir, Control: s.socket(),
			Config: s.configDir(), URL: s.url()}
		if s.node() {
			m.Folder = s.folder()
			text += fmt.Sprintf("  %-6s %s   files %s\n", s.Name, s.url(), s.folder())
		}
		r.Members = append(r.Members, m)
	}
	text += fmt.Sprintf("\nThe configuration, on any member: %s\nTry: touch %s/hello.txt; %s status --socket %s\nCtrl-C ends it.\n",
		d.all[0].configDir(), d.all[0].folder(), d.command(), d.all[0].socket())
	p.write(r, "%s", text)
}

// command is how a shell calls this program: go run leaves it where no path leads.
func (d *demo) command() string {
	if found, err := exec.LookPath("tandem"); err == nil && found == d.Executable {
		return "tandem"
	}
	return d.Executable
}

// event prints what a newcomer wants to see of a farm's events.
func (p *printer) event(e farm.Event) {
	switch {
	case e.ID == farm.EventFileInstalled && !e.Folder.Own() && e.Fields["millis"] == "":
		p.line(line{Event: "file", Member: e.Member, From: e.Fields["from"], Path: e.Subject},
			"%s -> %s  %s  caught up", e.Fields["from"], e.Member, e.Subject)
	case e.ID == farm.EventFileInstalled && !e.Folder.Own():
		p.line(line{Event: "file", Member: e.Member, From: e.Fields["from"], Path: e.Subject, Millis: e.Fields["millis"]},
			"%s -> %s  %s  %s ms", e.Fields["from"], e.Member, e.Subject, e.Fields["millis"])
	case e.ID == farm.EventConfigLive && e.Fields["millis"] == "": // at a start
	case e.ID == farm.EventConfigLive:
		p.line(line{Event: "config", Member: e.Member, From: e.Fields["author"], Millis: e.Fields["millis"], Text: e.Message},
			"%s: configuration by %s is live, %s ms after it was saved", e.Member, e.Fields["author"], e.Fields["millis"])
	case e.ID == farm.EventNodeDown:
		p.line(line{Event: "node-down", Member: farm.MemberID(e.Subject), Text: e.Message}, "%s: node %s is down: %s", e.Member, e.Subject, e.Message)
	case e.ID == farm.EventNodeUp:
		p.line(line{Event: "node-up", Member: farm.MemberID(e.Subject), Text: e.Message}, "%s: node %s is up", e.Member, e.Subject)
	case e.Severity == farm.Warning || e.Severity == farm.Fault:
		p.line(line{Event: "warning", Member: e.Member, Path: e.Subject, Text: e.Message}, "%s: %s: %s", e.Member, e.Subject, e.Message)
	}
}
