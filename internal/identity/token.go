package identity

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"strings"

	"tandem/internal/farm"
)

// Sizes of a token's parts.
const (
	idBytes     = 8
	secretBytes = 20 // 160 bits
	checkBytes  = 4  // of SHA-256, so that a token cut short or mistyped is told from a wrong one

	maxTokenBytes    = 2048
	maxAddresses     = 16
	maxAddressBytes  = 255
	tokenPrefix      = "tandem1_" // the digit is the version of the format
	fixedTokenBytes  = sha256.Size + idBytes + secretBytes
	addressSeparator = ","
)

// Token is an invitation into a farm, as the one who joins reads it.
type Token struct {
	Addresses []string // host:port of the member that made it, the best first
	Pin       string   // fingerprint of the farm's CA
	ID        string   // of the invite, in hexadecimal
	Secret    []byte
}

// String is the token as one URL-safe word. It holds the secret: never log it.
func (t Token) String() string {
	pin, _ := hex.DecodeString(strings.TrimPrefix(t.Pin, "sha256:"))
	id, _ := hex.DecodeString(t.ID)
	b := bytes.Join([][]byte{pin, id, t.Secret, []byte(strings.Join(t.Addresses, addressSeparator))}, nil)
	sum := sha256.Sum256(b)
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(append(b, sum[:checkBytes]...))
}

// ParseToken is the inverse of String. Error farm.Invalid if the text is no token or was cut short.
func ParseToken(text string) (Token, error) {
	bad := func(format string, args ...any) (Token, error) {
		e := farm.Errorf("parse token", "", farm.Invalid, format, args...)
		e.Next = "copy the whole word that `tandem invite` printed"
		return Token{}, e
	}
	text = strings.TrimSpace(text)
	body, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok {
		return bad("it does not begin with %q", tokenPrefix)
	}
	if len(body) > maxTokenBytes {
		return bad("%d bytes are more than %d", len(body), maxTokenBytes)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil || len(b) <= fixedTokenBytes+checkBytes {
		return bad("it is incomplete")
	}
	b, check := b[:len(b)-checkBytes], b[len(b)-checkBytes:]
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:checkBytes], check) {
		return bad("it is incomplete or mistyped")
	}
	t := Token{
		Pin:       "sha256:" + hex.EncodeToString(b[:sha256.Size]),
		ID:        hex.EncodeToString(b[sha256.Size : sha256.Size+idBytes]),
		Secret:    b[sha256.Size+idBytes : fixedTokenBytes],
		Addresses: strings.Split(string(b[fixedTokenBytes:]), addressSeparator),
	}
	if err := checkAddresses(t.Addresses); err != nil {
		return bad("%w", err)
	}
	return t, nil
}

// CheckCA tells whether ca (PEM) is the farm that the token is for. Error farm.Denied if not.
func (t Token) CheckCA(ca []byte) error {
	cert, err := decodeCert(ca)
	if err != nil {
		return farm.Errorf("check CA", "", farm.Invalid, "%w", err)
	}
	if Fingerprint(cert) != t.Pin {
		return farm.Errorf("check CA", "", farm.Denied, "it is not the farm that the token is for")
	}
	return nil
}

func checkAddresses(list []string) error {
	if len(list) == 0 || len(list) > maxAddresses {
		return fmt.Errorf("%d addresses: want 1 to %d", len(list), maxAddresses)
	}
	for _, a := range list {
		if _, _, err := net.SplitHostPort(a); err != nil || len(a) > maxAddressBytes || strings.Contains(a, addressSeparator) {
			return fmt.Errorf("%q is not an address of the form host:port", a)
		}
	}
	return nil
}
