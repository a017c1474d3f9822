package identity

import (
	"bytes"
	"testing"

	"tandem/internal/farm"
)

func TestPassphrase(t *testing.T) {
	const passphrase = "correct horse battery"
	sealed, err := SealUnder(passphrase, []byte("s3cret"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("s3cret")) || !bytes.HasPrefix(sealed, []byte("age-encryption.org/v1\n-> scrypt ")) {
		t.Errorf("sealed: %q", sealed)
	}
	if text, err := OpenUnder(passphrase, sealed); err != nil || string(text) != "s3cret" {
		t.Errorf("%q, %v", text, err)
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for name, c := range map[string]struct {
		passphrase string
		sealed     []byte
		kind       farm.Kind
	}{
		"another passphrase": {passphrase + "s", sealed, farm.Denied},
		"changed":            {passphrase, changed, farm.Corrupt},
		"cut off":            {passphrase, sealed[:len(sealed)-20], farm.Corrupt},
		"nothing":            {passphrase, nil, farm.Corrupt},
		"no passphrase":      {"", sealed, farm.Invalid},
	} {
		if text, err := OpenUnder(c.passphrase, c.sealed); farm.KindOf(err) != c.kind {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if _, err := SealUnder("too short", nil); farm.KindOf(err) != farm.Invalid {
		t.Errorf("a short one: %v", err)
	}
}
