package member

import (
	"context"
	"slices"
	"sync"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// Times and bounds of the opening of secrets.
const (
	openTime  = 2 * time.Second // for one question
	openRetry = 5 * time.Second // after no node has answered
	awaitTime = 5 * time.Second // after the start
	maxOpened = 4096            // values that are remembered
)

// secretKeeper opens the secrets of the farm's configuration. A member that has the key of the CA does it by itself. The
// others ask one that has: a node, as one that was an edge when it joined, for any; an edge for those that farm.toml uses.
type secretKeeper struct {
	m *Member

	mu     sync.Mutex
	opened map[string]string // by name and sealed value; only of a member without the key
}

func newSecretKeeper(m *Member) *secretKeeper {
	return &secretKeeper{m: m, opened: map[string]string{}}
}

// open implements web.Config.Unseal. It may wait for another member.
func (k *secretKeeper) open(name, sealed string) (string, error) {
	if k.m.identity.Authority() {
		return k.m.identity.Unseal(name, sealed)
	}
	if value, ok := k.known(name, sealed); ok {
		return value, nil
	}
	return k.ask(k.m.ctx, name, sealed)
}

func (k *secretKeeper) known(name, sealed string) (string, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	value, ok := k.opened[name+"\x00"+sealed]
	return value, ok
}

// value is what a text of farm.toml says: itself, or the secret that it stands for. It asks nobody: a secret that is not
// known yet is an error, and run is about to ask for it.
func (k *secretKeeper) value(c *config.Config, text string) (string, error) {
	name, is := config.SecretName(text)
	if !is {
		return text, nil
	}
	sealed := c.Secrets[name]
	if k.m.identity.Authority() {
		return k.m.identity.Unseal(name, sealed)
	}
	if value, ok := k.known(name, sealed); ok {
		return value, nil
	}
	return "", farm.Errorf("open secret", name, farm.Unavailable, "no node has been linked yet that can open it")
}

// openRequest asks for the value of a secret.
type openRequest struct {
	Name   string `json:"name"`
	Sealed string `json:"sealed"`
}

type openReply struct {
	Value string `json:"value"`
}

// ask has a node open a secret.
func (k *secretKeeper) ask(ctx context.Context, name, sealed string) (string, error) {
	err := error(farm.Errorf("open secret", name, farm.Unavailable, "no node is linked that could open it"))
	c := k.m.config()
	if c == nil {
		return "", err
	}
	for _, node := range c.With(farm.RoleNode) {
		if node.Name == k.m.self || !k.m.links.up(node.Name) {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, openTime)
		var reply openReply
		err = k.m.ask(ctx, node.Name, callOpen, openRequest{name, sealed}, &reply)
		cancel()
		if err == nil {
			k.remember(name, sealed, reply.Value)
			return reply.Value, nil
		}
	}
	return "", err
}

func (k *secretKeeper) remember(name, sealed, value string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.opened) >= maxOpened {
		clear(k.opened)
	}
	k.opened[name+"\x00"+sealed] = value
}

// openFor answers another member.
func (k *secretKeeper) openFor(from farm.MemberID, q openRequest) (openReply, error) {
	c := k.m.config()
	if c == nil {
		return openReply{}, farm.Errorf("open secret", q.Name, farm.Unavailable, "the member is starting")
	}
	mem, known := c.Member(from)
	if !known || !mem.Has(farm.RoleNode) && (!slices.Contains(c.FarmSecrets(), q.Name) || c.Secrets[q.Name] != q.Sealed) {
		return openReply{}, farm.Errorf("open secret", q.Name, farm.Denied, "%s may not know it", from)
	}
	value, err := k.m.identity.Unseal(q.Name, q.Sealed)
	return openReply{value}, err
}

// run asks for the secrets that farm.toml uses, on members that can't open them, until ctx ends.
func (k *secretKeeper) run(ctx context.Context) error {
	if k.m.identity.Authority() {
		return nil
	}
	for {
		err := k.m.links.await(ctx, func() bool { return len(k.missing()) > 0 && k.m.links.anyUp() })
		if err != nil {
			return nil
		}
		pause := time.Duration(0)
		for name, sealed := range k.missing() {
			if _, err := k.ask(ctx, name, sealed); err != nil {
				k.m.log.Warn("a secret that farm.toml uses can't be opened yet", "secret", name, "err", err)
				pause = openRetry
			}
		}
		k.m.certs.changed()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// await gives run some time after the start: what needs a secret is not at fault yet.
func (k *secretKeeper) await(ctx context.Context) {
	if k.m.identity.Authority() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, awaitTime)
	defer cancel()
	_ = k.m.links.await(ctx, func() bool { return len(k.missing()) == 0 }) // or the time is over
}

// missing are the secrets that farm.toml uses and that are not known here: sealed values by name.
func (k *secretKeeper) missing() map[string]string {
	missing := map[string]string{}
	c := k.m.config()
	if c == nil {
		return missing
	}
	for _, name := range c.FarmSecrets() {
		if _, ok := k.known(name, c.Secrets[name]); !ok {
			missing[name] = c.Secrets[name]
		}
	}
	return missing
}
