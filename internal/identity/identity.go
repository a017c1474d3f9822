package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"tandem/internal/farm"
)

// Identity is a member's own: its name, key and certificate, the farm's CA, and the CA's key where it has authority.
type Identity struct {
	dir    string
	now    func() time.Time
	name   farm.MemberID
	key    *ecdsa.PrivateKey
	ca     *x509.Certificate
	caKey  *ecdsa.PrivateKey // nil without authority
	roots  *x509.CertPool
	member atomic.Pointer[tls.Certificate] // replaced when it is renewed
}

// CreateFarm makes a new farm with its first member and stores both in dir, which is made if need be. now is the
// clock for certificates made and checked later. Error farm.Exists if dir already holds a farm.
func CreateFarm(dir string, name farm.MemberID, now func() time.Time) (*Identity, error) {
	const op = "create farm"
	if err := prepareDir(op, dir); err != nil {
		return nil, err
	}
	ca, caKey, err := newCA(now())
	if err != nil {
		return nil, farm.Errorf(op, dir, farm.Internal, "%w", err)
	}
	caKeyPEM, err := encodeKey(caKey)
	if err != nil {
		return nil, farm.Errorf(op, dir, farm.Internal, "%w", err)
	}
	req, err := NewRequest(dir, name, now)
	if err != nil {
		return nil, err
	}
	issuer := &Identity{now: now, ca: ca, caKey: caKey}
	cert, err := issuer.Issue(req.CSR, name)
	if err != nil {
		return nil, err
	}
	return req.Accept(EncodeCert(cert), EncodeCert(ca.Raw), caKeyPEM)
}

func prepareDir(op, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fileError(op, dir, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, caFile)); err == nil {
		return &farm.Error{Op: op, Path: dir, Kind: farm.Exists, Err: os.ErrExist,
			Next: "this member belongs to a farm already"}
	}
	return nil
}

// Request is a member-to-be: a key and the certificate request for it.
type Request struct {
	CSR  []byte // DER
	dir  string
	name farm.MemberID
	now  func() time.Time
	key  *ecdsa.PrivateKey
}

// NewRequest makes the key of a new member. Nothing is stored before Accept. Error farm.Exists if dir already holds
// a farm.
func NewRequest(dir string, name farm.MemberID, now func() time.Time) (*Request, error) {
	const op = "request certificate"
	if _, err := farm.ParseMemberID(string(name)); err != nil {
		return nil, &farm.Error{Op: op, Kind: farm.Invalid, Err: err}
	}
	if err := prepareDir(op, dir); err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, farm.Errorf(op, dir, farm.Internal, "%w", err)
	}
	csr, err := requestFor(name, key)
	if err != nil {
		return nil, farm.Errorf(op, dir, farm.Internal, "%w", err)
	}
	return &Request{CSR: csr, dir: dir, name: name, now: now, key: key}, nil
}

func requestFor(name farm.MemberID, key *ecdsa.PrivateKey) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{Subject: pkix.Name{CommonName: string(name)}}, key)
}

// Accept checks what the farm answered (PEM; caKey is empty for a member without authority) and stores the identity.
// ca.pem is written last: without it there is no identity, so that a crash half way leaves none.
func (r *Request) Accept(cert, ca, caKey []byte) (*Identity, error) {
	keyPEM, err := encodeKey(r.key)
	if err != nil {
		return nil, farm.Errorf("accept certificate", r.dir, farm.Internal, "%w", err)
	}
	id, err := build(r.dir, r.now, parts{cert: cert, key: keyPEM, ca: ca, caKey: caKey})
	if err != nil {
		return nil, err
	}
	if id.name != r.name {
		return nil, farm.Errorf("accept certificate", r.dir, farm.Invalid, "it names %q, not %q", id.name, r.name)
	}
	files := []struct {
		name    string
		content []byte
	}{{caKeyFile, caKey}, {memberKeyFile, keyPEM}, {memberFile, cert}, {caFile, ca}}
	for _, f := range files {
		if len(f.content) == 0 {
			continue
		}
		if err := writeSecret(filepath.Join(r.dir, f.name), f.content); err != nil {
			return nil, err
		}
	}
	return id, nil
}

// Load reads the identity in dir. Errors: farm.NotFound if there is none, farm.Denied if others may read a key,
// farm.Invalid if the files do not belong together.
func Load(dir string, now func() time.Time) (*Identity, error) {
	var p parts
	for _, f := range []struct {
		name     string
		to       *[]byte
		optional bool
	}{{caFile, &p.ca, false}, {memberFile, &p.cert, false}, {memberKeyFile, &p.key, false}, {caKeyFile, &p.caKey, true}} {
		b, err := readSecret(filepath.Join(dir, f.name))
		if f.optional && farm.KindOf(err) == farm.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		*f.to = b
	}
	return build(dir, now, p)
}

// parts are the files of an identity.
type parts struct{ cert, key, ca, caKey []byte }

// build makes an identity of parts that belong together.
func build(dir string, now func() time.Time, p parts) (*Identity, error) {
	bad := func(file string, err error) (*Identity, error) {
		return nil, farm.Errorf("load identity", filepath.Join(dir, file), farm.Invalid, "%w", err)
	}
	id := &Identity{dir: dir, now: now, roots: x509.NewCertPool()}
	var err error
	if id.ca, err = decodeCert(p.ca); err != nil {
		return bad(caFile, err)
	}
	id.roots.AddCert(id.ca)
	if id.key, err = decodeKey(p.key); err != nil {
		return bad(memberKeyFile, err)
	}
	if len(p.caKey) > 0 {
		if id.caKey, err = decodeKey(p.caKey); err != nil {
			return bad(caKeyFile, err)
		}
		if !samePublic(id.ca.PublicKey, id.caKey.Public()) {
			return nil, farm.Errorf("load identity", dir, farm.Invalid, "%s is not the key of %s", caKeyFile, caFile)
		}
	}
	cert, err := decodeCert(p.cert)
	if err != nil {
		return bad(memberFile, err)
	}
	if id.name, err = id.use(cert); err != nil {
		return bad(memberFile, err)
	}
	return id, nil
}

// use makes cert the one that is shown in handshakes, if it is of this farm and for this key. An expired one is
// taken: the member serves on its own with it, and shows it until it is renewed.
func (id *Identity) use(cert *x509.Certificate) (farm.MemberID, error) {
	if !samePublic(cert.PublicKey, id.key.Public()) {
		return "", errOtherKey
	}
	if err := cert.CheckSignatureFrom(id.ca); err != nil {
		return "", err
	}
	name, err := NameOf(cert)
	if err != nil {
		return "", err
	}
	// The CA goes along for those who know only its fingerprint: a member that joins.
	id.member.Store(&tls.Certificate{Certificate: [][]byte{cert.Raw, id.ca.Raw}, PrivateKey: id.key, Leaf: cert})
	return name, nil
}

func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(*ecdsa.PublicKey)
	return ok && k.Equal(b)
}

// Name is the member's.
func (id *Identity) Name() farm.MemberID { return id.name }

// Farm names the farm for ever: the fingerprint of its CA.
func (id *Identity) Farm() string { return Fingerprint(id.ca) }

// Fingerprint is that of the member's own key, as farm.toml lists it.
func (id *Identity) Fingerprint() string { return Fingerprint(id.member.Load().Leaf) }

// Expires is when the member's certificate must have been renewed.
func (id *Identity) Expires() time.Time { return id.member.Load().Leaf.NotAfter }

// Authority tells whether this member may issue certificates.
func (id *Identity) Authority() bool { return id.caKey != nil }

// CA is the farm's certificate as PEM, for a member that joins and for visitors who want to trust it.
func (id *Identity) CA() []byte { return EncodeCert(id.ca.Raw) }

// CAKey is the key of the CA as PEM, for a member that joins with authority. Error farm.Denied without authority.
func (id *Identity) CAKey() ([]byte, error) {
	if id.caKey == nil {
		return nil, noAuthority("read CA key")
	}
	return encodeKey(id.caKey)
}

// CSR is a request, in DER, to renew the member's certificate for the same key. What a member with authority issues
// for it goes to Install.
func (id *Identity) CSR() ([]byte, error) { return requestFor(id.name, id.key) }

// Install stores a renewed certificate (DER) and shows it from the next handshake on.
func (id *Identity) Install(der []byte) error {
	const op = "renew certificate"
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return farm.Errorf(op, string(id.name), farm.Invalid, "%w", err)
	}
	if name, err := NameOf(cert); err != nil || name != id.name {
		return farm.Errorf(op, string(id.name), farm.Invalid, "it names %q", cert.Subject.CommonName)
	}
	if _, err := id.use(cert); err != nil {
		return farm.Errorf(op, string(id.name), farm.Invalid, "%w", err)
	}
	return writeSecret(filepath.Join(id.dir, memberFile), EncodeCert(der))
}
