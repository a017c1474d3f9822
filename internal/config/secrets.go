package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"

	"tandem/internal/farm"
)

// SecretsFile is the shared file of values that nobody may read: NAME = "what only nodes can open".
const SecretsFile = "secrets.toml"

// maxSecretBytes bounds a value.
const maxSecretBytes = 4 << 10

// secretPrefix begins the placeholders of secrets.
const secretPrefix = "secret."

var secretName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// CheckSecret says what is wrong with the name or the value of a secret.
func CheckSecret(name, value string) error {
	switch {
	case !secretName.MatchString(name):
		return fmt.Errorf("%q is not the name of a secret: use 1 to 63 of a-z, 0-9, - and _", name)
	case value == "":
		return errors.New("the value is empty")
	case len(value) > maxSecretBytes:
		return fmt.Errorf("the value has %d bytes; the limit is %d", len(value), maxSecretBytes)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\r\n", r) }):
		return errors.New("the value is no text: it holds control characters, or is not UTF-8; encode it, as base64 for example")
	case strings.ContainsAny(value, "{}"):
		return errors.New("the value holds a brace, with which the web server's own placeholders begin and end; encode it, as base64 for example")
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
	return formatSecrets(all), nil
}

// formatSecrets is secrets.toml.
func formatSecrets(all map[string]string) []byte {
	var b bytes.Buffer
	b.WriteString("# Written by: tandem secret set NAME. Only the farm's nodes can open the values.\n\n")
	for _, n := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s = %s\n", tomlKey(n), tomlString(all[n]))
	}
	return b.Bytes()
}

// Sealed are the values of secrets.toml as they stand there, by name; nil if there is none or it can't be read.
func Sealed(files map[string][]byte) map[string]string {
	sealed, _ := parseSecrets(files[SecretsFile])
	return sealed
}

// SecretName is the secret that a value of farm.toml stands for; false: it stands for itself.
func SecretName(text string) (name string, is bool) {
	name, is = strings.CutPrefix(text, "{"+secretPrefix)
	name, end := strings.CutSuffix(name, "}")
	return name, is && end && secretName.MatchString(name)
}

// FarmSecrets are the names of the secrets that farm.toml itself uses, which all members must know, edges too.
func (c *Config) FarmSecrets() []string { return slices.Sorted(maps.Keys(c.secretAt)) }

// checkFarmSecrets reports the secrets that farm.toml uses and that are not set.
func (c *Config) checkFarmSecrets() Faults {
	var faults Faults
	for _, name := range c.FarmSecrets() {
		if _, set := c.Secrets[name]; !set {
			at := c.secretAt[name]
			faults = append(faults, Fault{File: FarmFile, Line: at.line, Column: at.column,
				Message: fmt.Sprintf("placeholder {%s%s} has no value", secretPrefix, name), Hint: "set it: tandem secret set " + name})
		}
	}
	return faults
}

// SecretUses says in which files each secret is used, those that do not exist too: farm.toml, site files, and those of sites
// that are disabled.
func SecretUses(files map[string][]byte) map[string][]string {
	uses := map[string][]string{}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if file == SecretsFile {
			continue
		}
		for _, name := range SecretsIn(string(files[file])) {
			uses[name] = append(uses[name], file)
		}
	}
	return uses
}

// SecretsIn are the names of the secrets that a text uses, sorted.
func SecretsIn(text string) []string {
	var names []string
	for _, p := range findPlaceholders(text) {
		if name, ok := strings.CutPrefix(p.name, secretPrefix); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
