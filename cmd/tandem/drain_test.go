package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
)

// Drain implements control.Drainer: web2 is drained after it was asked three times, web3 never is.
func (d *daemon) Drain(_ context.Context, name farm.MemberID, verb control.DrainVerb) (control.Drain, error) {
	if name == "web9" {
		return control.Drain{}, farm.Errorf(string(verb), string(name), farm.NotFound, "there is no member of that name")
	}
	d.drains++
	bound := time.Unix(1_800_000_000, 0)
	s := control.Drain{Member: name, Draining: verb != control.DrainOff, Settled: d.drains > 1}
	switch {
	case name == "web3":
		s.BoundUntil, s.Active = &bound, 1
		s.Behind = []control.DrainPeer{{Folder: "shop", Member: "web1", Changes: 3}, {Folder: "wiki"}}
	case d.drains == 1:
		s.Active = 2
	default:
		s.Safe = d.drains > 2
	}
	return s, nil
}

func TestDrainCommands(t *testing.T) {
	socket, _ := serveDaemon(t, &daemon{status: wellStatus()})
	for _, c := range []struct {
		args        string
		code        int
		out, errOut string
	}{
		{"drain web2 --timeout 0", 0, "web2 drains: the edges are told; 2 requests are under way\n", ""},
		{"drain web2", 0, "web2 is safe to stop\n", ""},
		{"drain", 0, "web1 is safe to stop\n", ""},
		{"drain web2 --json", 0, `"safe": true`, ""},
		{"drain web3 --timeout 1ms", 6, "", "tandem: drain web3: not safe to stop after 1ms: 1 request is under way; web1 lacks 3 changes of shop; " +
			"no other member is linked that could have what was written in wiki"},
		{"drain web9", 3, "", "there is no member of that name"},
		{"drain Wrong!", 2, "", "is not a member name"},
		{"undrain web2", 0, "web2 takes visitors\n", ""},
	} {
		a, out, errOut := quietApp()
		if code := a.run(t.Context(), append(strings.Fields(c.args), "--socket", socket)); code != c.code {
			t.Errorf("%s ends with %d, want %d", c.args, code, c.code)
		}
		if !strings.Contains(out.String(), c.out) || c.out == "" && out.Len() > 0 {
			t.Errorf("%s says %q, want %q", c.args, out, c.out)
		}
		if !strings.Contains(errOut.String(), c.errOut) || c.errOut == "" && errOut.Len() > 0 {
			t.Errorf("%s complains %q, want %q", c.args, errOut, c.errOut)
		}
	}
}

func TestDrainLeft(t *testing.T) {
	bound := time.Unix(1_800_000_000, 0)
	for want, d := range map[string]control.Drain{
		"visitors that are bound to it may come until 08:00:00 UTC":      {BoundUntil: &bound},
		"it has 192.0.2.10, until keepalived moves that to another edge": {Settled: true, Virtual: []string{"192.0.2.10"}},
		"nothing is left to wait for":                                    {Settled: true},
	} {
		if got := drainLeft(d); got != want {
			t.Errorf("%+v: %q, want %q", d, got, want)
		}
	}
}
