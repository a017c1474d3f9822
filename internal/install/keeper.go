package install

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// Source has content that a plan does not bring along.
type Source interface {
	// Local lists paths of this folder that are believed to hold the content.
	Local(farm.Digest) []farm.Path
	// Fetch opens the content at another member.
	Fetch(ctx context.Context, d farm.Digest, size int64) (io.ReadCloser, error)
}

// Config is what a Keeper is told once.
type Config struct {
	Folder     farm.FolderID
	Sink       farm.Sink        // nil: events are dropped
	Log        *slog.Logger     // nil: nothing is logged
	Now        func() time.Time // nil: time.Now
	QuotaBytes int64            // of preserved files; 0: DefaultQuotaBytes
	MaxAge     time.Duration    // of preserved files; 0: any

	// KeepDeleted preserves what an installed deletion takes away. Moved, if any, tells whether the content of a path that
	// by deleted stands at another path now, as after a rename: then nothing was lost, and nothing is kept.
	KeepDeleted bool
	Moved       func(p farm.Path, d farm.Digest, by farm.Stamp) bool

	MinFreeBytes int64 // that no plan but a deletion may go below; 0: none

	maxFiles int // preserved; 0: maxPreserved

	Recipes      Recipes // nil: contents are fetched whole
	PartialBytes int64   // to be fetched for a transfer to be resumed after a restart; 0: DefaultPartialBytes
	Serial       bool    // all that a plan does is done by the goroutine that asks for it, one after the other: for tests
}

// DefaultQuotaBytes bounds the preserved files of a folder unless the configuration says otherwise.
const DefaultQuotaBytes = 10 << 30

const (
	maxLeftovers = 16_384 // in staging; beyond it the plan that adds one settles one
	maxSwaps     = 8      // exchanges in a row while an application keeps replacing the path
	maxLocals    = 4      // local files tried for one content

	// verifyBytes is the size up to which what was taken out of the tree is always read before it is thrown away.
	verifyBytes = farm.InlineBytes
)

// Keeper keeps one folder's tree.
type Keeper struct {
	fs      vfs.FS
	cfg     Config
	seq     atomic.Uint64 // of names in staging
	intents *intents      // set by Recover
	kept    *preserved

	mu    sync.Mutex
	shelf shelf // under mu: what waits for the sweep

	finished      []farm.Plan // set by Recover, as is
	finishedMoves []farm.Move

	telling sync.Mutex
	told    told // under telling

	partials partials
	making   sync.Mutex // one recipe is made at a time

	parents sync.Mutex // one read-only parent is open to us at a time
}

// New returns the keeper of the tree in fs. Recover must have returned before anything else is asked of it.
func New(fs vfs.FS, cfg Config) *Keeper {
	if cfg.Sink == nil {
		cfg.Sink = func(farm.Event) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.PartialBytes == 0 {
		cfg.PartialBytes = DefaultPartialBytes
	}
	if cfg.QuotaBytes == 0 {
		cfg.QuotaBytes = DefaultQuotaBytes
	}
	if cfg.maxFiles == 0 {
		cfg.maxFiles = maxPreserved
	}
	cfg.Log = cfg.Log.With("folder", cfg.Folder)
	k := &Keeper{fs: fs, cfg: cfg, shelf: newShelf()}
	k.kept = newPreserved(fs, cfg)
	return k
}

// Close gives up the logs, of a Recover that failed too. What is asked of the keeper afterwards fails. The tree's FS is the
// caller's to close.
func (k *Keeper) Close() error {
	var err error
	if k.intents != nil {
		err = k.intents.close()
	}
	return errors.Join(err, k.kept.close())
}

func (k *Keeper) install(ctx context.Context, plan farm.Plan, src Source) farm.Installed {
	if plan.Path.Private() {
		return fail(plan, farm.Errorf("install", plan.Path.String(), farm.Denied, "lies in Tandem's private area"))
	}
	if plan.Path.IsRoot() && (plan.Want.Type != farm.Dir || plan.Expect.Type != farm.Dir) {
		return fail(plan, farm.Errorf("install", plan.Path.String(), farm.Denied, "the folder's root stays a directory"))
	}
	if k.intents == nil {
		return fail(plan, farm.Errorf("install", plan.Path.String(), farm.Internal, "before Recover"))
	}
	if plan.Expect.Type == farm.Absent && brought(plan) {
		// Nothing but the name can be in the way, and to take a free name is to look: what is there is seen when it is not.
		if r := k.create(ctx, plan, src); r.Outcome != farm.Changed {
			return r
		}
	}
	at, err := k.look(plan.Path)
	if err != nil {
		return fail(plan, err)
	}
	if at.there && at.Type == farm.Absent && plan.Expect.Type == farm.Absent {
		return fail(plan, farm.Errorf("install", plan.Path.String(), farm.Unsupported, "a %s stands there", at.Other))
	}
	ok, err := k.asExpected(plan.Path, &at, plan.Expect)
	if err != nil {
		return fail(plan, err)
	}
	switch want := plan.Want; {
	case !ok:
		return end(plan, farm.Changed)
	case want.Type == farm.Absent && !at.there:
		return end(plan, farm.Done)
	case want.Type == farm.Absent && at.Type == farm.Dir:
		return k.removeDir(plan)
	case want.Type == farm.Absent:
		return k.remove(plan, at)
	case at.noName != nil:
		return fail(plan, at.noName)
	case !at.there:
		return k.create(ctx, plan, src)
	case want.SameContent(plan.Expect.Attr) && (at.Type != farm.File || at.Links == 1):
		return k.setAttr(plan, at)
	}
	// So goes a file that has other names too, even if only its attributes differ: those would be changed under names
	// that nobody asked to change, or that lie outside the folder (see docs/security.md).
	return k.replace(ctx, plan, at, src)
}

// end is the result of a plan without more to say.
func end(plan farm.Plan, o farm.Outcome) farm.Installed {
	return farm.Installed{Plan: plan, Outcome: o}
}

// done is the result of a plan that put st there.
func done(plan farm.Plan, st vfs.Stat) farm.Installed {
	a := st.Attr()
	a.Digest, a.Target = plan.Want.Digest, plan.Want.Target
	return farm.Installed{Plan: plan, Outcome: farm.Done, Stat: st.Fingerprint, Attr: a}
}

// doneWith is done with extended attributes.
func doneWith(plan farm.Plan, st vfs.Stat, x farm.XAttrs) farm.Installed {
	r := done(plan, st)
	r.Attr.XAttrs = x
	return r
}

// fail is the result of a plan that met an error.
func fail(plan farm.Plan, err error) farm.Installed {
	r := farm.Installed{Plan: plan, Outcome: farm.Failed, Err: err}
	if e := (*sourceError)(nil); errors.As(err, &e) {
		r.Outcome = farm.NoSource
	}
	if e := (*farm.NameError)(nil); errors.As(err, &e) {
		r.Outcome = farm.NoName
	}
	return r
}
