package identity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"filippo.io/age"

	"tandem/internal/farm"
)

const (
	// minPassphrase is the least length of a passphrase, in characters.
	minPassphrase = 10
	// The work that a passphrase costs, as a power of two: half a second and 64 MiB. What others have sealed may cost more.
	passphraseWork, maxPassphraseWork = 16, 20
	// maxSealedBytes bounds what a passphrase opens.
	maxSealedBytes = 64 << 20
)

// SealUnder encrypts a text to whoever knows the passphrase, as a file of the format age (age-encryption.org/v1).
func SealUnder(passphrase string, text []byte) ([]byte, error) {
	fail := func(kind farm.Kind, err error) ([]byte, error) {
		return nil, &farm.Error{Op: "seal under a passphrase", Kind: kind, Err: err}
	}
	if n := utf8.RuneCountInString(passphrase); n < minPassphrase {
		return fail(farm.Invalid, fmt.Errorf("the passphrase has %d characters; it must have %d at least", n, minPassphrase))
	}
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return fail(farm.Invalid, err)
	}
	to.SetWorkFactor(passphraseWork)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return fail(farm.Internal, err)
	}
	_, err = w.Write(text)
	if err = errors.Join(err, w.Close()); err != nil {
		return fail(farm.Internal, err)
	}
	return out.Bytes(), nil
}

// OpenUnder is the inverse of SealUnder. Error farm.Denied if the passphrase is another one, farm.Corrupt if it was not
// sealed so or has been changed.
func OpenUnder(passphrase string, sealed []byte) ([]byte, error) {
	fail := func(kind farm.Kind, err error) ([]byte, error) {
		return nil, &farm.Error{Op: "open under a passphrase", Kind: kind, Err: err}
	}
	by, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return fail(farm.Invalid, err)
	}
	by.SetMaxWorkFactor(maxPassphraseWork)
	r, err := age.Decrypt(bytes.NewReader(sealed), by)
	if other := (*age.NoIdentityMatchError)(nil); errors.As(err, &other) {
		return fail(farm.Denied, errors.New("the passphrase is wrong"))
	}
	if err != nil {
		return fail(farm.Corrupt, err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxSealedBytes))
	if err != nil {
		return fail(farm.Corrupt, err)
	}
	return text, nil
}
