package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"

	"tandem/internal/farm"
)

// What the keys that are derived from that of the CA are for, which tells them from each other.
const (
	secretInfo = "tandem secret 1"
	visitInfo  = "tandem visit 1"
)

// Seal encrypts a value to the members with authority, which is all nodes: AES-256-GCM under a key that is derived from
// that of the CA by HKDF (RFC 5869), and bound to the name. Error farm.Denied without authority.
func (id *Identity) Seal(name, value string) (string, error) {
	gcm, err := id.secrets("seal secret")
	if err != nil {
		return "", err
	}
	sealed := gcm.Seal(nil, nil, []byte(value), []byte(name)) // with its nonce, which is random
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// Unseal is the inverse of Seal. Error farm.Denied without authority, farm.Corrupt if it was not sealed in this farm under
// this name.
func (id *Identity) Unseal(name, sealed string) (string, error) {
	gcm, err := id.secrets("open secret")
	if err != nil {
		return "", err
	}
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err == nil {
		b, err = gcm.Open(nil, nil, b, []byte(name))
	}
	if err != nil {
		return "", &farm.Error{Op: "open secret", Path: name, Kind: farm.Corrupt, Err: errors.New("it was not set in this farm, or has been changed"),
			Next: "set it again: tandem secret set " + name}
	}
	return string(b), nil
}

func (id *Identity) secrets(op string) (cipher.AEAD, error) {
	key, err := id.derive(op, secretInfo)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, &farm.Error{Op: op, Kind: farm.Internal, Err: err}
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, &farm.Error{Op: op, Kind: farm.Internal, Err: err}
	}
	return gcm, nil
}

// VisitKey signs what visitors bring from node to node (farm.Visit): all members with authority have the same. Nil without
// authority.
func (id *Identity) VisitKey() []byte {
	key, err := id.derive("sign visit", visitInfo)
	if err != nil {
		return nil
	}
	return key
}

// derive makes a key of 256 bits from that of the CA.
func (id *Identity) derive(op, info string) ([]byte, error) {
	if id.caKey == nil {
		return nil, noAuthority(op)
	}
	secret, err := id.caKey.Bytes()
	if err == nil {
		secret, err = hkdf.Key(sha256.New, secret, nil, info, 32)
	}
	if err != nil {
		return nil, &farm.Error{Op: op, Kind: farm.Internal, Err: err}
	}
	return secret, nil
}
