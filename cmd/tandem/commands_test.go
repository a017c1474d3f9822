package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

// daemon is a backend that answers with what it is given.
type daemon struct {
	status     control.Status
	refuses    config.Faults // what any configuration is told
	applied    control.ConfigApplied
	files      control.Files
	message    string
	removed    farm.MemberID
	invited    control.InviteRequest
	drains     int
	maintained control.Maintenance
}

func (d *daemon) Status(context.Context) (control.Status, error) { return d.status, nil }

func (d *daemon) CheckConfig(_ context.Context, files control.Files) (control.ConfigCheck, error) {
	d.files = files
	return control.ConfigCheck{OK: d.refuses.Err() == nil, Faults: d.refuses}, nil
}

func (d *daemon) ApplyConfig(_ context.Context, e control.ConfigEdit) (control.ConfigApplied, error) {
	d.files, d.message = e.Files, e.Message
	if d.refuses.Err() != nil {
		return control.ConfigApplied{Check: control.ConfigCheck{Faults: d.refuses}}, nil
	}
	return d.applied, nil
}

func (d *daemon) RollbackConfig(ctx context.Context, e control.ConfigEdit) (control.ConfigApplied, error) {
	return d.ApplyConfig(ctx, e)
}

func (d *daemon) ConfigLog(context.Context, int) ([]control.ConfigRevision, error) {
	return []control.ConfigRevision{}, nil
}

func (d *daemon) ConfigRevision(_ context.Context, rev string) (control.ConfigRevision, error) {
	return control.ConfigRevision{Revision: rev, Files: d.files}, nil
}

func (d *daemon) ExportConfig(context.Context, bool) (control.ConfigExport, error) {
	return control.ConfigExport{}, nil
}

func (d *daemon) Probe(_ context.Context, folder farm.FolderID, req control.ProbeRequest, sample func(control.ProbeSample)) error {
	if folder != "uploads" {
		return farm.Errorf("probe", string(folder), farm.NotFound, "this member holds no such folder")
	}
	for i := range req.Count {
		sample(control.ProbeSample{Round: i, Member: "web2", Took: time.Duration(i+1) * time.Millisecond})
	}
	return nil
}

func (d *daemon) Invite(_ context.Context, req control.InviteRequest) (control.Invite, error) {
	d.invited = req
	return control.Invite{Token: "t0ken", Name: req.Name, Roles: req.Roles, Expires: time.Unix(1_800_000_000, 0)}, nil
}

func (d *daemon) PauseMember(_ context.Context, name farm.MemberID, _ bool) error {
	if name != "web2" {
		return farm.Errorf("pause member", string(name), farm.NotFound, "there is no such member")
	}
	return nil
}

func (d *daemon) RemoveMember(_ context.Context, name farm.MemberID) error {
	d.removed = name
	if name != "web2" {
		return farm.Errorf("remove member", string(name), farm.NotFound, "there is no such member")
	}
	return nil
}

// serveDaemon serves d and returns its socket and the journal.
func serveDaemon(t *testing.T, d *daemon) (string, *control.Journal) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tdm") // not t.TempDir, whose long names don't fit a socket address
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	log := slog.New(slog.DiscardHandler)
	j, err := control.OpenJournal(control.JournalOptions{Path: filepath.Join(dir, "events.jsonl"), Member: "web1", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s := control.NewServer(control.ServerOptions{Socket: filepath.Join(dir, "control.sock"), Backend: d, Journal: j, Log: log})
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "control.sock"), j
}

func TestCommandsWithADaemon(t *testing.T) {
	d := &daemon{status: wellStatus()}
	d.status.Config.Members = append(d.status.Config.Members, control.ConfigVerdict{Member: "web3", Faults: []string{"port 80 is taken"}},
		control.ConfigVerdict{Member: "web4", Away: true, Live: true, Revision: "1a2b3c4d5e6f7890"}, control.ConfigVerdict{Member: "web5", Away: true, Live: true})
	d.applied = control.ConfigApplied{Check: control.ConfigCheck{OK: true, Revision: "1a2b3c4d5e6f7890"}, Changed: true, Members: wellStatus().Config.Members}
	socket, j := serveDaemon(t, d)
	j.Sink(farm.Event{ID: farm.EventFileSent, Severity: farm.Info, Folder: "uploads", Subject: "a/b.jpg", Message: "4.0 KiB"})
	j.Sink(farm.Event{ID: farm.EventNodeDown, Severity: farm.Fault, Subject: "web2", Message: "no answer", Next: "look at it"})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, config.FarmFile), []byte("[farm]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args        string
		code        int
		out, errOut string // parts of stdout and stderr; empty: nothing is printed
	}{
		{"status", 0, "2 things are wrong:\n  - node.down web2: no answer, for ", ""},
		{"status --json", 0, `"member": "web1"`, ""},
		{"member list", 0, "web2    node        up        0.41 ms", ""},
		{"member list --json", 0, `"name": "web2"`, ""},
		{"member remove web2", 0, "", "tandem: member web2 is removed\n"},
		{"member pause web2", 0, "", "tandem: member web2 is paused\n"},
		{"member resume web2", 0, "", "tandem: member web2 is resumed\n"},
		{"member pause web9", 3, "", "tandem: pause member web9: there is no such member\n"},
		{"member remove web9", 3, "", "tandem: remove member web9: there is no such member\n"},
		{"folder list", 0, "uploads  Live   yes      12,345", ""},
		{"folder list --json", 0, `"in_sync": true`, ""},
		{"folder probe --count 10", 0, "web2  10 of 10  5.00 ms  10.00 ms  10.00 ms  10.00 ms\n", ""},
		{"folder probe uploads --json --count 2", 0, `"p50_ms": 1`, ""},
		{"folder probe wiki", 3, "", "tandem: probe wiki: this member holds no such folder\n"},
		{"folder probe --count 0", 2, "", "a probe writes 1 to 10000 files"},
		{"folder seed", 0, "only here  1      5 B   waits for your choice\n  only here: old.txt (file, 5 B)\n", ""},
		{"folder seed shop --dry-run", 0, "Z, 1 d 2 h ago\n", ""},
		{"folder seed shop --dry-run", 0, "equal      3      30 B  stayed, nothing was transferred\n", ""},
		{"folder seed new --dry-run", 0, "new: was never seeded: no other member held it when it began here\n", ""},
		{"folder seed shop --dry-run --json --extra push --yes", 0, `"choice": "wait"`, ""},
		{"folder seed shop --extra push", 2, "becomes the farm's", "add --yes to push what only this member has"},
		{"folder seed shop --extra push --yes", 0, "shop: push: 1 path, 5 B\n", ""},
		{"folder seed shop --extra drop --yes", 2, "", "extra files are handled by quarantine or push"},
		{"config status", 0, "web3    -             no    -      port 80 is taken", ""},
		{"config status", 0, "web4    1a2b3c4d5e6f  away  -      not linked; it said this last\n", ""},
		{"config status", 0, "web5    -             away  -      not linked\n", ""},
		{"config status --json", 0, `"author": "web2"`, ""},
		{"config apply -m why", 0, "web2    1a2b3c4d5e6f  yes   -", ""},
		{"config apply --json", 0, `"changed": true`, ""},
		{"invite", 0, "tandem join t0ken --run\n", "tandem: run that on the other server, once, before "},
		{"invite web3 --role edge --ttl 10m", 0, "tandem join t0ken --run --name web3\n", "before"},
		{"invite --json", 0, `"token": "t0ken"`, ""},
		{"invite --ttl 9999h", 2, "", "an invite lives"},
		{"events", 0, "node.down        web2: no answer (look at it)\n", ""},
		{"events --id file --json", 0, `"subject":"a/b.jpg"`, ""},
		{"events --folder wiki", 0, "", ""},
		{"config check " + dir, 0, "", "no fault"},
	} {
		a, out, errOut := quietApp()
		if code := a.run(t.Context(), append(strings.Fields(c.args), "--socket", socket)); code != c.code {
			t.Errorf("%s ends with %d, want %d", c.args, code, c.code)
		}
		if !strings.Contains(out.String(), c.out) || c.out == "" && out.Len() > 0 {
			t.Errorf("%s prints\n%swant\n%s", c.args, out, c.out)
		}
		if !strings.Contains(errOut.String(), c.errOut) || c.errOut == "" && errOut.Len() > 0 {
			t.Errorf("%s says\n%swant\n%s", c.args, errOut, c.errOut)
		}
	}
	if d.message != "" || d.removed != "web9" || d.invited.Roles[0] != farm.RoleNode || string(d.files[config.FarmFile]) != "[farm]\n" {
		t.Errorf("the daemon was asked for %+v", d)
	}
}

func TestARefusedConfigurationIsAnError(t *testing.T) {
	d := &daemon{refuses: config.Faults{{File: "farm.toml", Line: 3, Column: 7, Message: "unknown key"}, {Message: "hm", Warning: true}}}
	socket, _ := serveDaemon(t, d)
	for _, args := range []string{"config apply", "config apply --json"} {
		a, out, errOut := quietApp()
		code := a.run(t.Context(), append(strings.Fields(args), "--socket", socket))
		if code != farm.Invalid.ExitCode() || errOut.String() != "tandem: 1 fault; nothing has changed\n" || !strings.Contains(out.String(), "unknown key") {
			t.Errorf("%s ends with %d and says %q and %q", args, code, out, errOut)
		}
	}
	d.refuses = nil
	d.applied = control.ConfigApplied{Check: control.ConfigCheck{OK: true}, Members: []control.ConfigVerdict{{Member: "web2", Faults: []string{"port 80 is taken"}}}}
	a, _, errOut := quietApp()
	if code := a.run(t.Context(), []string{"config", "apply", "--socket", socket}); code != farm.Conflict.ExitCode() || !strings.Contains(errOut.String(), "member web2 refuses the revision: port 80 is taken") {
		t.Errorf("a revision that another member refuses ends with %d and says %q", code, errOut)
	}
}

func TestFollowEndsWithCtrlC(t *testing.T) {
	socket, j := serveDaemon(t, &daemon{})
	a, _, errOut := quietApp()
	ctx, cancel := context.WithCancel(t.Context())
	a.ui.out.w = writerFunc(func(p []byte) (int, error) { // the first event has been printed
		cancel()
		return len(p), nil
	})
	j.Sink(farm.Event{ID: farm.EventFileSent, Subject: "a"})
	if code := a.run(ctx, []string{"events", "--follow", "--socket", socket}); code != 0 || errOut.Len() > 0 {
		t.Errorf("events --follow ends with %d and says %q", code, errOut)
	}
}

func TestOutputThatCantBeWrittenIsAnError(t *testing.T) {
	a, _, errOut := quietApp()
	a.ui.out.w = writerFunc(func([]byte) (int, error) { return 0, errors.New("disk full") })
	if code := a.run(t.Context(), []string{"version"}); code != 1 || !strings.Contains(errOut.String(), "write output: disk full") {
		t.Errorf("version to a full disk ends with %d and says %q", code, errOut)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestJoinAndInitHandOverWhatWasTyped(t *testing.T) {
	a, _, errOut := quietApp()
	var made initOptions
	var joined joinOptions
	var token string
	a.parts.Init = func(_ context.Context, o initOptions) error { made = o; return nil }
	a.parts.Join = func(_ context.Context, t string, o joinOptions) error { token, joined = t, o; return nil }
	served := 0
	a.parts.Run = func(_ context.Context, o runOptions) error { served++; return nil }

	places := []string{"--config", "/c", "--state", "/s"}
	if code := a.run(t.Context(), append([]string{"init", "--farm", "shop", "--name", "web1", "--address", "192.0.2.11", "--role", "node,edge"}, places...)); code != 0 {
		t.Errorf("init ends with %d: %s", code, errOut)
	}
	if made.Paths != (paths{Config: "/c", State: "/s", Socket: "/s/control.sock"}) || made.Name != "web1" || made.Farm != "shop" || made.Address != "192.0.2.11" || len(made.Roles) != 2 || served != 0 {
		t.Errorf("init makes %+v, and %d daemons run", made, served)
	}
	if want := "tandem: serve with: tandem run --config /c --state /s\n"; !strings.Contains(errOut.String(), want) {
		t.Errorf("init says %q, want %q in it", errOut, want)
	}
	a, _, errOut = quietAppWith(a.parts)
	if code := a.run(t.Context(), append([]string{"join", "t0ken", "--name", "web2", "--address", "192.0.2.12", "--run"}, places...)); code != 0 {
		t.Errorf("join ends with %d: %s", code, errOut)
	}
	if token != "t0ken" || joined.Name != "web2" || joined.Address != "192.0.2.12" || served != 1 {
		t.Errorf("join makes %+v with %s, and %d daemons run", joined, token, served)
	}
}

func (d *daemon) Seed(_ context.Context, folder farm.FolderID) (control.SeedSummary, error) {
	if folder == "new" {
		return control.SeedSummary{Folder: folder, Choice: "wait"}, nil
	}
	since := time.Now().Add(-26 * time.Hour)
	return control.SeedSummary{Folder: folder, Since: &since, Choice: "wait", Equal: control.SeedTally{Paths: 3, Bytes: 30}, Extra: control.SeedTally{Paths: 1, Bytes: 5},
		Examples: []control.SeedExample{{Path: "old.txt", Type: "file", Bytes: 5}}}, nil
}

func (d *daemon) ChooseExtra(_ context.Context, folder farm.FolderID, extra farm.ExtraFiles) error {
	if folder != "shop" || extra != farm.ExtraPush {
		return farm.Errorf("choose", string(folder), farm.Conflict, "asked for %s", extra)
	}
	return nil
}

func (d *daemon) Secrets(context.Context) ([]control.Secret, error) {
	return []control.Secret{}, nil
}

func (d *daemon) ExportSecrets(context.Context, string, string) ([]byte, error) {
	return nil, nil
}

func (d *daemon) SetSecret(context.Context, string, string) (control.ConfigApplied, error) {
	return control.ConfigApplied{Check: control.ConfigCheck{OK: true}, Changed: true}, nil
}
