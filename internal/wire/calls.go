package wire

import (
	"tandem/internal/farm"
	"tandem/internal/wire/pb"
)

// FetchRequest asks for the content of a file, from the offset (bytes) on, or for its recipe. The path says where the
// other member may find it; the digest says what is wanted.
type FetchRequest struct {
	Folder farm.FolderID
	Path   farm.Path
	Digest farm.Digest
	Offset int64
	Length int64       // 0: to the end; at most MaxRangeBytes
	Recipe bool        // instead of the content
	Base   farm.Digest // the asker has a recipe of it; zero: of none
}

// JoinRequest is what a new member brings.
type JoinRequest struct {
	Name    farm.MemberID
	CSR     []byte // DER, for its key
	Token   string // id of the invite
	Secret  []byte
	Address string // host:port where the others reach it
	Roles   []farm.Role
}

// JoinReply is what the farm gives it.
type JoinReply struct {
	Certificate []byte // PEM
	CA          []byte // PEM
	CAKey       []byte // PEM; empty without authority
	Revision    []byte // the farm's configuration, so that it knows the others at once
}

// CallRequest asks another member to do something that only it can: probe, status.
type CallRequest struct {
	Method string
	Body   []byte // JSON
}

// EncodeFetch is the inverse of DecodeFetch.
func EncodeFetch(q FetchRequest) *pb.FetchRequest {
	return &pb.FetchRequest{Folder: string(q.Folder), Path: []byte(q.Path.String()), Digest: digestBytes(q.Digest),
		Offset: q.Offset, Length: q.Length, Recipe: q.Recipe, Base: digestBytes(q.Base)}
}

// DecodeFetch checks a request. Error farm.Invalid, with the field as its Path, as for the other functions here.
func DecodeFetch(q *pb.FetchRequest) (FetchRequest, error) {
	r := reader{op: "decode fetch"}
	out := FetchRequest{Folder: r.folder("folder", q.GetFolder()), Path: r.path("path", q.GetPath()),
		Digest: r.digest("digest", q.GetDigest()), Offset: q.GetOffset(), Length: q.GetLength(), Recipe: q.GetRecipe(), Base: r.digest("base", q.GetBase())}
	if out.Digest.IsZero() {
		r.fail("digest", "it is missing")
	}
	if out.Offset < 0 {
		r.fail("offset", "%d is negative", out.Offset)
	}
	if out.Length < 0 || out.Length > MaxRangeBytes {
		r.fail("length", "%d is not from 0 to %d", out.Length, MaxRangeBytes)
	}
	return out, r.err
}

// EncodeJoin is the inverse of DecodeJoin.
func EncodeJoin(q JoinRequest) *pb.JoinRequest {
	return &pb.JoinRequest{Name: string(q.Name), Csr: q.CSR, Token: q.Token, Secret: q.Secret, Address: q.Address,
		Roles: roles(q.Roles)}
}

// DecodeJoin checks the request of a stranger.
func DecodeJoin(q *pb.JoinRequest) (JoinRequest, error) {
	r := reader{op: "decode join"}
	out := JoinRequest{
		Name: r.member("name", q.GetName()), CSR: r.blob("csr", q.GetCsr(), MaxCertBytes),
		Token:   r.text("token", []byte(q.GetToken()), MaxTokenBytes),
		Secret:  r.blob("secret", q.GetSecret(), MaxTokenBytes),
		Address: r.text("address", []byte(q.GetAddress()), MaxAddressBytes),
		Roles:   r.roles("roles", q.GetRoles()),
	}
	return out, r.err
}

// EncodeJoinReply is the inverse of DecodeJoinReply.
func EncodeJoinReply(p JoinReply) *pb.JoinReply {
	return &pb.JoinReply{Certificate: p.Certificate, Ca: p.CA, CaKey: p.CAKey, Revision: p.Revision}
}

// DecodeJoinReply checks the answer.
func DecodeJoinReply(p *pb.JoinReply) (JoinReply, error) {
	r := reader{op: "decode join reply"}
	out := JoinReply{
		Certificate: r.blob("certificate", p.GetCertificate(), MaxCertBytes),
		CA:          r.blob("ca", p.GetCa(), MaxCertBytes),
		CAKey:       r.blob("ca_key", p.GetCaKey(), MaxCertBytes),
		Revision:    r.blob("revision", p.GetRevision(), MaxRevisionBytes),
	}
	return out, r.err
}

// DecodeSign checks a request for a certificate for host names and returns its CSR (DER).
func DecodeSign(q *pb.SignRequest) ([]byte, error) {
	r := reader{op: "decode sign"}
	csr := r.blob("csr", q.GetCsr(), MaxCertBytes)
	return csr, r.err
}

// DecodeCall checks a control call.
func DecodeCall(q *pb.CallRequest) (CallRequest, error) {
	r := reader{op: "decode call"}
	out := CallRequest{Method: r.text("method", []byte(q.GetMethod()), MaxMethodBytes),
		Body: r.blob("body", q.GetBody(), MaxBodyBytes)}
	return out, r.err
}
