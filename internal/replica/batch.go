package replica

import (
	"iter"
	"slices"

	"tandem/internal/farm"
)

// batch is the catalogue of a machine over a log: puts collect until commit. A failure of the log is remembered and
// stops the runner before any effect of the batch is executed.
type batch struct {
	log  Log
	put  map[farm.Path]farm.Record
	drop map[farm.Path]bool
	meta *farm.Meta
	err  error

	recent *recent
}

func newBatch(log Log) *batch {
	return &batch{log: log, put: map[farm.Path]farm.Record{}, drop: map[farm.Path]bool{}, recent: newRecent()}
}

func (b *batch) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Get implements Catalogue.
func (b *batch) Get(p farm.Path) (farm.Record, bool) {
	if r, ok := b.put[p]; ok {
		return r, true
	}
	if b.drop[p] {
		return farm.Record{}, false
	}
	if r, known := b.recent.get(p); known {
		return r.Record, r.there
	}
	r, ok, err := b.log.Get(p)
	if err == nil && !ok {
		err = b.lookBeside(p)
	}
	if err != nil {
		b.fail(err)
		return farm.Record{}, false
	}
	b.recent.put(p, remembered{r, ok})
	return r, ok
}

// lookBeside finds out whether the log has anything in the directory of p, which it does not know: mostly not, when a
// tree is new.
func (b *batch) lookBeside(p farm.Path) error {
	if p.IsRoot() {
		return nil
	}
	dir := p.Parent()
	if _, asked := b.recent.below[dir]; asked {
		return nil
	}
	empty, err := b.log.Empty(dir)
	b.recent.below[dir] = empty
	return err
}

// Put implements Catalogue.
func (b *batch) Put(r farm.Record) {
	delete(b.drop, r.Path)
	b.put[r.Path] = r
}

// Drop implements Catalogue.
func (b *batch) Drop(p farm.Path) {
	delete(b.put, p)
	b.drop[p] = true
}

// SetMeta implements Catalogue.
func (b *batch) SetMeta(m farm.Meta) { b.meta = &m }

// Live implements Catalogue. The log must know all for it, so the batch is committed first: it is asked seldom.
func (b *batch) Live(dir farm.Path) bool {
	b.commit()
	live, err := b.log.Live(dir)
	if err != nil {
		b.fail(err)
	}
	return live
}

// Under implements Catalogue.
func (b *batch) Under(dir farm.Path) iter.Seq[farm.Record] {
	b.commit()
	return func(yield func(farm.Record) bool) {
		for r, err := range b.log.All(dir) {
			if err != nil {
				b.fail(err)
				return
			}
			if r.Path != dir && !yield(r) {
				return
			}
		}
	}
}

// commit writes what has collected.
func (b *batch) commit() {
	if b.err != nil || len(b.put) == 0 && len(b.drop) == 0 && b.meta == nil {
		return
	}
	put := make([]farm.Record, 0, len(b.put))
	for _, r := range b.put {
		put = append(put, r)
	}
	slices.SortFunc(put, func(a, b farm.Record) int { return a.Path.Compare(b.Path) }) // neighbours share pages
	drop := make([]farm.Path, 0, len(b.drop))
	for p := range b.drop {
		drop = append(drop, p)
	}
	if err := b.log.Commit(put, drop, b.meta); err != nil {
		b.fail(err)
		return
	}
	for p := range b.drop {
		b.recent.put(p, remembered{})
	}
	for p, r := range b.put {
		b.recent.put(p, remembered{r, true})
	}
	clear(b.put)
	clear(b.drop)
	b.meta = nil
}
