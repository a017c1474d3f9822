package peer

import (
	"context"

	"tandem/internal/farm"
	"tandem/internal/wire"
	"tandem/internal/wire/pb"
)

// Renew lets a node sign this member's certificate again, for the same name and key (CSR and answer in DER). Error
// farm.Unsupported if the node's program can't.
func (h *Hub) Renew(ctx context.Context, by farm.MemberID, csr []byte) ([]byte, error) {
	const op = "renew certificate"
	s, err := h.live(op, by)
	if err != nil {
		return nil, err
	}
	if !wire.Can(s.protocol, wire.CanRenew) {
		return nil, &farm.Error{Op: op, Path: string(by), Kind: farm.Unsupported, Next: "upgrade tandem on " + string(by)}
	}
	p, err := s.calls.Renew(ctx, &pb.SignRequest{Csr: csr})
	return p.GetCertificate(), wire.FromStatus(op, string(by), err)
}

// Renew signs the caller's certificate again.
func (s *service) Renew(ctx context.Context, q *pb.SignRequest) (*pb.SignReply, error) {
	l, _, err := s.caller(ctx)
	if err != nil {
		return nil, wire.Status(err)
	}
	if s.hub.cfg.Renewer == nil {
		return nil, wire.Status(farm.Errorf("renew certificate", "", farm.Unsupported, "this member renews nothing"))
	}
	csr, err := wire.DecodeSign(q)
	if err != nil {
		return nil, wire.Status(err)
	}
	der, err := s.hub.cfg.Renewer.Renew(l.id, csr)
	return &pb.SignReply{Certificate: der}, wire.Status(err)
}
