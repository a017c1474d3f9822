package web

import (
	"encoding/json"
	"log/slog"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// site is a loaded site file. Its modules live until the router has dropped it and its last request is through.
type site struct {
	file   string
	digest [32]byte // of the expanded source
	blocks []*block
	users  atomic.Int64 // the router, and the requests in flight; 0: unloaded
	unload func()
}

// acquire keeps the site loaded until release. It fails if it is unloaded already.
func (s *site) acquire() bool {
	for {
		n := s.users.Load()
		if n == 0 {
			return false
		}
		if s.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (s *site) release() {
	if s.users.Add(-1) == 0 {
		s.unload()
	}
}

// siteKey is where modules of ours find their site's environment in the caddy.Context.
type siteKey struct{}

// environment is what a site's modules of ours need from outside.
type environment struct {
	self        farm.MemberID
	consistency Consistency
	forwarder   Forwarder
	folders     map[farm.FolderID]string // to their paths on this member
	roots       []string                 // of the site
	key         []byte                   // see Config.VisitKey
	writing     func(farm.FolderID) *atomic.Int64
	file        string
	sink        farm.Sink
	log         *slog.Logger
}

// name gives the site the names of a program that is not loaded.
func (s *site) name(p *program) {
	s.users.Store(1)
	for _, c := range p.blocks {
		s.blocks = append(s.blocks, &block{line: c.line, bindings: c.bindings, tls: c.tls, edge: c.edge})
	}
}

// load provisions a program's modules.
func (s *Sites) load(st *site, p *program, folders map[farm.FolderID]string) config.Faults {
	ctx, cancel := caddy.NewContext(s.cfg.Parent)
	var logs logFiles
	st.unload = func() {
		cancel()
		logs.close(s.writers)
	}
	st.users.Store(1)
	env := environment{
		self: s.cfg.Self, consistency: s.cfg.Consistency, forwarder: s.cfg.Forwarder, folders: folders,
		key: s.cfg.VisitKey, writing: s.writing, file: st.file, sink: s.cfg.Sink, log: s.cfg.Log.With("site", st.file),
	}
	for _, c := range p.blocks {
		b, err := loadBlock(ctx, c, env)
		if err == nil {
			b.access, err = logs.open(ctx, s.writers, c, env.log)
		}
		if err != nil {
			st.release()
			return config.Faults{c.faultOfLoad(st.file, err)}
		}
		st.blocks = append(st.blocks, b)
	}
	return nil
}

func loadBlock(ctx caddy.Context, c compiled, env environment) (*block, error) {
	f := facts{etags: c.edge != nil && c.edge.CacheBytes > 0 && env.consistency != nil}
	lists := []caddyhttp.RouteList{c.routes, c.errors}
	for _, r := range c.named {
		lists = append(lists, caddyhttp.RouteList{*r})
	}
	for _, l := range lists {
		if err := f.harden(l); err != nil {
			return nil, err
		}
	}
	env.roots = f.roots
	b := &block{line: c.line, bindings: c.bindings, tls: c.tls, edge: c.edge, log: env.log, missing: newMissing(&env), proxies: f.proxies}
	b.vouch = newVouch(&env, b.missing, c.edge)
	// Handlers look for the server in the request; ours has no listeners and no routes but the named ones.
	b.server = &caddyhttp.Server{NamedRoutes: c.named}
	ctx = ctx.WithValue(caddyhttp.ServerCtxKey, b.server)
	ctx = ctx.WithValue(siteKey{}, &env)
	for _, r := range c.named {
		if err := r.Provision(ctx, nil); err != nil {
			return nil, err
		}
	}
	var err error
	if b.routes, err = subroute(ctx, c.routes); err != nil {
		return nil, err
	}
	if len(c.errors) > 0 {
		b.errors, err = subroute(ctx, c.errors)
	}
	return b, err
}

func subroute(ctx caddy.Context, routes caddyhttp.RouteList) (caddyhttp.MiddlewareHandler, error) {
	raw, err := json.Marshal(caddyhttp.Subroute{Routes: routes})
	if err != nil {
		return nil, err
	}
	mod, err := ctx.LoadModuleByID("http.handlers.subroute", raw)
	if err != nil {
		return nil, err
	}
	return mod.(caddyhttp.MiddlewareHandler), nil
}
