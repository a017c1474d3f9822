package member

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
	"tandem/internal/identity"
)

// SetSecret implements control.Secretary.
func (m *Member) SetSecret(ctx context.Context, name, value string) (control.ConfigApplied, error) {
	sealed, err := m.identity.Seal(name, value)
	if err != nil {
		return control.ConfigApplied{}, err
	}
	var applied control.ConfigApplied
	rev, err := m.reload.Update(ctx, "secret "+name+" is set", func(files map[string][]byte) (map[string][]byte, error) {
		src, err := config.PutSecret(files[config.SecretsFile], name, sealed)
		if err != nil {
			return nil, err
		}
		files[config.SecretsFile] = src
		return files, nil
	})
	var faults config.Faults
	if errors.As(err, &faults) && farm.KindOf(err) == farm.Invalid {
		applied.Check.Faults = faults
		return applied, nil
	}
	if err != nil {
		return applied, err
	}
	applied.Check = control.ConfigCheck{OK: true, Revision: rev.Digest.String(), Faults: config.Faults{}}
	applied.Changed = true
	m.awaitVerdicts(ctx, rev.Digest)
	applied.Members = m.verdicts(rev.Digest)
	return applied, nil
}

// Secrets implements control.Secretary.
func (m *Member) Secrets(context.Context) ([]control.Secret, error) {
	head := m.reload.Head()
	sealed, uses := config.Sealed(head.Files), config.SecretUses(head.Files)
	names := slices.AppendSeq(slices.Collect(maps.Keys(uses)), maps.Keys(sealed))
	slices.Sort(names)
	list := []control.Secret{}
	at := map[string]int{}
	for _, name := range slices.Compact(names) {
		_, set := sealed[name]
		at[name] = len(list)
		list = append(list, control.Secret{Name: name, Set: set, UsedIn: append([]string{}, uses[name]...)})
	}
	// No value is sealed twice to the same, so the first revision that has it is the one that has set it.
	for _, h := range m.reload.History() { // the latest first
		r, err := m.reload.Revision(h.Digest)
		if err != nil {
			continue // it is not kept any more
		}
		for name, is := range config.Sealed(r.Files) {
			if is != sealed[name] {
				continue
			}
			if s := &list[at[name]]; s.Since == nil || h.Time.Wall().Before(*s.Since) {
				since := h.Time.Wall()
				s.Since, s.By = &since, h.Author
			}
		}
	}
	return list, nil
}

// ExportSecrets implements control.Secretary.
func (m *Member) ExportSecrets(_ context.Context, revision, passphrase string) ([]byte, error) {
	r, err := m.findRevision(revision)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for name, sealed := range config.Sealed(r.Files) {
		if values[name], err = m.secrets.open(name, sealed); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(values)
	if err != nil {
		return nil, &farm.Error{Op: "export secrets", Kind: farm.Internal, Err: err}
	}
	return identity.SealUnder(passphrase, text)
}

// importedSecrets are the values that an edit brings along; nil: none.
func importedSecrets(e control.ConfigEdit) (map[string]string, error) {
	if e.Secrets == nil {
		return nil, nil
	}
	text, err := identity.OpenUnder(e.Passphrase, e.Secrets)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, &farm.Error{Op: "import secrets", Kind: farm.Corrupt, Err: errors.New("they are not the secrets of a farm")}
	}
	for name, value := range values {
		if err := config.CheckSecret(name, value); err != nil {
			return nil, &farm.Error{Op: "import secrets", Path: name, Kind: farm.Invalid, Err: err}
		}
	}
	return values, nil
}

// reseal is files with the values sealed to this farm. What another farm has sealed, and that came without its value, gives
// way to what the head has under its name.
func (m *Member) reseal(files, head map[string][]byte, values map[string]string) (map[string][]byte, error) {
	ours, theirs := config.Sealed(head), config.Sealed(files)
	put := map[string]string{}
	for name, sealed := range theirs {
		if _, given := values[name]; given {
			continue
		}
		if _, err := m.secrets.open(name, sealed); err == nil {
			continue
		}
		if _, err := m.secrets.open(name, ours[name]); err == nil {
			put[name] = ours[name]
		}
	}
	for name, value := range values {
		// One that says the same already stays as it is: sealed anew it would look like a change.
		if is, err := m.secrets.open(name, theirs[name]); err == nil && is == value {
			continue
		}
		if is, err := m.secrets.open(name, ours[name]); err == nil && is == value {
			put[name] = ours[name]
			continue
		}
		sealed, err := m.identity.Seal(name, value)
		if err != nil {
			return nil, err
		}
		put[name] = sealed
	}
	files = maps.Clone(files)
	for name, sealed := range put {
		src, err := config.PutSecret(files[config.SecretsFile], name, sealed)
		if err != nil {
			return nil, err
		}
		files[config.SecretsFile] = src
	}
	return files, nil
}
