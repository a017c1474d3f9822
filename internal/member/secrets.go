package member

import (
	"context"
	"errors"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
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
