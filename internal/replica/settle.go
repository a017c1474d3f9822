package replica

import (
	"slices"
	"strconv"
	"time"

	"tandem/internal/farm"
	"tandem/internal/reconcile"
)

// settle takes the next step towards what the path should be, unless one is under way. It is the only place where
// that is decided.
func (m *Machine) settle(p farm.Path, w *work) {
	if w.phase != idle {
		return
	}
	if w.ruling != m.ruling {
		if w.ruling = m.ruling; m.skip(p) {
			m.tellParent(p, w)
			m.close(p, w)
			return
		}
	}
	if w.dirty {
		m.examine(p, w)
		return
	}
	r, _ := m.db.Get(p)
	if len(r.Known) == 0 && m.awaited(p) {
		return // children have arrived before their directory: it will come
	}
	if m.isExtra(r) {
		m.settleExtra(r, w)
		return
	}
	if w.back == nil && r.Disk.Type == farm.Dir && m.below[p] > 0 && !m.awaited(p) && reconcile.Decide(r.Known, false).Type != farm.Dir {
		w.phase = forChildren // what they come to decides whether it stays, and that is a dear question
		return
	}
	s := m.goal(r, w)
	if satisfied(r.Disk, s) {
		m.adopt(r, s)
		m.named(p)
		if w.back != nil {
			m.brought(p, w)
			return
		}
		m.close(p, w)
		return
	}
	switch {
	case s.Type != farm.Absent && (w.noName || m.namelessAbove(p)):
		m.leaveOut(p, w)
	case s.Type != farm.Absent && m.rules.LeftOut(p, s.Attr):
		m.leaveOut(p, w)
	case s.Type != farm.Absent && !m.parentOnDisk(p):
		m.await(p, w)
		m.settle(p.Parent(), m.open(p.Parent()))
	case w.back != nil && r.Disk.Type == farm.Dir && s.Type != farm.Dir:
		if w.phase = forChildren; !m.bringsBelow(p) {
			m.install(r, w, s)
		}
	case r.Disk.Type == farm.Dir && s.Type != farm.Dir && (m.below[p] > 0 || m.clearExtras(p)):
		w.phase = forChildren
	case !m.tries(w):
		w.phase = forCheck
	case m.paused:
		w.phase = forResume
	case m.flipsEarly(p, w, r.Disk, s): // looked at again soon
	default:
		m.install(r, w, s)
	}
}

// goal is what the path should be now.
func (m *Machine) goal(r farm.Record, w *work) reconcile.State {
	if w.back != nil {
		return stateOf(*w.back)
	}
	s := reconcile.Decide(r.Known, false)
	if s.Type == farm.Dir || len(r.Known) == 0 {
		return s
	}
	if w.full || m.awaited(r.Path) || r.Disk.Type == farm.Dir && m.live(r.Path) {
		return reconcile.Decide(r.Known, true)
	}
	return s
}

// live tells whether anything below dir keeps it a directory. The index knows which children have a living version; only
// all versions of a child together tell whether it lives. That is asked seldom: of a directory that was deleted.
func (m *Machine) live(dir farm.Path) bool {
	if !m.db.Live(dir) {
		return false
	}
	for r := range m.db.Under(dir) {
		if r.Path.Parent() == dir && !m.skip(r.Path) && !m.isExtra(r) && (r.Disk.Type != farm.Absent || reconcile.Decide(r.Known, false).Type != farm.Absent) {
			return true
		}
	}
	return false
}

// satisfied tells whether the disk is as it should be, as far as its file system can represent that.
func satisfied(d farm.Disk, s reconcile.State) bool {
	if d.Attr.Same(s.Attr) {
		return true
	}
	return d.Type == s.Type && d.Content == s.Content && d.Meta == s.Meta && !s.Content.Dot.IsZero() &&
		d.Context.CoversAll(s.Context)
}

// adopt notes that what is on disk includes all that is known of the path.
func (m *Machine) adopt(r farm.Record, s reconcile.State) {
	if r.Intent == nil && r.Disk.Context.Equal(s.Context) && r.Disk.Content == s.Content && r.Disk.Meta == s.Meta &&
		slices.Equal(r.Disk.Lost, s.LostDots) {
		return
	}
	r.Intent = nil
	r.Disk.Context, r.Disk.Content, r.Disk.Meta, r.Disk.Lost = s.Context, s.Content, s.Meta, s.LostDots
	m.db.Put(r)
}

func (m *Machine) install(r farm.Record, w *work, s reconcile.State) {
	plan := farm.Plan{Path: r.Path, Want: s.Attr, Expect: r.Disk, Preserve: m.preserve(r, s), By: s.Content}
	if plan.Preserve != nil && r.Disk.Content.Dot.IsZero() {
		plan.Why = farm.ReasonDisplaced // found at seeding: it had no version to lose
		switch {
		case m.rules.ReadOnly:
			plan.Why = farm.ReasonUndone
		case m.cut != 0 && !m.seeding:
			plan.Why = farm.ReasonCrash
		}
	}
	if w.quarantine {
		plan.Why = farm.ReasonQuarantined
	}
	if w.content != nil && w.digest == s.Digest {
		plan.Content = w.content
	}
	w.phase = installing
	m.flying++
	r.Intent = &farm.Disk{Attr: s.Attr, Content: s.Content, Meta: s.Meta, Context: s.Context, Lost: s.LostDots}
	m.db.Put(r)
	m.emit(Install{plan})
}

// preserve returns what is on disk as a version, if installing s would lose it. The author of a content that lost keeps
// it, nobody else does: one copy in the farm.
func (m *Machine) preserve(r farm.Record, s reconcile.State) *farm.Entry {
	d := r.Disk
	if d.Type != farm.File && d.Type != farm.Symlink || d.Attr.SameContent(s.Attr) {
		return nil
	}
	author, winner := d.Content.Dot.Actor, s.Content.Dot.Actor
	ours := author.Member == m.meta.Actor.Member && lostHere(s.LostDots, d.Content.Dot)
	// An author that won over itself, and has begun a later life since it wrote the loser, was set back and may have it no
	// more: everybody keeps it.
	orphan := author.Member == winner.Member && author != winner && m.outlived(author) && slices.Contains(s.LostDots, d.Content.Dot)
	if !ours && !orphan && !d.Content.Dot.IsZero() { // zero: found at seeding, of no version
		return nil
	}
	return &farm.Entry{Path: r.Path, Attr: d.Attr, Version: farm.Version{
		Dot: d.Content.Dot, Vector: d.Context, Time: d.Content.Time, Content: d.Content, Meta: d.Meta,
	}}
}

// lostHere tells whether dot, whose content is on disk, is among the lost contents. Of one member's they name the latest
// alone, because the earlier ones had left its disk. Is an earlier one still there, the disk was set back.
func lostHere(lost []farm.Position, dot farm.Position) bool {
	return slices.ContainsFunc(lost, func(l farm.Position) bool {
		return l == dot || l.Actor.Member == dot.Actor.Member && (farm.Stamp{Dot: dot}).Compare(farm.Stamp{Dot: l}) < 0
	})
}

// outlived tells whether a later life of the actor's member is known.
func (m *Machine) outlived(a farm.Actor) bool {
	for pos := range m.meta.Known.All() {
		if pos.Actor.Member == a.Member && pos.Actor.Epoch > a.Epoch {
			return true
		}
	}
	return false
}

func (m *Machine) installed(in farm.Installed) {
	p := in.Plan.Path
	w := m.work[p]
	if w == nil || w.phase != installing {
		return
	}
	w.phase = idle
	w.noSource, w.why = in.Outcome == farm.NoSource, ""
	m.flying--
	switch in.Outcome {
	case farm.Done:
		m.done(w, in)
	case farm.Changed:
		m.leftAsItWas(in.Plan)
		w.dirty = true
		if w.tries++; w.tries > 3 {
			m.later(p, w, firstRetry)
		}
	case farm.NotEmpty:
		if w.quarantine { // what is in it is not replicated: it stays, as an extra directory
			w.quarantine = false
			break
		}
		m.notEmpty(p, w)
	case farm.NoParent:
		m.later(p, w, firstRetry)
		m.dirty(p.Parent())
	case farm.NoName:
		m.noName(p, w, in)
	default:
		if w.why = errText(in); m.noRoom(p, w, in) {
			break
		}
		if w.noSource && m.lost(w, p) {
			break
		}
		if w.tries >= 3 {
			m.block(p, w, "can't be installed: "+w.why)
		}
		m.later(p, w, firstRetry)
		if w.noSource {
			m.giveUp(p, w)
		}
	}
	m.settle(p, w)
}

// leftAsItWas forgets the intent of a plan that has not been carried out, or an application that makes the like of it would
// seem to have had it before its eyes. Where the content was to stay, attributes may have been set ahead of the answer.
func (m *Machine) leftAsItWas(plan farm.Plan) {
	if r, _ := m.db.Get(plan.Path); r.Intent != nil && !plan.Want.SameContent(plan.Expect.Attr) {
		r.Intent = nil
		m.db.Put(r)
	}
}

func errText(in farm.Installed) string {
	if in.Err == nil {
		return in.Outcome.String()
	}
	return in.Err.Error()
}

func (m *Machine) done(w *work, in farm.Installed) {
	r, _ := m.db.Get(in.Plan.Path)
	was := r.Disk
	r.Disk, r.Intent = *r.Intent, nil
	m.tellUnkept(r.Path, in.Plan.Want, in.Attr)
	r.Disk.Attr, r.Disk.Stat = in.Attr, in.Stat
	m.db.Put(r)
	m.hasRoom(w)
	m.seedDone(w, r, was)
	if m.named(r.Path); r.Disk.Type == farm.Absent {
		m.freed(r.Path)
	}
	m.heal(r.Path, w, "installed after all")
	m.inline -= len(w.content)
	w.tries, w.walked, w.full, w.restored, w.content = 0, false, false, false, nil
	delete(m.kept, r.Path)
	fields := map[string]string{"type": r.Disk.Type.String(), "from": string(r.Disk.Content.Dot.Actor.Member)}
	if !w.sent.IsZero() {
		fields["millis"] = strconv.FormatFloat(float64(m.now.Sub(w.sent))/float64(time.Millisecond), 'f', 1, 64)
	}
	m.raise(farm.EventFileInstalled, farm.Info, r.Path, "installed", "", fields)
	if r.Disk.Type == farm.Dir {
		m.wakeChildren(r.Path)
	}
}

// notEmpty deals with a directory that should go but holds what the index does not know: look once what it is; if it
// turns out to be replicated, it keeps the directory alive; if not (an excluded file, or one that came and went while we
// tried), the directory stays here, and is tried again less and less often.
func (m *Machine) notEmpty(dir farm.Path, w *work) {
	if w.walked {
		w.full = true
		m.kept[dir]++
		if m.kept[dir] > 1 {
			return
		}
		m.raise(farm.EventFileBlocked, farm.Warning, dir, "directory was deleted elsewhere and stays here: it holds files that are not replicated", "", nil)
		return
	}
	w.walked = true
	m.later(dir, w, firstRetry)
	m.walk(dir, true, false)
}

// awaited tells whether any path must be installed below p, which is no directory yet. What was seen on disk before its
// parent was does not count: the parent's own observation will tell.
func (m *Machine) awaited(p farm.Path) bool {
	for _, c := range m.awaiting[p] {
		if w := m.work[c]; w != nil && w.phase == forParent && !w.dirty {
			return true
		}
	}
	return false
}
