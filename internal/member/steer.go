package member

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
	"tandem/internal/replica"
)

// steerRequest has another member say a verb to a folder.
type steerRequest struct {
	Folder farm.FolderID `json:"folder"`
	Verb   control.Verb  `json:"verb"`
}

// SteerFolder implements control.Steerer.
func (m *Member) SteerFolder(ctx context.Context, id farm.FolderID, verb control.Verb, all bool) (control.Steered, error) {
	req := steerRequest{id, verb}
	s := control.Steered{Folder: id, Verb: verb}
	here, err := m.steerHere(ctx, m.self, req)
	if err != nil && (!all || farm.KindOf(err) != farm.NotFound || !m.hasFolder(id)) { // an edge holds none, and may tell the nodes
		return s, err
	}
	if err == nil {
		s.Members = append(s.Members, here)
	}
	if !all {
		return s, nil
	}
	others, silent := askHolders(ctx, m, id, func(ctx context.Context, to farm.MemberID) (done control.SteeredMember, err error) {
		if err = m.ask(ctx, to, callSteer, req, &done); err != nil {
			done = control.SteeredMember{Problem: err.Error()}
		}
		done.Member = to
		return done, nil
	})
	slices.SortFunc(others, func(a, b control.SteeredMember) int { return strings.Compare(string(a.Member), string(b.Member)) })
	s.Members, s.Silent = append(s.Members, others...), silent
	return s, ctx.Err()
}

// hasFolder tells whether the farm has a folder of that name.
func (m *Member) hasFolder(id farm.FolderID) bool {
	c := m.config()
	return c != nil && slices.ContainsFunc(c.Folders, func(f config.Folder) bool { return f.Name == id })
}

// askHolders asks all linked members but this one that hold the folder, and names those that can't be asked.
func askHolders[T any](ctx context.Context, m *Member, id farm.FolderID, ask func(context.Context, farm.MemberID) (T, error)) (got []T, silent []control.Silent) {
	var mu sync.Mutex
	var g errgroup.Group
	for _, h := range m.holders(id) {
		if h == m.self {
			continue
		}
		g.Go(func() error {
			var one T
			err := error(farm.Errorf("ask", string(h), farm.Unavailable, "it is not linked"))
			if m.links.up(h) {
				one, err = ask(ctx, h)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				silent = append(silent, control.Silent{Member: h, Reason: err.Error()})
			} else {
				got = append(got, one)
			}
			return nil
		})
	}
	_ = g.Wait() // whoever fails is silent
	slices.SortFunc(silent, func(a, b control.Silent) int { return strings.Compare(string(a.Member), string(b.Member)) })
	return got, silent
}

// steerHere says the verb to this member's folder; by is the member where a person said it.
func (m *Member) steerHere(ctx context.Context, by farm.MemberID, req steerRequest) (done control.SteeredMember, err error) {
	done.Member = m.self
	op := string(req.Verb) + " folder"
	if req.Folder.Own() {
		return done, farm.Errorf(op, string(req.Folder), farm.Invalid, "it is Tandem's own and always runs")
	}
	f := m.folders.get(req.Folder)
	if f == nil {
		if c := m.config(); c != nil && slices.ContainsFunc(m.specs(c), func(s folderSpec) bool { return s.id == req.Folder }) {
			return done, farm.Errorf(op, string(req.Folder), farm.Unavailable, "it is halted: %s", m.folders.reason(req.Folder))
		}
		return done, noFolder(op, req.Folder)
	}
	f.steering.Lock()
	defer f.steering.Unlock()
	switch req.Verb {
	case control.VerbPause:
		if done.Changed = f.paused.Load() == nil; done.Changed {
			return done, m.folders.pause(ctx, f, &pauseNote{Since: time.Now().UTC(), By: by})
		}
	case control.VerbResume:
		if done.Changed = f.paused.Load() != nil; done.Changed {
			return done, m.folders.pause(ctx, f, nil)
		}
	case control.VerbRetry:
		if done.Changed = f.trial != nil && f.trial.Refused() != ""; done.Changed {
			f.trial.Again()
		}
	case control.VerbRelease, control.VerbRefuse:
		var in replica.Input = replica.Release{}
		if req.Verb == control.VerbRefuse {
			in = replica.Refuse{}
		}
		if _, sum := f.runner.State(); sum.Held > 0 {
			done.Changed, done.Held = true, sum.Held
			return done, f.steer(ctx, in)
		}
	default:
		return done, farm.Errorf("steer folder", string(req.Verb), farm.Unsupported, "this version does not know how")
	}
	return done, nil
}

// pause stops a folder or lets it go on, now and after a restart. What the folder does not take is not remembered.
func (fs *folders) pause(ctx context.Context, f *folder, n *pauseNote) error {
	if err := f.steer(ctx, replica.Pause{On: n != nil}); err != nil {
		return err
	}
	f.paused.Store(n)
	message := "it goes on after a pause"
	if n != nil {
		message = "it is paused: nothing is sent or installed"
	}
	f.sink(farm.Event{ID: farm.EventFolderPaused, Severity: farm.Info, Folder: f.spec.id, Subject: string(f.spec.id), Message: message})
	err := fs.remember(f, func(note *folderNote) { note.Paused = n })
	if err != nil {
		err = fmt.Errorf("%s, but a restart will not know of it: %w", message, err)
	}
	return err
}

// flowStatus is what people said to the folder, and what it waits for people to say.
func (f *folder) flowStatus(sum replica.Summary) (paused *control.FolderPause, braked *control.FolderBrake, readOnly bool) {
	if n := f.paused.Load(); n != nil {
		paused = &control.FolderPause{Since: n.Since, By: n.By}
	}
	if sum.Held > 0 {
		braked = &control.FolderBrake{Held: sum.Held, Limit: sum.Limit}
	}
	return paused, braked, f.flow.Load().readOnly
}
