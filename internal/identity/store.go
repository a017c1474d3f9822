package identity

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"tandem/internal/farm"
)

// Files of the identity directory.
const (
	caFile        = "ca.pem"
	caKeyFile     = "ca.key"
	memberFile    = "member.pem"
	memberKeyFile = "member.key"
)

// maxFileBytes bounds what is read of any file here.
const maxFileBytes = 1 << 20

// EncodeCert is a certificate as PEM text.
func EncodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func decodeCert(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no PEM certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

func decodeKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("no PEM private key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%T is not an ECDSA key", key)
	}
	return ec, nil
}

// readSecret reads a file that nobody but its owner may read. Windows keeps permissions in access lists, which the
// directory hands down.
func readSecret(file string) ([]byte, error) {
	st, err := os.Stat(file)
	if err != nil {
		return nil, fileError("read", file, err)
	}
	if runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0 {
		return nil, &farm.Error{Op: "read", Path: file, Kind: farm.Denied,
			Err: fmt.Errorf("others may read this secret (mode %04o)", st.Mode().Perm()), Next: "chmod 600 " + file}
	}
	return readBounded(file)
}

func readBounded(file string) ([]byte, error) {
	st, err := os.Stat(file)
	if err != nil {
		return nil, fileError("read", file, err)
	}
	if st.Size() > maxFileBytes {
		return nil, farm.Errorf("read", file, farm.Invalid, "%d bytes are more than %d", st.Size(), maxFileBytes)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fileError("read", file, err)
	}
	return b, nil
}

// writeSecret replaces the file, mode 0600, atomically and durably: a crash leaves the old content or the new.
func writeSecret(file string, content []byte) (err error) {
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, "."+filepath.Base(file)+".*") // makes it 0600
	if err != nil {
		return fileError("write", file, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()           // its error would hide the first
			_ = os.Remove(f.Name()) // best effort: the name is ours alone
		}
	}()
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err == nil {
		err = syncDir(dir)
	}
	return fileError("write", file, err)
}

// syncDir makes a rename durable. Windows has no such call and needs none.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func fileError(op, file string, err error) error {
	var known *farm.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return &farm.Error{Op: op, Path: file, Kind: farm.NotFound, Err: err}
	case errors.Is(err, fs.ErrPermission):
		return &farm.Error{Op: op, Path: file, Kind: farm.Denied, Err: err}
	}
	return &farm.Error{Op: op, Path: file, Kind: farm.Other, Err: err}
}
