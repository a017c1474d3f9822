package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"tandem/internal/certs"
)

// savedAccount is the content of account-*.json.
type savedAccount struct {
	Directory string `json:"directory"`
	Email     string `json:"email,omitempty"`
	Location  string `json:"location"`
	Key       string `json:"key"` // PEM
}

// account is the farm's at the authority: the one that is on disk, or a new one.
func (i *Issuer) account(ctx context.Context, set Settings) (*acmez.Client, acme.Account, error) {
	http, err := set.client()
	if err != nil {
		return nil, acme.Account{}, err
	}
	client := &acmez.Client{Client: &acme.Client{Directory: set.Directory, HTTPClient: http, UserAgent: "tandem", Logger: i.cfg.Log}}
	sum := sha256.Sum256([]byte(set.Directory))
	path := filepath.Join(i.cfg.Dir, "account-"+hex.EncodeToString(sum[:4])+".json")
	key, saved, err := readAccount(path)
	if err == nil && saved.Directory == set.Directory {
		account := acme.Account{Status: acme.StatusValid, PrivateKey: key, Location: saved.Location, TermsOfServiceAgreed: true}
		if saved.Email == set.Email {
			return client, account, i.stillKnown(ctx, client, &account)
		}
	}
	account, err := i.register(ctx, client, set, key, path)
	return client, account, err
}

// stillKnown makes sure that the authority has the account. One that it has forgotten is registered anew, with the same key.
func (i *Issuer) stillKnown(ctx context.Context, client *acmez.Client, account *acme.Account) error {
	got, err := client.GetAccount(ctx, *account)
	var p acme.Problem
	if errors.As(err, &p) && p.Type == acme.ProblemTypeAccountDoesNotExist {
		got, err = client.NewAccount(ctx, acme.Account{PrivateKey: account.PrivateKey, TermsOfServiceAgreed: true})
	}
	if err != nil {
		return err
	}
	account.Location, account.Status = got.Location, got.Status
	return nil
}

// register makes an account, or gets that of the key, and keeps it for all members.
func (i *Issuer) register(ctx context.Context, client *acmez.Client, set Settings, key crypto.Signer, path string) (acme.Account, error) {
	account := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if key == nil {
		fresh, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return account, err
		}
		account.PrivateKey = fresh
	}
	if set.Email != "" {
		account.Contact = []string{"mailto:" + set.Email}
	}
	if set.KeyID != "" && set.MAC == "" {
		return account, errors.New("the external account's key, mac_key in [acme], is not known here")
	}
	if set.KeyID != "" {
		if err := account.SetExternalAccountBinding(ctx, client.Client, acme.EAB{KeyID: set.KeyID, MACKey: set.MAC}); err != nil {
			return account, err
		}
	}
	account, err := client.NewAccount(ctx, account)
	if err != nil {
		return account, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(account.PrivateKey)
	if err != nil {
		return account, err
	}
	b, err := json.Marshal(savedAccount{set.Directory, set.Email, account.Location, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	if err != nil {
		return account, err
	}
	return account, certs.Write(i.cfg.Stage, path, b)
}

func readAccount(path string) (crypto.Signer, savedAccount, error) {
	var saved savedAccount
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, saved, err
	}
	if err := json.Unmarshal(b, &saved); err != nil {
		return nil, saved, err
	}
	block, _ := pem.Decode([]byte(saved.Key))
	if block == nil {
		return nil, saved, errors.New("there is no key in it")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, saved, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, saved, errors.New("the key can't sign")
	}
	return signer, saved, nil
}
