package acme

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

const (
	hookTime  = 5 * time.Minute // for one call of the hook
	hookWords = 400             // bytes of what it printed that go into an error
)

// hook implements acmez.Solver for DNS-01 by a command of the admin's: COMMAND... set|clear NAME VALUE.
type hook struct {
	command []string
	wait    time.Duration
	log     *slog.Logger
}

func (h hook) run(ctx context.Context, verb string, c acme.Challenge) error {
	ctx, cancel := context.WithTimeout(ctx, hookTime)
	defer cancel()
	args := append(append([]string{}, h.command[1:]...), verb, c.DNS01TXTRecordName(), c.DNS01KeyAuthorization())
	cmd := exec.CommandContext(ctx, h.command[0], args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		said := strings.TrimSpace(string(out))
		return fmt.Errorf("the hook %s fails to %s the record %s: %w: %s", h.command[0], verb, c.DNS01TXTRecordName(), err, said[max(0, len(said)-hookWords):])
	}
	return nil
}

// Present implements acmez.Solver.
func (h hook) Present(ctx context.Context, c acme.Challenge) error { return h.run(ctx, "set", c) }

// Wait implements acmez.Waiter.
func (h hook) Wait(ctx context.Context, _ acme.Challenge) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(h.wait):
		return nil
	}
}

// CleanUp implements acmez.Solver. A record that stays is no harm.
func (h hook) CleanUp(ctx context.Context, c acme.Challenge) error {
	if err := h.run(ctx, "clear", c); err != nil {
		h.log.Warn("a DNS record stays", "err", err)
	}
	return nil
}
