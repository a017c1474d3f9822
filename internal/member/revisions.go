package member

import (
	"context"
	"errors"
	"maps"
	"slices"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
	"tandem/internal/reload"
)

// ApplyConfig implements control.Configurer.
func (m *Member) ApplyConfig(ctx context.Context, e control.ConfigEdit) (control.ConfigApplied, error) {
	adopt, err := decodeAll(e.History)
	if err != nil {
		return control.ConfigApplied{}, err
	}
	edit := reload.Edit{Message: e.Message, Adopt: adopt, Dry: e.DryRun}
	if edit.Stage, err = m.stage(e); err != nil {
		return control.ConfigApplied{}, err
	}
	values, err := importedSecrets(e)
	if err != nil {
		return control.ConfigApplied{}, err
	}
	var kept []farm.MemberID
	if e.Files != nil {
		edit.Change = func(head map[string][]byte) (map[string][]byte, error) {
			files := map[string][]byte(e.Files)
			if e.Patch {
				files = maps.Clone(head)
				maps.Copy(files, e.Files)
			}
			if !e.KeepMembers {
				return files, nil
			}
			files, kept, err = keepMembers(files, head)
			if err != nil {
				return nil, err
			}
			return m.reseal(files, head, values)
		}
	}
	applied, err := m.makeConfig(ctx, e, edit)
	applied.Kept = kept
	return applied, err
}

// RollbackConfig implements control.Configurer.
func (m *Member) RollbackConfig(ctx context.Context, e control.ConfigEdit) (control.ConfigApplied, error) {
	stage, err := m.stage(e)
	if err != nil {
		return control.ConfigApplied{}, err
	}
	if e.To == "" && e.Canary == "" && !e.DryRun {
		if done, was, err := m.endTrial(ctx); was {
			return done, err
		}
	}
	to, err := m.rollbackTo(e.To)
	if err != nil {
		return control.ConfigApplied{}, err
	}
	if e.Message == "" {
		e.Message = "back to " + to.Digest.Short() + ": " + to.Message
	}
	var kept []farm.MemberID
	applied, err := m.makeConfig(ctx, e, reload.Edit{Message: e.Message, Dry: e.DryRun, Stage: stage,
		Change: func(head map[string][]byte) (files map[string][]byte, err error) {
			files, kept, err = keepMembers(to.Files, head)
			return files, err
		}})
	applied.Kept = kept
	return applied, err
}

// rollbackTo is the revision that is meant; with an empty ref the latest before the head that says something else, the
// farm's members left aside.
func (m *Member) rollbackTo(ref string) (config.Revision, error) {
	if ref != "" {
		return m.findRevision(ref)
	}
	head := m.reload.Head()
	history := m.reload.History()
	at := slices.IndexFunc(history, func(r config.Revision) bool { return r.Digest == head.Digest })
	for _, header := range history[at+1:] {
		r, err := m.reload.Revision(header.Digest)
		if err != nil {
			continue
		}
		if files, _, err := keepMembers(r.Files, head.Files); err == nil && len(config.Changes(files, head.Files)) > 0 {
			return r, nil
		}
	}
	return config.Revision{}, &farm.Error{Op: "rollback", Kind: farm.NotFound, Err: errors.New("no revision before the head says anything else"), Next: "see: tandem config log"}
}

// keepMembers is files with the members that the farm has now.
func keepMembers(files, head map[string][]byte) (map[string][]byte, []farm.MemberID, error) {
	now, ok := head[config.FarmFile]
	if !ok {
		return files, nil, nil
	}
	src, differ, err := config.KeepMembers(files[config.FarmFile], now)
	if err != nil {
		return nil, nil, err
	}
	files = maps.Clone(files)
	files[config.FarmFile] = src
	return files, differ, nil
}

// makeConfig makes a revision and waits for the verdicts on it. Faults are part of the answer.
func (m *Member) makeConfig(ctx context.Context, e control.ConfigEdit, edit reload.Edit) (control.ConfigApplied, error) {
	if e.IfRevision != "" {
		must, err := m.findRevision(e.IfRevision)
		if err != nil {
			return control.ConfigApplied{}, err
		}
		edit.Head = must.Digest
	}
	before := m.reload.Head()
	rev, err := m.reload.Make(ctx, edit)
	applied := control.ConfigApplied{Members: []control.ConfigVerdict{}}
	if faults := faultsIn(err); faults != nil {
		applied.Check.Faults = faults
		return applied, nil
	}
	if err != nil {
		return applied, err
	}
	_, warnings := config.Parse(rev.Files)
	applied.Check = control.ConfigCheck{OK: true, Revision: rev.Digest.String(), Faults: append(config.Faults{}, warnings...)}
	if e.DryRun {
		applied.Diff = config.Diff(before.Files, rev.Files)
		return applied, nil
	}
	applied.Changed = rev.Digest != before.Digest
	if !rev.Stage.IsZero() {
		applied.Trial = m.trialOf(rev)
		return applied, nil
	}
	m.awaitVerdicts(ctx, rev.Digest)
	applied.Members = m.verdicts(rev.Digest)
	return applied, nil
}

// faultsIn is what is wrong with the files, if that is the error.
func faultsIn(err error) config.Faults {
	var sites config.SiteFaults
	var faults config.Faults
	switch {
	case errors.As(err, &sites):
		return sites.All()
	case errors.As(err, &faults):
		return faults
	}
	return nil
}

func decodeAll(encoded [][]byte) ([]config.Revision, error) {
	var all []config.Revision
	for _, b := range encoded {
		r, err := config.DecodeRevision(b)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// findRevision is the revision that ref means, with its files.
func (m *Member) findRevision(ref string) (config.Revision, error) {
	r, err := config.Find(m.reload.History(), m.reload.Head().Digest, ref)
	if err != nil {
		return r, err
	}
	return m.reload.Revision(r.Digest)
}

// ConfigLog implements control.Configurer.
func (m *Member) ConfigLog(_ context.Context, limit int) ([]control.ConfigRevision, error) {
	history := m.reload.History()
	files := m.filesOf()
	log := []control.ConfigRevision{}
	for _, r := range history[:min(limit, len(history))] {
		log = append(log, m.describe(r, files))
	}
	return log, nil
}

// ConfigRevision implements control.Configurer.
func (m *Member) ConfigRevision(_ context.Context, ref string) (control.ConfigRevision, error) {
	if ref == control.WorkingRevision {
		files, err := m.reload.Text()
		return control.ConfigRevision{Author: m.self, Files: files, Parents: []string{}, Runs: []farm.MemberID{},
			Changes: config.Changes(m.reload.Head().Files, files)}, err
	}
	r, err := m.findRevision(ref)
	if err != nil {
		return control.ConfigRevision{}, err
	}
	cr := m.describe(r, m.filesOf())
	cr.Files = r.Files
	return cr, nil
}

// filesOf reads the files of revisions, each once; nil: it is not kept.
func (m *Member) filesOf() func(farm.Digest) map[string][]byte {
	seen := map[farm.Digest]map[string][]byte{}
	return func(d farm.Digest) map[string][]byte {
		if _, ok := seen[d]; !ok {
			r, _ := m.reload.Revision(d) // one that is gone has no files
			seen[d] = r.Files
		}
		return seen[d]
	}
}

// describe says of a revision what the log shows.
func (m *Member) describe(r config.Revision, files func(farm.Digest) map[string][]byte) control.ConfigRevision {
	cr := control.ConfigRevision{
		Revision: r.Digest.String(), Parents: []string{}, Author: r.Author, Time: r.Time.Wall(), Message: r.Message,
		Changes: []config.FileChange{}, Runs: []farm.MemberID{}, Head: r.Digest == m.reload.Head().Digest,
	}
	cr.Trial = m.trialOf(r)
	var was map[string][]byte
	var latest farm.HLC
	for _, p := range r.Parents {
		cr.Parents = append(cr.Parents, p.String())
		for _, h := range m.reload.History() {
			if h.Digest == p && h.Time >= latest {
				was, latest = files(p), h.Time
			}
		}
	}
	if was != nil || len(r.Parents) == 0 {
		cr.Changes = append(cr.Changes, config.Changes(was, files(r.Digest))...)
	}
	for _, v := range m.verdicts(r.Digest) {
		if v.Revision == cr.Revision { // whether it should or not
			cr.Runs = append(cr.Runs, v.Member)
		}
	}
	return cr
}

// ExportConfig implements control.Configurer.
func (m *Member) ExportConfig(_ context.Context, history bool) (control.ConfigExport, error) {
	head := m.reload.Head()
	if head.Digest.IsZero() {
		return control.ConfigExport{}, farm.Errorf("export configuration", string(m.self), farm.Unavailable, "there is no revision yet")
	}
	e := control.ConfigExport{Head: head.Digest.String()}
	if c := m.config(); c != nil {
		e.Farm = c.Farm.Name
	}
	list := []config.Revision{head}
	if history {
		list = m.reload.History()
	}
	for _, h := range slices.Backward(list) { // parents first
		r, err := m.reload.Revision(h.Digest)
		if err != nil {
			return e, err
		}
		e.Revisions = append(e.Revisions, r.Encode())
	}
	return e, nil
}
