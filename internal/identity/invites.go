package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"tandem/internal/farm"
)

// Reasons why a token is refused; errors.Is finds them inside a farm.Denied.
var (
	ErrTokenWrong   = errors.New("the token is wrong")
	ErrTokenUsed    = errors.New("the token has been used")
	ErrTokenExpired = errors.New("the token has expired")
	ErrTokenName    = errors.New("the token was made for a member of another name")
)

const (
	maxInvites = 1000                // in the store, dead ones included
	keepDead   = 30 * 24 * time.Hour // how long "used" and "expired" are told from "wrong"
)

// Invite is what a redeemed token grants.
type Invite struct {
	ID    string
	Roles []farm.Role
}

// invite is a row of the store.
type invite struct {
	ID      string        `json:"id"`
	Hash    string        `json:"hash"`           // SHA-256 of the secret, which has 160 random bits: nothing slower is needed
	Name    farm.MemberID `json:"name,omitempty"` // the only one that may join with it; empty: any
	Roles   []farm.Role   `json:"roles"`
	Expires time.Time     `json:"expires"`
	Used    *time.Time    `json:"used,omitempty"`
}

func (v invite) dead(now time.Time) bool { return v.Used != nil || now.After(v.Expires) }

// Invites is the store of the invites that this member has made: a JSON file of mode 0600, written at every change.
type Invites struct {
	file string
	pin  string
	now  func() time.Time
	mu   sync.Mutex // one reader-changer-writer of the file at a time
}

// NewInvites returns the store in the file, which need not exist yet. The tokens pin the farm of id.
func NewInvites(file string, id *Identity) *Invites {
	return &Invites{file: file, pin: id.Farm(), now: id.now}
}

// Create makes an invite for one member with the roles, valid for ttl, and returns its token. addresses are where the
// new member finds this one, as host:port. A name binds it to a member of that name. Errors: farm.Invalid, farm.Full if too many invites are open.
func (s *Invites) Create(ttl time.Duration, roles []farm.Role, name farm.MemberID, addresses []string) (string, error) {
	const op = "invite"
	if err := checkAddresses(addresses); err != nil {
		return "", &farm.Error{Op: op, Kind: farm.Invalid, Err: err}
	}
	if len(roles) == 0 || ttl <= 0 {
		return "", farm.Errorf(op, "", farm.Invalid, "an invite needs a role and a time to live")
	}
	random := make([]byte, idBytes+secretBytes)
	if _, err := rand.Read(random); err != nil {
		return "", farm.Errorf(op, "", farm.Internal, "%w", err)
	}
	t := Token{Addresses: addresses, Pin: s.pin, ID: hex.EncodeToString(random[:idBytes]), Secret: random[idBytes:]}

	s.mu.Lock()
	defer s.mu.Unlock()
	list, err := s.load()
	if err != nil {
		return "", err
	}
	if len(list) >= maxInvites {
		return "", farm.Errorf(op, "", farm.Full, "%d invites are kept already", len(list))
	}
	list = append(list, invite{ID: t.ID, Hash: hashOf(t.Secret), Name: name, Roles: roles, Expires: s.now().Add(ttl)})
	if err := s.save(list); err != nil {
		return "", err
	}
	return t.String(), nil
}

// Redeem uses up the invite with the secret, for a member of the name. Error farm.Denied with ErrTokenWrong, ErrTokenUsed,
// ErrTokenExpired or ErrTokenName; a wrong secret or name does not use it up.
func (s *Invites) Redeem(id string, secret []byte, name farm.MemberID) (Invite, error) {
	denied := func(why error) (Invite, error) {
		return Invite{}, &farm.Error{Op: "redeem token", Kind: farm.Denied, Err: why,
			Next: "make a new one with `tandem invite`"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list, err := s.load()
	if err != nil {
		return Invite{}, err
	}
	i := slices.IndexFunc(list, func(v invite) bool { return v.ID == id })
	// The comparison takes as long whether or not the id is known.
	stored := hashOf(nil)
	if i >= 0 {
		stored = list[i].Hash
	}
	if match := subtle.ConstantTimeCompare([]byte(stored), []byte(hashOf(secret))) == 1; !match || i < 0 {
		return denied(ErrTokenWrong)
	}
	now := s.now()
	switch v := &list[i]; {
	case v.Used != nil:
		return denied(ErrTokenUsed)
	case now.After(v.Expires):
		return denied(ErrTokenExpired)
	case v.Name != "" && v.Name != name:
		return denied(ErrTokenName)
	default:
		v.Used = &now
	}
	if err := s.save(list); err != nil {
		return Invite{}, err
	}
	return Invite{ID: id, Roles: list[i].Roles}, nil
}

func hashOf(secret []byte) string {
	sum := sha256.Sum256(secret)
	return hex.EncodeToString(sum[:])
}

// load reads the store without what has been dead for long; where it is full, without all that is dead.
func (s *Invites) load() ([]invite, error) {
	b, err := readSecret(s.file)
	if farm.KindOf(err) == farm.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []invite
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, farm.Errorf("read invites", s.file, farm.Corrupt, "%w", err)
	}
	now := s.now()
	list = slices.DeleteFunc(list, func(v invite) bool { return now.After(v.Expires.Add(keepDead)) })
	if len(list) >= maxInvites {
		list = slices.DeleteFunc(list, func(v invite) bool { return v.dead(now) })
	}
	return list, nil
}

func (s *Invites) save(list []invite) error {
	b, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return farm.Errorf("write invites", s.file, farm.Internal, "%w", err)
	}
	return writeSecret(s.file, append(b, '\n'))
}
