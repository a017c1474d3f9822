package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

type op string

const (
	opReplace op = "replace" // staging's name was exchanged with the path
	opRemove  op = "remove"  // the path was renamed to staging's name
	opAttr    op = "attr"    // attributes are set one after the other
	opParent  op = "parent"  // a directory is writable for a moment
	opMade    op = "made"    // the path was free and has got what was wanted; written afterwards
	opMove    op = "move"    // a directory is renamed to the path
)

// intent is written down before the tree is touched.
type intent struct {
	Op     op
	Name   string // in staging; unique
	path   farm.Path
	want   farm.Attr
	expect farm.Attr
	lost   *lost
	move   *moveIntent
}

// moveIntent is what an opMove is about.
type moveIntent struct {
	farm.Move
	ino   uint64 // of the directory
	syncs int    // since it was done
}

// name is the place in staging.
func (in intent) name() farm.Path { return farm.MustPath(vfs.StagingDir + "/" + in.Name) }

// line is an intent in the log, or, with OK, that what it did was looked at and is as expected, or over.
type line struct {
	Name   string      `json:"name"`
	OK     bool        `json:"ok,omitempty"`
	Op     op          `json:"op,omitempty"`
	Path   text        `json:"path,omitempty"`
	Want   *attrRecord `json:"want,omitempty"`
	Expect *attrRecord `json:"expect,omitempty"`
	Lost   *lostRecord `json:"lost,omitempty"`
	Move   *moveRecord `json:"move,omitempty"`
}

// intents is the log of intents: two files that take turns, so that it can begin anew without a moment of not knowing.
type intents struct {
	fs vfs.FS

	mu    sync.Mutex
	logs  [2]vfs.Log
	at    int // index of the log in use
	bytes int // in it
	live  map[string]entry
	young []line // opMade, since the last compact: their end may not be in the index yet
}

type entry struct {
	intent
	verified bool
}

// maxLogBytes is when the log begins anew; half of what the file system has reserved for it.
const maxLogBytes = 512 << 10

func logPath(i int) farm.Path {
	return farm.MustPath(farm.PrivateDir + "/" + [...]string{"intents.0", "intents.1"}[i])
}

// openIntents opens the log for more. live is what it says now.
func openIntents(fs vfs.FS, live map[string]entry) (*intents, error) {
	s := &intents{fs: fs, live: live}
	var err error
	s.logs, err = openLogs(fs, logPath)
	return s, err
}

// openLogs opens two logs that take turns, or none.
func openLogs(fs vfs.FS, path func(int) farm.Path) (logs [2]vfs.Log, err error) {
	if logs[0], err = fs.OpenLog(path(0)); err != nil {
		return logs, err
	}
	if logs[1], err = fs.OpenLog(path(1)); err != nil {
		return logs, errors.Join(err, logs[0].Close())
	}
	return logs, nil
}

func (s *intents) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.logs[0].Close(), s.logs[1].Close())
}

// tidy begins the log anew with what is still open, in a way that a crash between leaves no moment of not knowing.
func (s *intents) tidy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writeLive(); err != nil {
		return err
	}
	if err := s.logs[1-s.at].Reset(); err != nil {
		return err
	}
	return s.swap()
}

// begin writes the intents down, all at once. Without that the tree must not be touched.
func (s *intents) begin(list ...intent) error {
	lines := make([]line, len(list))
	for i, in := range list {
		lines[i] = beginLine(in)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.write(lines...); err != nil {
		return err
	}
	for _, in := range list {
		s.live[in.Name] = entry{intent: in}
	}
	return nil
}

func beginLine(in intent) line {
	if in.move != nil {
		return line{Name: in.Name, Op: in.Op, Path: text(in.path.String()), Move: in.move.record()}
	}
	want, expect := recordOf(in.want), recordOf(in.expect)
	return line{Name: in.Name, Op: in.Op, Path: text(in.path.String()), Want: &want, Expect: &expect, Lost: in.lost.record()}
}

// verified writes down that what is in staging under the names is what was expected.
func (s *intents) verified(names ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := make([]line, len(names))
	for i, name := range names {
		lines[i] = line{Name: name, OK: true}
		if e, ok := s.live[name]; ok {
			e.verified = true
			s.live[name] = e
		}
	}
	return s.write(lines...)
}

// end forgets an intent that left nothing in staging: without a leftover of that name it has no meaning.
func (s *intents) end(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, name)
}

// done ends an intent that means something without a leftover. If that can't be written down, the worst is that
// Recover does again what was done.
func (s *intents) done(in intent) {
	_ = s.verified(in.Name)
	s.end(in.Name)
}

// made writes down, all at once, that objects have got free names. If that fails, or does not come to it, the worst is
// that an application which removes one of them while we are down does so in vain.
func (s *intents) made(lines []line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.write(lines...) == nil {
		s.young = append(s.young, lines...)
	}
}

func (s *intents) write(lines ...line) error {
	var all []byte
	for _, l := range lines {
		b, err := json.Marshal(l)
		if err != nil {
			return farm.Errorf("write intent", l.Name, farm.Internal, "%w", err)
		}
		all = append(append(all, b...), '\n')
	}
	s.bytes += len(all)
	_, err := s.logs[s.at].Write(all)
	return err
}

// compact is tidy once the log has grown.
func (s *intents) compact() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.young = nil }()
	if s.bytes < maxLogBytes {
		return nil
	}
	return s.swap()
}

// swap writes what is still open to the file that is empty, and empties the other.
func (s *intents) swap() error {
	old := s.at
	s.at, s.bytes = 1-old, 0
	if err := s.writeLive(); err != nil {
		s.at = old
		return errors.Join(err, s.logs[1-old].Reset())
	}
	return s.logs[old].Reset()
}

func (s *intents) writeLive() error {
	for _, name := range sortedKeys(s.live) {
		e := s.live[name]
		err := s.write(beginLine(e.intent))
		if err == nil && e.verified {
			err = s.write(line{Name: name, OK: true})
		}
		if err != nil {
			return err
		}
	}
	if len(s.young) > 0 {
		if err := s.write(s.young...); err != nil {
			return err
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, strings.Compare)
	return keys
}

// readIntents returns what both logs say. A last line that was cut off says nothing.
func readIntents(fs vfs.FS) (map[string]entry, error) {
	all := map[string]entry{}
	for i := range 2 {
		f, err := fs.Open(logPath(i))
		if farm.KindOf(err) == farm.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(f)
		_ = f.Close()
		if err != nil {
			return nil, err
		}
		for row := range bytes.Lines(b) {
			addLine(all, row)
		}
	}
	return all, nil
}

func addLine(all map[string]entry, row []byte) {
	var l line
	if json.Unmarshal(row, &l) != nil {
		return
	}
	if e, ok := all[l.Name]; ok && l.OK {
		e.verified = true
		all[l.Name] = e
	} else if in, err := l.intent(); err == nil && !l.OK {
		all[l.Name] = entry{intent: in}
	}
}

func (l line) intent() (intent, error) {
	in := intent{Op: l.Op, Name: l.Name}
	var err error
	if in.path, err = farm.ParsePath(string(l.Path)); err != nil {
		return in, err
	}
	for from, to := range map[*attrRecord]*farm.Attr{l.Want: &in.want, l.Expect: &in.expect} {
		if from == nil {
			continue
		}
		if *to, err = from.attr(); err != nil {
			return in, err
		}
	}
	if in.lost, err = l.Lost.lost(); err == nil && l.Op == opMove {
		in.move, err = l.Move.move(in.path)
	}
	return in, err
}

// age counts a sync, and ends the moves that were done long enough before.
func (s *intents) age() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, e := range s.live {
		if e.move == nil {
			continue
		}
		if e.move.syncs++; e.move.syncs > moveWindow {
			delete(s.live, name)
		}
	}
}
