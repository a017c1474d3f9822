package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"tandem/internal/farm"
)

// SecretsFile is the shared file of values that nobody may read: NAME = "what only nodes can open".
const SecretsFile = "secrets.toml"

// maxSecretBytes bounds a value.
const maxSecretBytes = 4 << 10

// unknownSecret stands for a value where it can't be opened and does not matter: at a check, and on edges.
const unknownSecret = "secret"

var secretName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// CheckSecret says what is wrong with the name or the value of a secret. Values are put into site files as they are, so they
// must not contain what means something there.
func CheckSecret(name, value string) error {
	switch {
	case !secretName.MatchString(name):
		return fmt.Errorf("%q is not the name of a secret: use 1 to 63 of a-z, 0-9, - and _", name)
	case value == "":
		return errors.New("the value is empty")
	case len(value) > maxSecretBytes:
		return fmt.Errorf("the value has %d bytes; the limit is %d", len(value), maxSecretBytes)
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"`{}\\", r) }):
		return errors.New("the value holds a space, a quote, a brace, a backslash or something else than printable ASCII, which mean something in a site file; encode it, as base64 for example")
	}
	return nil
}

// parseSecrets reads secrets.toml.
func parseSecrets(src []byte) (map[string]string, Faults) {
	if len(src) == 0 {
		return nil, nil
	}
	var sealed map[string]string
	if err := toml.Unmarshal(src, &sealed); err != nil {
		f := Fault{File: SecretsFile, Message: err.Error(), Hint: "it is written by tandem secret set"}
		var at *toml.DecodeError
		if errors.As(err, &at) {
			f.Line, f.Column = at.Position()
		}
		return nil, Faults{f}
	}
	var faults Faults
	for _, name := range slices.Sorted(maps.Keys(sealed)) {
		if !secretName.MatchString(name) {
			faults = append(faults, Fault{File: SecretsFile, Message: fmt.Sprintf("%q is not the name of a secret", name), Hint: "use 1 to 63 of a-z, 0-9, - and _"})
		}
	}
	return sealed, faults
}

// PutSecret returns secrets.toml with the sealed value under the name; an empty value removes it. NotFound if it is not there to be removed.
func PutSecret(src []byte, name, sealed string) ([]byte, error) {
	all, faults := parseSecrets(src)
	if faults.Err() != nil {
		return nil, &farm.Error{Op: "set secret", Path: name, Kind: farm.Invalid, Err: faults}
	}
	if all == nil {
		all = map[string]string{}
	}
	if _, there := all[name]; sealed == "" && !there {
		return nil, &farm.Error{Op: "remove secret", Path: name, Kind: farm.NotFound, Err: errors.New("the farm has no secret of that name"), Next: "see: tandem secret list"}
	}
	if all[name] = sealed; sealed == "" {
		delete(all, name)
	}
	var b bytes.Buffer
	b.WriteString("# Written by: tandem secret set NAME. Only the farm's nodes can open the values.\n\n")
	for _, n := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s = %s\n", tomlKey(n), tomlString(all[n]))
	}
	return b.Bytes(), nil
}

// SecretUses says in which site files each secret is used, those that do not exist too.
func SecretUses(files map[string][]byte) map[string][]string {
	uses := map[string][]string{}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if !sitePattern.MatchString(file) {
			continue
		}
		for _, p := range findPlaceholders(string(files[file])) {
			if name, ok := strings.CutPrefix(p.name, "secret."); ok && !slices.Contains(uses[name], file) {
				uses[name] = append(uses[name], file)
			}
		}
	}
	return uses
}

// Mask puts the placeholders of secrets in place of their values.
func (v Vars) Mask(faults Faults) Faults {
	for i := range faults {
		for _, name := range slices.Sorted(maps.Keys(v.Secrets)) {
			if value := v.Secrets[name]; value != unknownSecret {
				faults[i].Message = strings.ReplaceAll(faults[i].Message, value, "{secret."+name+"}")
				faults[i].Hint = strings.ReplaceAll(faults[i].Hint, value, "{secret."+name+"}")
			}
		}
	}
	return faults
}
