package install

import (
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// Preserved is what was kept of a path outside the tree: a file or symlink, or that there was a directory.
type Preserved struct {
	ID     string
	Path   farm.Path
	Attr   farm.Attr
	Reason farm.Reason
	Lost   farm.Stamp // the write whose content it is; zero if nobody has versioned it
	By     farm.Stamp // the write that took its place; zero if unknown
	Time   time.Time  // when it was preserved
}

// keep moves name, a file or symlink in staging, to the preserved files as p, and tells so. Is the same preserved
// already, name is removed.
func (k *Keeper) keep(name farm.Path, st vfs.Stat, p Preserved) error {
	if st.Type == farm.File && st.Links > 1 {
		if err := k.unlink(name, p.Attr); err != nil {
			return err
		}
	}
	added, err := k.kept.add(name, p)
	if err != nil || added.ID == "" {
		return err
	}
	k.tell(&k.told.kept, added, k.tellKept)
	return nil
}

// unlink has name, in staging, be a copy of its own of what has other names too: who writes to those must not write to what
// is preserved. A content that is another by now is Unstable.
func (k *Keeper) unlink(name farm.Path, want farm.Attr) error {
	f, err := k.fs.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	t, err := k.fs.Temp()
	if err != nil {
		return err
	}
	defer t.Close()
	if _, err = t.CopyFrom(f); err != nil {
		return err
	}
	d, _, err := sum(t, want.Size)
	if err != nil {
		return err
	}
	if d != want.Digest {
		return farm.Errorf("preserve", name.String(), farm.Unstable, "written to under another name")
	}
	if err = t.SetAttr(vfs.SetAttr{Mode: &want.Mode, Owner: &want.Owner, XAttrs: &want.XAttrs, MTime: &want.MTime}); err != nil {
		return err
	}
	copied := k.stagingName("new-%d-%s", want.Digest[:8])
	if err = t.Link(copied); err != nil {
		return err
	}
	if err = k.fs.Exchange(copied, name); err != nil {
		return err
	}
	return k.fs.Remove(copied)
}

func (k *Keeper) tellKept(p Preserved) {
	sev := farm.Warning
	if p.Reason.Meant() {
		sev = farm.Info
	}
	k.cfg.Sink(farm.Event{ID: farm.EventFilePreserved, Severity: sev, Folder: k.cfg.Folder, Subject: p.Path.String(), Message: why(p.Reason),
		Next: "tandem conflicts show " + p.ID, Fields: map[string]string{
			"id": p.ID, "reason": string(p.Reason), "version": dotText(p.Lost.Dot), "digest": p.Attr.Digest.String(),
		}})
}

func (k *Keeper) tellDropped(p Preserved) {
	k.cfg.Sink(farm.Event{ID: farm.EventFileDropped, Severity: farm.Warning, Folder: k.cfg.Folder, Subject: p.Path.String(),
		Message: "a preserved file was removed to make room for newer ones", Fields: map[string]string{"id": p.ID, "reason": string(p.Reason)}})
}

func (k *Keeper) tellExpired(p Preserved) {
	k.cfg.Sink(farm.Event{ID: farm.EventFileDropped, Severity: farm.Info, Folder: k.cfg.Folder, Subject: p.Path.String(),
		Message: "a preserved file was removed because of its age", Fields: map[string]string{"id": p.ID, "reason": string(p.Reason)}})
}

// why is a reason in words for people.
func why(r farm.Reason) string {
	switch r {
	case farm.ReasonConflict:
		return "the version that lost a conflict was preserved"
	case farm.ReasonDeleted:
		return "it was deleted on another member, and preserved here"
	case farm.ReasonLateWrite:
		return "what was written to a file after it had been replaced was preserved"
	case farm.ReasonDisplaced:
		return "what stood in the way while the path was being changed was preserved"
	case farm.ReasonUndone:
		return "what was changed on a node that only reads was preserved"
	case farm.ReasonQuarantined:
		return "what the farm did not know when this node joined was preserved"
	case farm.ReasonReplaced:
		return "what a restore replaced was preserved"
	}
	return "what a crash left was preserved"
}

// reasonOf is why a plan keeps what it displaces.
func reasonOf(l *lost) farm.Reason {
	if l.Why == "" {
		return farm.ReasonConflict
	}
	return l.Why
}

// List returns what is preserved, the oldest first.
func (k *Keeper) List() ([]Preserved, error) { return k.kept.list(), nil }

// Newest yields what is preserved now, the newest first.
func (k *Keeper) Newest() iter.Seq[Preserved] { return k.kept.newest }

// Preserved returns the preserved file of that id.
func (k *Keeper) Preserved(id string) (Preserved, bool) { return k.kept.get(id) }

// OpenPreserved opens the content of a preserved file; that of a symlink is its text. The caller closes it.
func (k *Keeper) OpenPreserved(id string) (Preserved, io.ReadCloser, error) {
	p, ok := k.kept.get(id)
	switch {
	case !ok:
		return p, nil, farm.Errorf("open preserved", id, farm.NotFound, "no preserved file has this id")
	case p.Attr.Type == farm.Symlink:
		return p, io.NopCloser(strings.NewReader(p.Attr.Target)), nil
	case p.Attr.Type == farm.Dir:
		return p, nil, farm.Errorf("open preserved", id, farm.Unsupported, "it is a directory")
	}
	f, err := k.fs.Open(dataPath(id))
	return p, f, err
}

// DropPreserved removes a preserved file for good.
func (k *Keeper) DropPreserved(id string) error {
	dropped, err := k.kept.drop(id)
	if err == nil && !dropped {
		return farm.Errorf("drop preserved", id, farm.NotFound, "no preserved file has this id")
	}
	return err
}

// Usage is what the preserved files of a folder amount to.
type Usage struct {
	Files     int
	Bytes     int64
	Conflicts int       // of the files: those that nobody wanted to lose
	Oldest    time.Time // zero: there are none
}

// PreservedUsage costs nothing.
func (k *Keeper) PreservedUsage() Usage { return k.kept.usage() }

// singleEvents is how many files a sweep names one by one; of more it tells the number.
const singleEvents = 8

// told thins out what is told of many files at once.
type told struct {
	kept, dropped, expired tally
}

type tally struct {
	named int
	more  int
}

// tell names p, or counts it. Only what was meant to go, or goes by itself, comes in masses; the rest is always named.
func (k *Keeper) tell(c *tally, p Preserved, name func(Preserved)) {
	k.telling.Lock()
	single := c == &k.told.kept && !p.Reason.Meant() || c.named < singleEvents
	if single {
		c.named++
	} else {
		c.more++
	}
	k.telling.Unlock()
	if single {
		name(p)
	}
}

// tellRest ends what one sweep tells.
func (k *Keeper) tellRest() {
	k.telling.Lock()
	t := k.told
	k.told = told{}
	k.telling.Unlock()
	rest := func(c tally, id farm.EventID, sev farm.Severity, message string) {
		if c.more > 0 {
			k.cfg.Sink(farm.Event{ID: id, Severity: sev, Folder: k.cfg.Folder, Subject: string(k.cfg.Folder), Message: message,
				Next: "tandem conflicts list --folder " + string(k.cfg.Folder), Fields: map[string]string{"count": strconv.Itoa(c.more)}})
		}
	}
	rest(t.kept, farm.EventFilePreserved, farm.Info, "many files were deleted on another member and are preserved here: single events left out")
	rest(t.dropped, farm.EventFileDropped, farm.Warning, "many preserved files were removed to make room for newer ones: single events left out")
	rest(t.expired, farm.EventFileDropped, farm.Info, "many preserved files were removed because of their age: single events left out")
}
