package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
)

func (d *daemon) SteerFolder(_ context.Context, id farm.FolderID, verb control.Verb, all bool) (control.Steered, error) {
	s := control.Steered{Folder: id, Verb: verb, Members: []control.SteeredMember{{Member: "web1", Changed: true}}}
	switch {
	case id == "wiki":
		return s, farm.Errorf(string(verb)+" folder", string(id), farm.NotFound, "this member does not hold the folder")
	case verb == control.VerbRelease:
		s.Members[0].Held = 200
	case verb == control.VerbRefuse:
		s.Members[0].Changed = false
	}
	if all {
		s.Members = append(s.Members, control.SteeredMember{Member: "web2", Problem: "it is halted"})
		s.Silent = []control.Silent{{Member: "web3", Reason: "it is not linked"}}
	}
	return s, nil
}

func (d *daemon) Why(_ context.Context, q control.WhyQuery) (control.Why, error) {
	if q.Path == "/elsewhere" {
		return control.Why{}, farm.Errorf("why", q.Path, farm.NotFound, "it lies in no folder of this member")
	}
	at := time.Unix(1_800_000_000, 0)
	file := &control.WhyFile{Type: "file", Size: 2048, Mode: "0644", Owner: "www-data:www-data"}
	written := &control.Write{Version: farm.Position{Actor: farm.Actor{Member: "web1", Epoch: 1}, Seq: 2}, Member: "web1", Time: at}
	return control.Why{Folder: "shop", Path: q.Path, Silent: []control.Silent{{Member: "web9", Reason: "it is not linked"}}, Members: []control.WhyMember{
		{Member: "web1", Replicated: true, Known: true, State: "at rest", Disk: file, Want: file, Version: written},
		{Member: "web2", Rule: &control.WhyRule{Pattern: "cache/**", Line: 12, Path: "cache/a"}, Disk: file, State: "at rest"},
		{Member: "web3", Replicated: true, Known: true, State: "retry", NoSource: true, Want: file, Version: written, Retry: &at},
		{Member: "web4", Replicated: true, LeftOut: true, MaxSize: 1 << 20, State: "at rest", Disk: file},
		{Member: "web5", Rule: &control.WhyRule{Pattern: ".DS_Store", Default: true, Why: "of macOS", Path: ".DS_Store"}},
		{Member: "web6", Replicated: true, Special: "fifo"},
		{Member: "web7", Replicated: true, Known: true, State: "braked", Want: file, Braked: &control.FolderBrake{Held: 200, Limit: 100}},
		{Member: "web8", Halted: "its root is gone"},
	}}, nil
}

func TestSteerAndWhyCommands(t *testing.T) {
	d := &daemon{status: wellStatus()}
	for i := range d.status.Folders {
		if f := &d.status.Folders[i]; f.ID == "uploads" {
			f.InSync, f.Reason = false, "it is paused here"
			f.Paused = &control.FolderPause{Since: time.Unix(1_800_000_000, 0), By: "web2"}
			f.Braked = &control.FolderBrake{Held: 200, Limit: 100}
			f.ReadOnly = true
		}
	}
	socket, _ := serveDaemon(t, d)
	for _, c := range []struct {
		args        string
		code        int
		out, errOut string
	}{
		{"folder list", 0, "uploads: paused since 2027-01-15T08:00:00Z, said on web2; go on with: tandem folder resume uploads\n", ""},
		{"folder list", 0, "uploads: the brake holds 200 deletions that a scan found, more than 100. ", ""},
		{"status", 0, "folder uploads is not in sync: it is paused here", ""},
		{"folder show uploads", 0, "state      Live, paused, braked\nin sync    no: it is paused here\n", ""},
		{"folder show", 0, "read only  what is changed here is undone", ""},
		{"folder show uploads --json", 0, `"held": 200`, ""},
		{"folder show wiki", 3, "", "tandem: show folder wiki: this member does not hold the folder\n"},
		{"folder pause uploads", 0, "", "tandem: uploads is paused on web1\n"},
		{"folder resume uploads", 0, "", "tandem: uploads is resumed on web1\n"},
		{"folder release uploads", 0, "", "tandem: uploads is released on web1: 200 deletions\n"},
		{"folder refuse uploads", 0, "", "tandem: uploads is not braked on web1\n"},
		{"folder pause uploads --json", 0, `"changed": true`, ""},
		{"folder pause wiki", 3, "", "tandem: pause folder wiki: this member does not hold the folder\n"},
		{"folder pause Wrong!", 2, "", "is not a folder name"},
		{"folder pause", 2, "", "0 arguments were given; usage: tandem folder pause NAME"},
		{"folder resume uploads --all", 6, "", "not on web2: it is halted; web3: it is not linked"},
		{"why img/7.jpg --folder shop", 0, "web1: replicated, and as it should be\n", ""},
		{"why img/7.jpg --folder shop", 0, "  on disk    file, 2.0 KiB, mode 0644, owner www-data:www-data\n", ""},
		{"why img/7.jpg --folder shop", 0, "  written    by web1, 2027-01-15T08:00:00Z (version web1.1.2)\n", ""},
		{"why /a", 0, "web2: not replicated: exclude = \"cache/**\" in line 12 of farm.toml matches cache/a\n", ""},
		{"why /a", 0, "web3: it waits for its content, which no linked member has\n", ""},
		{"why /a", 0, "web4: not replicated: it is larger than max_size, 1MiB\n", ""},
		{"why /a", 0, "web5: not replicated: \".DS_Store\" is left out by default (of macOS)\n", ""},
		{"why /a", 0, "web6: not replicated: it is a fifo\n", ""},
		{"why /a", 0, "web7: it is missing there, and the brake holds its deletion", ""},
		{"why /a", 0, "web8: the folder is halted: its root is gone\n", ""},
		{"why /a", 0, "web9: could not be asked: it is not linked\n", ""},
		{"why /a --json", 0, `"no_source": true`, ""},
		{"why /elsewhere", 3, "", "it lies in no folder of this member"},
		{"why", 2, "", "usage: tandem why PATH"},
	} {
		a, out, errOut := quietApp()
		if code := a.run(t.Context(), append(strings.Fields(c.args), "--socket", socket)); code != c.code {
			t.Errorf("%s ends with %d, want %d", c.args, code, c.code)
		}
		if !strings.Contains(out.String(), c.out) || c.out == "" && out.Len() > 0 {
			t.Errorf("%s prints\n%s, want\n%s", c.args, out, c.out)
		}
		if !strings.Contains(errOut.String(), c.errOut) || c.errOut == "" && errOut.Len() > 0 {
			t.Errorf("%s says\n%s, want\n%s", c.args, errOut, c.errOut)
		}
	}
}

// A name that a member can't have is said to be that, and not to be as it should be.
func TestNamesThatAreNotKept(t *testing.T) {
	got, tone := verdictOf(control.WhyMember{Replicated: true, Known: true, State: "at rest", Unkept: []string{"name"},
		Problem: "this file system does not tell its name from readme, which is there"})
	if want := "not kept there: this file system does not tell its name from readme, which is there"; got != want || tone != warn {
		t.Errorf("%q, tone %v", got, tone)
	}
	if got, want := unkept(map[string]int64{"name": 2}), "2 name (not kept here: the file system refuses it, or takes it for another)"; got != want {
		t.Errorf("%q", got)
	}
}
