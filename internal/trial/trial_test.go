package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tandem/internal/farm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// folder is a Folder with one file: what is on disk, and what others have made of it.
type folder struct {
	mu      sync.Mutex // guards all below
	t       *testing.T
	trial   *Trial
	now     Waits
	disk    string // what is on disk
	want    string // what others have written
	sent    []string
	checks  int
	applied []string
	bad     map[string]bool // contents that do not pass
	noApply error
	events  []string
	slow    time.Duration // a check takes that long
}

func newFolder(t *testing.T) *folder {
	f := &folder{t: t, disk: "one", want: "one", bad: map[string]bool{}}
	f.open(t.TempDir())
	return f
}

func (f *folder) open(dir string) {
	var err error
	f.trial, err = New(Config{
		ID: "web", Dir: filepath.Join(dir, "trial"), Folder: f, Commands: Commands{Check: "check", Apply: "apply", CheckTime: time.Minute, ApplyTime: time.Minute},
		Sink: func(e farm.Event) {
			defer f.lock()()
			f.events = append(f.events, fmt.Sprintf("%s %s %s", e.ID, e.Severity, e.Message))
		},
		Told: func() {}, Execute: f.execute,
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// lock locks, and returns what unlocks.
func (f *folder) lock() func() {
	f.mu.Lock()
	return f.mu.Unlock
}

func (f *folder) execute(ctx context.Context, command string, _ time.Duration, _ string, _ []string) (string, error) {
	unlock := f.lock()
	if command == "apply" {
		defer unlock()
		f.applied = append(f.applied, f.disk)
		return "", f.noApply
	}
	f.checks++
	is, bad, slow := f.disk, f.bad[f.disk], f.slow
	unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if bad {
		return "first\n[emerg] " + is + " is bad\nlast", errors.New("exit status 1")
	}
	return "", nil
}

func (f *folder) Waits() Waits {
	defer f.lock()()
	return f.now
}

func (f *folder) Pass(context.Context) error {
	defer f.lock()()
	f.sent = append(f.sent, f.disk)
	f.now.Own = 0
	f.trial.Changed()
	return nil
}

func (f *folder) Try(_ context.Context, on bool) error {
	defer f.lock()()
	if !on || f.now.Others == 0 {
		return nil
	}
	was := f.disk
	if err := f.trial.Keep(farm.MustPath("f"), diskOf(was), func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(was)), nil
	}); err != nil {
		return err
	}
	f.disk, f.now.Others = f.want, 0
	f.trial.Changed()
	return nil
}

func (f *folder) Back(_ context.Context, disks map[farm.Path]farm.Disk) error {
	defer f.lock()()
	if want := map[farm.Path]bool{farm.MustPath("f"): true}; len(disks) != 1 || !maps.EqualFunc(disks, want, func(farm.Disk, bool) bool { return true }) {
		f.t.Errorf("put back: %v", disks)
	}
	for _, d := range disks {
		r, _, err := f.trial.Open(d.Digest)
		if err != nil {
			return err
		}
		b, _ := io.ReadAll(r)
		f.disk = string(b)
		_ = r.Close()
	}
	f.now.Others = 1
	f.trial.Changed()
	return nil
}

func diskOf(content string) farm.Disk {
	d := farm.Disk{Attr: farm.Attr{Type: farm.File, Size: int64(len(content)), Mode: 0o644}}
	copy(d.Digest[:], content)
	return d
}

// applies says what comes of the next apply.
func (f *folder) applies(err error) {
	defer f.lock()()
	f.noApply = err
}

// said are the events.
func (f *folder) said() []string {
	defer f.lock()()
	return slices.Clone(f.events)
}

// tried is how many checks there were.
func (f *folder) tried() int {
	defer f.lock()()
	return f.checks
}

// fail says whether a content passes.
func (f *folder) fail(content string, is bool) {
	defer f.lock()()
	f.bad[content] = is
}

// type_ changes the file here; others changes it elsewhere.
func (f *folder) type_(content string) {
	defer f.lock()()
	f.disk = content
	f.now.Own, f.now.Asked = 1, f.now.Asked+1
	f.trial.Changed()
}

func (f *folder) others(content string) {
	defer f.lock()()
	f.want, f.now.Others = content, 1
	f.now.Known = f.now.Known.With(farm.Position{Actor: farm.Actor{Member: "other", Epoch: 1}, Seq: f.now.Known.At(farm.Actor{Member: "other", Epoch: 1}) + 1})
	f.trial.Changed()
}

func (f *folder) expect(what, disk string, sent, applied int, refused bool) {
	f.t.Helper()
	defer f.lock()()
	if f.disk != disk || len(f.sent) != sent || len(f.applied) != applied || (f.trial.Refused() != "") != refused {
		f.t.Errorf("%s: on disk %q, sent %q, applied %q, refused %q; want %q, %d sent, %d applied, refused %v\n%s",
			what, f.disk, f.sent, f.applied, f.trial.Refused(), disk, sent, applied, refused, strings.Join(f.events, "\n"))
	}
}

// run runs the trial in a bubble, with what happens in it.
func run(t *testing.T, play func(f *folder, wait func(time.Duration))) {
	synctest.Test(t, func(t *testing.T) {
		f := newFolder(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.trial.Run(ctx) }()
		play(f, func(d time.Duration) { time.Sleep(d); synctest.Wait() })
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestOwnChanges(t *testing.T) {
	run(t, func(f *folder, wait func(time.Duration)) {
		f.type_("two")
		wait(quietTime / 2)
		f.type_("three")
		wait(quietTime * 2)
		f.expect("a good change is sent and used", "three", 1, 1, false)
		f.fail("four", true)
		f.type_("four")
		wait(time.Second)
		f.expect("a bad one stays here and is not sent", "four", 1, 1, true)
		if want := "check: [emerg] four is bad (exit status 1)"; f.trial.Refused() != want {
			t.Errorf("refused: %q, want %q", f.trial.Refused(), want)
		}
		f.type_("five")
		wait(time.Second)
		f.expect("mended", "five", 2, 2, false)
		if want := []string{
			"folder.apply info apply",
			"folder.check fault what was changed here stays here, and is not sent to the others: check: [emerg] four is bad (exit status 1)",
			"folder.check healed nothing that was refused waits any more", "folder.apply info apply",
		}; fmt.Sprint(sorted(f.said())) != fmt.Sprint(sorted(want)) {
			t.Errorf("events: %q\nwant %q", f.said(), want)
		}
	})
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

func TestWhatIsMissingHereMayCome(t *testing.T) {
	run(t, func(f *folder, wait func(time.Duration)) {
		f.fail("two", true)
		f.type_("two")
		wait(time.Second)
		f.expect("refused", "two", 0, 0, true)
		f.fail("two", false)
		wait(againTime)
		f.expect("checked again by itself", "two", 1, 1, false)
	})
}

func TestOthersChanges(t *testing.T) {
	run(t, func(f *folder, wait func(time.Duration)) {
		f.others("two")
		wait(time.Second)
		f.expect("a good change", "two", 0, 1, false)
		f.fail("three", true)
		f.others("three")
		wait(time.Second)
		f.expect("a bad change", "two", 0, 1, true)
		checks := f.tried()
		wait(10 * time.Minute)
		if f.tried() != checks {
			t.Error("what was refused was put on disk again by itself")
		}
		f.trial.Again()
		wait(time.Second)
		f.expect("tried again", "two", 0, 1, true)
		if f.tried() != checks+1 {
			t.Errorf("%d checks, want one more than %d", f.tried(), checks)
		}
		f.fail("three", false)
		f.trial.Again()
		wait(time.Second)
		f.expect("tried again when it can pass", "three", 0, 2, false)
		f.fail("four", true)
		f.others("four")
		wait(time.Second)
		f.others("five")
		wait(time.Second)
		f.expect("the next change", "five", 0, 3, false)
	})
}

func TestOwnBeforeOthers(t *testing.T) {
	run(t, func(f *folder, wait func(time.Duration)) {
		f.fail("typed", true)
		f.type_("typed")
		wait(time.Second)
		f.others("two")
		wait(time.Minute)
		f.expect("others' wait for what is typed here", "typed", 0, 0, true)
		f.fail("typed", false)
		f.type_("better")
		wait(time.Second)
		f.expect("then they come", "two", 1, 1, false)
	})
}

func TestApplyThatFails(t *testing.T) {
	run(t, func(f *folder, wait func(time.Duration)) {
		f.applies(errors.New("exit status 1"))
		f.others("two")
		wait(time.Second)
		f.expect("kept", "two", 0, 1, false)
		wait(againTime)
		f.expect("tried again", "two", 0, 2, false)
		f.applies(nil)
		wait(againTime)
		if all := f.said(); len(all) != 2 || all[1] != "folder.apply healed apply" {
			t.Errorf("events: %q", all)
		}
		wait(10 * againTime)
		f.expect("not when it has come off", "two", 0, 3, false)
	})
}

func TestCrashWhileTrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFolder(t)
		dir := filepath.Dir(f.trial.cfg.Dir)
		f.slow, f.bad["two"] = time.Minute, true
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.trial.Run(ctx) }()
		f.others("two")
		time.Sleep(10 * time.Second)
		cancel() // as good as kill -9: what counts is on disk
		if err := <-done; err != nil {
			t.Error(err)
		}
		f.expect("in the middle", "two", 0, 0, false)
		f.open(dir)
		ctx, cancel = context.WithCancel(t.Context())
		go func() { done <- f.trial.Run(ctx) }()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		f.expect("decided after the crash", "one", 0, 0, true)
		if _, err := os.Stat(f.trial.cfg.Dir); !os.IsNotExist(err) {
			t.Errorf("what was kept is still there: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestStoreIsWholeAfterACut reads what a power cut may have left of the rows.
func TestStoreIsWholeAfterACut(t *testing.T) {
	dir := t.TempDir()
	s, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	content := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }
	for _, p := range []string{"a", "d/b", "c"} {
		d := diskOf(p)
		d.Target, d.Context = "t\xff", farm.VectorOf(farm.Position{Actor: farm.Actor{Member: "m", Epoch: 2}, Seq: 3})
		if err := s.keep(farm.MustPath(p), d, content); err != nil {
			t.Fatal(err)
		}
	}
	want := s.replaced()
	whole, err := os.ReadFile(s.rows())
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) + 1 {
		if err := os.WriteFile(s.rows(), whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		cut, err := openStore(dir)
		if err != nil {
			t.Fatal(err)
		}
		for p, d := range cut.replaced() {
			if w := want[p]; !d.Attr.Same(w.Attr) || !d.Context.Equal(w.Context) {
				t.Fatalf("cut to %d bytes: %s is %v, want %v", n, p, d, w)
			}
		}
		if n == len(whole) && len(cut.replaced()) != 3 {
			t.Errorf("%d of 3 rows are read back", len(cut.replaced()))
		}
		if err := cut.keep(farm.MustPath("later"), farm.Disk{}, content); err != nil {
			t.Fatal(err)
		}
		again, err := openStore(dir)
		if err != nil || len(again.replaced()) != len(cut.replaced()) {
			t.Fatalf("cut to %d bytes and gone on: %d rows, want %d (%v)", n, len(again.replaced()), len(cut.replaced()), err)
		}
	}
}

func TestExecute(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("the commands of this test are for /bin/sh")
	}
	dir := t.TempDir()
	for name, c := range map[string]struct{ command, said, err string }{
		"environment": {"echo $TANDEM_FOLDER; pwd", "web\n" + dir + "\n", "<nil>"},
		"fails":       {"echo no >&2; exit 3", "no\n", "exit status 3"},
		"long output": {"yes 12345678901234567890123456789 | head -1000; echo end", strings.Repeat("12345678901234567890123456789\n", 200) + "end\n", "<nil>"},
		"not there":   {"/nowhere/at-all 2>/dev/null", "", "exit status 127"},
	} {
		said, err := execute(t.Context(), c.command, time.Minute, dir, []string{"TANDEM_FOLDER=web"})
		if c.said = string(bytes.TrimSpace([]byte(c.said))); len(c.said) > maxOutput {
			c.said = c.said[len(c.said)-maxOutput+1:]
		}
		if strings.TrimSpace(said) != c.said || len(said) > maxOutput || fmt.Sprint(err) != c.err {
			t.Errorf("%s: said %d bytes %q, %v", name, len(said), said, err)
		}
	}
}

// TestLimit kills a command with what it has started.
func TestLimit(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("the commands of this test are for /bin/sh")
	}
	begun := time.Now()
	said, err := execute(t.Context(), "echo begun; sleep 60 & sleep 60", 300*time.Millisecond, t.TempDir(), nil)
	if err == nil || !strings.Contains(err.Error(), "longer than 300ms") || said != "begun\n" || time.Since(begun) > 20*time.Second {
		t.Errorf("after %s: %q, %v", time.Since(begun), said, err)
	}
}
