package member

import (
	"context"
	"io"

	"tandem/internal/config"
	"tandem/internal/farm"
	"tandem/internal/install"
	"tandem/internal/replica"
	"tandem/internal/trial"
)

// newTrial is the trial of a folder that has commands; nil: it has none.
func (m *Member) newTrial(f *folder) (*trial.Trial, error) {
	c := f.spec.commands
	if c.Check == "" && c.Apply == "" {
		return nil, nil
	}
	return trial.New(trial.Config{
		ID: f.spec.id, Dir: m.paths.trial(f.spec.id), Folder: trialPort{f}, Commands: c, WorkDir: f.spec.root, Sink: m.sink,
		Told: func() { m.tellRefused(f) },
		Env:  []string{"TANDEM_FOLDER=" + string(f.spec.id), "TANDEM_PATH=" + f.spec.root, "TANDEM_MEMBER=" + string(m.self)},
	})
}

// tellRefused tells the others what the folder's check refuses.
func (m *Member) tellRefused(f *folder) {
	m.own.change(func(o *farm.MemberState) {
		if s, ok := o.Folders[f.spec.id]; ok {
			s.Refused = f.trial.Refused()
			o.Folders[f.spec.id] = s
		}
	})
}

// trialPort adapts a folder to its trial.
type trialPort struct{ *folder }

func (t trialPort) Waits() trial.Waits {
	s, sum := t.runner.State()
	return trial.Waits{Checks: sum.Checks, Known: s.Known}
}

func (t trialPort) Pass(ctx context.Context) error         { return t.steer(ctx, replica.Pass{}) }
func (t trialPort) Try(ctx context.Context, on bool) error { return t.steer(ctx, replica.Try{On: on}) }
func (t trialPort) Back(ctx context.Context, disks map[farm.Path]farm.Disk) error {
	return t.steer(ctx, replica.Back{Disks: disks})
}

// try installs what a trial is made with, or what comes back after it.
func (i installPort) try(ctx context.Context, p farm.Plan, src install.Source) farm.Installed {
	open := func() (io.ReadCloser, error) {
		r, _, err := i.Keeper.Open(ctx, p.Path, p.Expect.Digest)
		return r, err
	}
	if err := i.f.trial.Keep(p.Path, p.Expect, open); err != nil {
		return farm.Installed{Plan: p, Outcome: farm.Failed, Err: err}
	}
	if r, _, err := i.f.trial.Open(p.Want.Digest); err == nil && p.Want.Type == farm.File {
		_ = r.Close() // it was only to see whether there is one
		src = replaced{i.f.trial}
	}
	return i.Keeper.Install(ctx, p, src)
}

// replaced is the source of what a trial has replaced.
type replaced struct{ *trial.Trial }

// Local implements install.Source.
func (replaced) Local(farm.Digest) []farm.Path { return nil }

// Fetch implements install.Source.
func (k replaced) Fetch(_ context.Context, d farm.Digest, _ int64) (io.ReadCloser, error) {
	r, _, err := k.Open(d)
	return r, err
}

// commands are what a folder is checked and put to use by on this member.
func (m *Member) commands(f config.Folder) trial.Commands {
	check, apply := m.file.Commands(f)
	return trial.Commands{Check: check, Apply: apply, CheckTime: f.CheckTime, ApplyTime: f.ApplyTime}
}
