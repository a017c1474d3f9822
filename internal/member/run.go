package member

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"tandem/internal/control"
	"tandem/internal/farm"
	"tandem/internal/watch"
)

// run starts the parts in their order and stops them in reverse: visitors first, the journal last.
func (m *Member) run(parent context.Context, ready func()) error {
	base := context.WithoutCancel(parent)
	journalCtx, stopJournal := context.WithCancel(base)
	var journal errgroup.Group
	journal.Go(func() error { return m.journal.Run(journalCtx) })
	defer func() {
		stopJournal()
		_ = journal.Wait()
	}()

	ctx, stop := context.WithCancel(base)
	defer stop()
	m.group, m.ctx = errgroup.WithContext(ctx)
	m.sink(farm.Event{ID: farm.EventStarted, Severity: farm.Info, Subject: string(m.self), Message: "started, version " + m.version})
	server := control.NewServer(control.ServerOptions{Socket: m.paths.Socket, Backend: m, Journal: m.journal, Log: m.log})
	if err := server.Listen(m.ctx); err != nil {
		return err
	}
	self, err := m.listenSelf()
	if err != nil {
		return errors.Join(err, server.Close())
	}
	m.edge.Link(m.self, true)
	if err := m.reload.Boot(m.ctx); err != nil {
		m.log.Warn("no configuration is live yet", "err", err)
	}
	visitors := &http.Server{Handler: http.HandlerFunc(m.serveFarm), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute}
	m.group.Go(func() error { return m.hub.Run(m.ctx) })
	m.group.Go(func() error { return m.reload.Run(m.ctx) })
	m.group.Go(func() error { return m.folders.mend(m.ctx) })
	m.group.Go(func() error { return m.passOn(m.ctx) })
	m.group.Go(func() error { return m.pace(m.ctx) })
	m.group.Go(func() error { return m.newRenewal().run(m.ctx) })
	m.group.Go(func() error { return m.watchConfig(m.ctx) })
	m.group.Go(func() error { return m.watchAddresses(m.ctx) })
	m.group.Go(func() error { return m.certs.watch(m.ctx) })
	m.group.Go(func() error { return m.certs.staple(m.ctx) })
	m.group.Go(func() error { return m.secrets.run(m.ctx) })
	m.group.Go(func() error { return m.acme.Run(m.ctx) })
	m.group.Go(func() error { return m.shell.Run(m.ctx) })
	m.group.Go(func() error { return m.edge.Run(m.ctx) })
	m.group.Go(func() error { return m.access.Run(m.ctx) })
	m.group.Go(func() error { return server.Run(m.ctx) })
	m.group.Go(func() error { return ignoreClosed(visitors.Serve(m.hub.HTTP())) })
	m.group.Go(func() error { return ignoreClosed(visitors.Serve(self)) })
	if ready != nil {
		ready()
	}

	select {
	case <-parent.Done():
	case <-m.ctx.Done(): // a part has failed
	}
	m.drain(visitors)
	stop()
	err = m.group.Wait()
	m.sink(farm.Event{ID: farm.EventStopped, Severity: farm.Info, Subject: string(m.self), Message: "stopped"})
	return err
}

// drain lets visitors finish: the edges are told, then nothing new is taken, then what is under way ends, and then what was
// written here reaches the others.
func (m *Member) drain(visitors *http.Server) {
	m.own.change(func(s *farm.MemberState) { s.Draining = true })
	if m.links.any() {
		time.Sleep(drainNotice)
		m.awaitMoved(context.WithoutCancel(m.ctx))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.ctx), stopTime)
	defer cancel()
	if err := m.shell.Close(ctx); err != nil {
		m.log.Warn("some visitors were cut off", "err", err)
	}
	if err := visitors.Shutdown(ctx); err != nil {
		m.log.Warn("some visitors from edges were cut off", "err", err)
	}
	m.flush(context.WithoutCancel(m.ctx)) // however long visitors took
	m.web.Close()
}

func ignoreClosed(err error) error {
	if err == http.ErrServerClosed {
		return nil
	}
	return err
}

// watchConfig tells reload when somebody has edited the configuration directory, or when revisions have arrived.
func (m *Member) watchConfig(ctx context.Context) error {
	w, err := watch.Open(m.paths.Config, watch.Inotify, watch.Options{Log: m.log, NoBarriers: true})
	if farm.KindOf(err) == farm.Unsupported {
		w, err = watch.Open(m.paths.Config, watch.Poll, watch.Options{Log: m.log, Interval: configPoll, NoBarriers: true})
	}
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.Run(ctx) })
	g.Go(func() error {
		for range w.Events() {
			m.reload.Touched()
		}
		return nil
	})
	return g.Wait()
}

// configPoll is how often the configuration directory is looked at where the system has no notifications.
const configPoll = 200 * time.Millisecond
