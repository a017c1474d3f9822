package member

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
	"tandem/internal/identity"
	"tandem/internal/peer"
	"tandem/internal/wire"
)

// InitOptions say what the first member of a farm is like.
type InitOptions struct {
	Paths     Paths
	Farm      string        // what people call the farm
	Name      farm.MemberID // of this member
	Address   string        // host:port where the others reach it; the port may be missing
	Listen    string        // empty: all addresses, the port of Address
	Roles     []farm.Role
	Addresses []string // own addresses for bindings; nil: those of the interfaces
}

// JoinOptions say what a member that joins is like. Its roles come with the token.
type JoinOptions struct {
	Paths     Paths
	Name      farm.MemberID
	Address   string
	Listen    string
	Addresses []string
}

// Init makes a farm with this member in it: identity, member.toml and a farm.toml to begin with. Error Exists if there
// is a farm here.
func Init(_ context.Context, o InitOptions) (err error) {
	address, listen := addresses(o.Address, o.Listen)
	if err := o.Paths.refuseExisting("init"); err != nil {
		return err
	}
	if err := o.Paths.makeDirs(); err != nil {
		return err
	}
	id, err := identity.CreateFarm(o.Paths.identity(), o.Name, time.Now)
	if err != nil {
		return err
	}
	src, err := config.AddMember(firstFarmFile(o.Farm), config.Member{
		Name: o.Name, Address: address, Roles: o.Roles, Key: id.Fingerprint(), Weight: 1,
	})
	if err != nil {
		return err
	}
	if _, faults := config.Parse(map[string][]byte{config.FarmFile: src}); faults.Err() != nil {
		return faults.Err()
	}
	if err := writeNew(filepath.Join(o.Paths.Config, config.FarmFile), src); err != nil {
		return err
	}
	return o.Paths.writeMemberFile(config.MemberFile{Name: o.Name, Listen: listen, Addresses: o.Addresses})
}

// Join makes this member one of the token's farm. The daemon does the rest when it runs. Error Denied if the token is
// wrong, used or expired; Unavailable if the member that made it can't be reached.
func Join(ctx context.Context, text string, o JoinOptions) error {
	token, err := identity.ParseToken(text)
	if err != nil {
		return err
	}
	address, listen := addresses(o.Address, o.Listen)
	if err := o.Paths.refuseExisting("join"); err != nil {
		return err
	}
	if err := o.Paths.makeDirs(); err != nil {
		return err
	}
	req, err := identity.NewRequest(o.Paths.identity(), o.Name, time.Now)
	if err != nil {
		return err
	}
	reply, err := peer.Join(ctx, token, wire.JoinRequest{Name: o.Name, CSR: req.CSR, Address: address}, time.Now)
	if err != nil {
		return err
	}
	rev, err := config.DecodeRevision(reply.Revision)
	if err != nil {
		return err
	}
	if _, err := req.Accept(reply.Certificate, reply.CA, reply.CAKey); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.Paths.revisions(), rev.FileName()), reply.Revision, 0o600); err != nil {
		return &farm.Error{Op: "join", Path: rev.FileName(), Kind: kindOf(err), Err: err}
	}
	return o.Paths.writeMemberFile(config.MemberFile{Name: o.Name, Listen: listen, Addresses: o.Addresses})
}

// refuseExisting is an error where a member has been made before.
func (p Paths) refuseExisting(op string) error {
	if _, err := os.Stat(p.memberFile()); err == nil {
		return &farm.Error{Op: op, Path: p.memberFile(), Kind: farm.Exists,
			Err: fmt.Errorf("this server is a member of a farm already"), Next: "tandem run serves it"}
	}
	return nil
}

// addresses completes what was typed: the port, and where to listen.
func addresses(address, listen string) (string, string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = address, DefaultPort
	}
	if listen == "" {
		listen = net.JoinHostPort("", port)
	}
	return net.JoinHostPort(host, port), listen
}

func (p Paths) writeMemberFile(f config.MemberFile) error {
	src := f.Write()
	if _, faults := config.LoadMember(src); faults.Err() != nil {
		return faults.Err()
	}
	return writeNew(p.memberFile(), src)
}

// writeNew writes a file that must not exist.
func writeNew(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err == nil {
		_, err = f.Write(content)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		return &farm.Error{Op: "write", Path: name, Kind: kindOf(err), Err: err}
	}
	return nil
}

// firstFarmFile is what an admin finds after init.
func firstFarmFile(name string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# The farm's configuration, the same on every member. Edit it on any of them, with any editor: it is checked when it
# is saved, and live everywhere a moment later. All keys: docs/farm-toml.md

[farm]
name = %q

# A folder that every node holds a copy of:
#
# [folder.shop]
# path = "/var/www/shop"
# exclude = ["cache/**"]

# How visitors come in, on members with the role edge:
#
# [edge]
# http = ":80"
# https = ":443"
`, name)
	return b.Bytes()
}

// Join implements peer.Joiner: it lets the owner of a good token in.
func (m *Member) Join(ctx context.Context, remote string, q wire.JoinRequest) (wire.JoinReply, error) {
	inv, err := m.invites.Redeem(q.Token, q.Secret, q.Name)
	if err != nil {
		return wire.JoinReply{}, err
	}
	cert, err := m.identity.Issue(q.CSR, q.Name)
	if err != nil {
		return wire.JoinReply{}, err
	}
	leaf, err := x509.ParseCertificate(cert)
	if err != nil {
		return wire.JoinReply{}, err
	}
	rev, err := m.reload.Update(ctx, "member "+string(q.Name)+" joins", func(files map[string][]byte) (map[string][]byte, error) {
		src, err := config.AddMember(files[config.FarmFile], config.Member{
			Name: q.Name, Address: joinAddress(q.Address, remote), Roles: inv.Roles, Key: identity.Fingerprint(leaf), Weight: 1,
		})
		if err != nil {
			return nil, err
		}
		files[config.FarmFile] = src
		return files, nil
	})
	if err != nil {
		return wire.JoinReply{}, err
	}
	reply := wire.JoinReply{Certificate: identity.EncodeCert(cert), CA: m.identity.CA(), Revision: rev.Encode()}
	if slices.Contains(inv.Roles, farm.RoleNode) {
		if reply.CAKey, err = m.identity.CAKey(); err != nil {
			return wire.JoinReply{}, err
		}
	}
	return reply, nil
}

// joinAddress is where the others reach the new member: what it says, or where it called from.
func joinAddress(said, remote string) string {
	host, port, err := net.SplitHostPort(said)
	if err == nil && host != "" {
		return said
	}
	if from, _, err := net.SplitHostPort(remote); err == nil {
		host = from
	}
	if port == "" {
		port = DefaultPort
	}
	return net.JoinHostPort(host, port)
}
