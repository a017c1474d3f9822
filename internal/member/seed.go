package member

import (
	"context"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
	"tandem/internal/replica"
)

// newSeed is how a folder begins whose index is new and that other members hold, too. Anew: its old index was given up,
// because what the farm has deleted is not all in it.
func (f *folder) newSeed(anew bool) (farm.Seed, error) {
	list, err := f.fs.ReadDir(farm.Path{})
	if err != nil {
		return farm.Seed{}, err
	}
	s := farm.Seed{Mode: farm.SeedEmpty, Since: time.Now().UnixNano()}
	if len(list) > 0 {
		s.Mode = farm.SeedFull
	}
	switch { // nobody is asked about Tandem's own folders
	case f.spec.id == farm.FolderFarm, f.spec.id.Own() && !anew:
		s.Extra = farm.ExtraPush
	case f.spec.id.Own(): // a certificate that was deleted does not come back
		s.Extra = farm.ExtraQuarantine
	}
	return s, nil
}

// Seed implements control.Seeder.
func (m *Member) Seed(ctx context.Context, id farm.FolderID) (control.SeedSummary, error) {
	f := m.folders.get(id)
	if f == nil {
		return control.SeedSummary{}, noFolder("seed", id)
	}
	_, sum := f.runner.State()
	s := sum.Seed
	out := control.SeedSummary{
		Folder: id, Seeding: s.Mode != farm.NotSeeding, Mode: s.Mode.String(), Choice: s.Extra.String(),
		Equal: tally(s.Equal), Different: tally(s.Different), Missing: tally(s.Missing), Extra: tally(s.Only),
		Examples: []control.SeedExample{},
	}
	if s.Since != 0 {
		since := time.Unix(0, s.Since).UTC()
		out.Since = &since
	}
	err := f.runner.Extras(ctx, func(p farm.Path, a farm.Attr) bool {
		out.Examples = append(out.Examples, control.SeedExample{Path: p.String(), Type: a.Type.String(), Bytes: a.Size})
		return len(out.Examples) < control.MaxSeedExamples
	})
	return out, err
}

func tally(t farm.Tally) control.SeedTally { return control.SeedTally{Paths: t.Count, Bytes: t.Bytes} }

// ChooseExtra implements control.Seeder.
func (m *Member) ChooseExtra(ctx context.Context, id farm.FolderID, x farm.ExtraFiles) error {
	f := m.folders.get(id)
	if f == nil {
		return noFolder("seed", id)
	}
	f.runner.Choose(ctx, x)
	return ctx.Err()
}

// seedStatus tells of what waits for a choice, and of progress.
func (m *Member) seedStatus(f *folder, cf *control.Folder, sum replica.Summary) {
	if s := sum.Seed; s.Only.Count > 0 {
		t := tally(s.Only)
		cf.Extra = &t
	}
	cf.Progress = f.meter.now()
}
