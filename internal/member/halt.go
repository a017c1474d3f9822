package member

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
	"tandem/internal/index"
	"tandem/internal/vfs"
)

const (
	rootCheck = time.Second     // between looks whether a folder's root is still the one that was opened
	mendEvery = 2 * time.Second // between attempts to open a folder that is halted
	fullEvery = time.Minute     // ... because a disk is full, and seems to be as full as it was

	// With less free space than lowState the disk of the state directory is to blame; with moreState more than there was, a
	// folder is tried again at once. Bytes.
	lowState  = 16 << 20
	moreState = 1 << 20
)

// errNoRoot says that the folder was replicated before and that what is at its path now was not. To go on would delete
// everywhere what is missing here.
var errNoRoot = errors.New("the directory is not the one that was replicated: it is missing, or has no " + farm.PrivateDir + " in it")

// checkRoot refuses a root without our private area where the index says that there are files.
func checkRoot(root string, entries int64) error {
	if entries == 0 {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(root, farm.PrivateDir)); err != nil {
		return &farm.Error{Op: "check root", Path: root, Kind: farm.Conflict, Err: errNoRoot}
	}
	return nil
}

// guard ends the folder when its root is gone or has become another directory.
func (f *folder) guard(ctx context.Context) error {
	t := time.NewTicker(rootCheck)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if err := f.fs.CheckRoot(); err != nil {
				return err
			}
			f.measure()
			f.m.tellConflicts(f)
		}
	}
}

// start makes the folder one of those that run. If it was halted, that is over.
func (fs *folders) start(f *folder) {
	id := f.spec.id
	fs.mu.Lock()
	fs.at[id] = f
	_, was := fs.why[id]
	delete(fs.why, id)
	delete(fs.anew, id)
	fs.mu.Unlock()
	if was {
		fs.m.sink(farm.Event{ID: farm.EventFolderHalted, Severity: farm.Healed, Folder: id, Subject: string(id), Message: "goes on"})
	}
}

// remove takes the folder out of those that run, unless another has taken its place.
func (fs *folders) remove(f *folder) {
	fs.mu.Lock()
	mine := fs.at[f.spec.id] == f
	if mine {
		delete(fs.at, f.spec.id)
	}
	fs.mu.Unlock()
	if mine {
		fs.m.dropFolder(f.spec.id)
	}
}

// halted is why a folder does not run.
type halted struct {
	why   string
	next  string    // what to do about it
	again time.Time // when it is tried again at the latest
	needs uint64    // free bytes on the disk of the state directory with which it is tried at once; 0: nothing hastens it
	cut   int64     // not 0: its disk took no more writes from this moment on, nanoseconds since 1970; what was not durable may be lost
}

// halt remembers why a folder does not run, and tells it once.
func (fs *folders) halt(s folderSpec, what string, err error) {
	h := fs.reasonFor(s, what, err)
	fs.mu.Lock()
	was, told := fs.why[s.id]
	if was.cut != 0 {
		h.cut = was.cut
	}
	fs.why[s.id] = h
	fs.mu.Unlock()
	if !told {
		fs.m.sink(farm.Event{ID: farm.EventFolderHalted, Severity: farm.Fault, Folder: s.id, Subject: string(s.id), Message: h.why, Next: h.next})
	}
}

// reasonFor finds out which disk is to blame.
func (fs *folders) reasonFor(s folderSpec, what string, err error) halted {
	h := halted{why: what + ": " + err.Error(), next: "bring " + s.root + " back and it goes on by itself; or, to fetch it anew from the others, " +
		"stop the member and remove " + fs.m.paths.index(s.id)}
	state := "the state directory " + fs.m.paths.State
	ours := errors.As(err, new(index.Error))
	free, ferr := fs.m.paths.free()
	low := ferr == nil && free < lowState
	switch full := farm.KindOf(err) == farm.Full; {
	case errors.Is(err, syscall.EMFILE):
		h.next = fmt.Sprintf("raise the limit of open files to %d or more (LimitNOFILE= of the service, or ulimit -n) and restart the member",
			fs.m.filesNeeded())
		return h
	case ours && fs.m.paths.readOnly():
		return readOnly(h, state)
	case !ours && errors.Is(err, syscall.EROFS):
		return readOnly(h, s.root)
	case low && (full || ours): // SQLite mostly calls it an input/output error that there is no room
		h.why = "the disk of " + state + " is full, " + config.Size(free).String() + " are free: " + h.why
		h.needs, h.next = free+moreState, "make room on the disk of "+fs.m.paths.State+"; it goes on by itself"
	case full:
		h.next = "make room on the disk of " + s.root + "; it goes on by itself"
	default:
		return h
	}
	h.again = time.Now().Add(fullEvery)
	return h
}

// readOnly is the reason of a folder for which a disk takes no writes. It holds no file there any more, so that the disk can
// be unmounted, mended and mounted again.
func readOnly(h halted, dir string) halted {
	h.why = "the disk of " + dir + " is read-only: " + h.why
	h.next = "make it writable and it goes on by itself; a disk that the system has set to read-only has had errors (see dmesg, and fsck)"
	h.cut = time.Now().UnixNano()
	return h
}

// cutAt is from when on the disk of a folder took no writes before the folder was halted; 0: it did.
func (fs *folders) cutAt(id farm.FolderID) int64 {
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	return fs.why[id].cut
}

// due tells whether a folder that does not run may be tried now.
func (fs *folders) due(id farm.FolderID) bool {
	fs.mu.RLock()
	h := fs.why[id]
	fs.mu.RUnlock()
	if time.Now().After(h.again) {
		return true
	}
	free, err := fs.m.paths.free()
	return h.needs > 0 && err == nil && free >= h.needs
}

// readOnly tells whether the disk of the state directory takes no writes.
func (p Paths) readOnly() bool {
	f, err := os.CreateTemp(p.State, "writable-")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	return errors.Is(err, syscall.EROFS)
}

// free is the number of free bytes on the disk of the state directory.
func (p Paths) free() (uint64, error) {
	dir, err := vfs.OpenWith(p.State, vfs.Options{})
	if err != nil {
		return 0, err
	}
	free, _, err := dir.Free()
	return free, errors.Join(err, dir.Close())
}

// rejoin gives the index of a folder up that has ended because of that. It is opened again soon.
func (fs *folders) rejoin(s folderSpec) {
	if _, err := index.Reset(fs.m.paths.index(s.id), time.Now()); err != nil {
		fs.halt(s, "it is to be seeded anew, and its index can't be set aside", err)
		return
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.anew[s.id] = true
}

func (fs *folders) isAnew(id farm.FolderID) bool {
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	return fs.anew[id]
}

// forget drops the reasons of folders that this member does not hold any more.
func (fs *folders) forget(want map[farm.FolderID]folderSpec) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for id := range fs.why {
		if _, ok := want[id]; !ok {
			delete(fs.why, id)
		}
	}
	for id := range fs.anew {
		if _, ok := want[id]; !ok {
			delete(fs.anew, id)
		}
	}
}

// reason is why the folder does not run.
func (fs *folders) reason(id farm.FolderID) string {
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	if h, ok := fs.why[id]; ok {
		return h.why
	}
	return "it is being opened"
}

// mend tries to open what is halted, until ctx ends.
func (fs *folders) mend(ctx context.Context) error {
	t := time.NewTicker(mendEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			fs.mu.RLock()
			halted := len(fs.why) > 0 || len(fs.anew) > 0
			fs.mu.RUnlock()
			if halted {
				fs.apply()
			}
		}
	}
}
