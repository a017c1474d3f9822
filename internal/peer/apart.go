package peer

// apart tells whether the configuration wants no session with the member.
func (l *link) apart() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.member.Apart
}

// stayApart waits until something about the member changes.
func (l *link) stayApart() {
	l.set(Apart, "")
	select {
	case <-l.ctx.Done():
	case <-l.wake:
	}
}

// update takes what the configuration says of the member now. A session that it does not want any more ends.
func (l *link) update(m Member) {
	l.mu.Lock()
	l.member = m
	s, g := l.session, l.greeting
	l.mu.Unlock()
	if !m.Apart {
		return
	}
	if s != nil {
		s.fail(errApart)
	}
	if g != nil && g.cancel != nil {
		g.cancel()
	}
}
