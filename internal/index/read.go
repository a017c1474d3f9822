package index

import (
	"iter"

	"github.com/ncruces/go-sqlite3"

	"tandem/internal/farm"
)

// maxByDigest is how many paths ByDigest returns at most.
const maxByDigest = 16

// Get returns the record of p and whether there is one.
func (x *Index) Get(p farm.Path) (r farm.Record, ok bool, err error) {
	err = x.read(func(c *conn) error {
		return c.query(func(s *sqlite3.Stmt) (bool, error) {
			r, err = decode(p, s.ColumnRawBlob(0))
			ok = err == nil
			return false, err
		}, "SELECT value FROM record WHERE key = ?1", keyOf(p))
	})
	return r, ok, fail("read index", p.String(), err)
}

// decode is decodeRecord with an error that says where.
func decode(p farm.Path, value []byte) (farm.Record, error) {
	r, err := decodeRecord(p, value)
	if err != nil {
		return farm.Record{}, because(farm.Corrupt, "record of %s: %w", p, err)
	}
	return r, nil
}

// Meta returns the state of the folder; it is zero when the index is new.
func (x *Index) Meta() (m farm.Meta, err error) {
	err = x.read(func(c *conn) error {
		b, err := c.state(stateMeta)
		if err != nil {
			return err
		}
		if m, err = decodeMeta(b); err != nil {
			return because(farm.Corrupt, "the folder's state: %w", err)
		}
		return nil
	})
	return m, fail("read index", x.dir, err)
}

// Counts returns how many records have something on disk, and the sum of its sizes in bytes. It costs nothing.
func (x *Index) Counts() (entries, bytes int64) {
	n := x.counts.Load()
	return n.entries, n.bytes
}

// All yields the records of under and of all below it, in the order of farm.Path.Compare, as they were when the
// iteration began. An error ends it. The body may call any method but Close. A long iteration lets the log grow.
func (x *Index) All(under farm.Path) iter.Seq2[farm.Record, error] {
	return func(yield func(farm.Record, error) bool) {
		stopped := false
		err := x.read(func(c *conn) error {
			return c.scan(subtree(under), func(p farm.Path, value []byte) (bool, error) {
				r, err := decode(p, value)
				if err == nil {
					stopped = !yield(r, nil)
				}
				return !stopped, err
			})
		})
		if err != nil && !stopped {
			yield(farm.Record{}, fail("read index", under.String(), err))
		}
	}
}

// Children returns what is on disk directly in dir, by name: where Disk.Type is not Absent. What lies deeper is not read.
func (x *Index) Children(dir farm.Path) (map[string]farm.Disk, error) {
	children := map[string]farm.Disk{}
	err := x.children(dir, func(r farm.Record) bool {
		if r.Disk.Type != farm.Absent {
			children[r.Path.Base()] = r.Disk
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	return children, nil
}

// Live tells whether anything directly in dir is on disk or in a known version. It stops at the first.
func (x *Index) Live(dir farm.Path) (live bool, err error) {
	err = x.children(dir, func(r farm.Record) bool {
		live = r.Disk.Type != farm.Absent
		for _, e := range r.Known {
			live = live || e.Type != farm.Absent
		}
		return !live
	})
	return live, err
}

// Empty tells whether there is no record below dir.
func (x *Index) Empty(dir farm.Path) (bool, error) {
	empty := true
	in := below(dir)
	err := x.read(func(c *conn) error {
		return c.query(func(*sqlite3.Stmt) (bool, error) {
			empty = false
			return false, nil
		}, "SELECT 1 FROM record WHERE key >= ?1 AND key < ?2 LIMIT 1", in.low, in.high)
	})
	return empty, fail("read index", dir.String(), err)
}

// children visits the records directly in dir until visit wants no more.
func (x *Index) children(dir farm.Path, visit func(farm.Record) (more bool)) error {
	err := x.read(func(c *conn) error {
		return c.snapshot(func() error {
			for in := below(dir); in.low != nil; {
				var err error
				if in.low, err = c.childrenUpToSubtree(dir, in, visit); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return fail("read index", dir.String(), err)
}

// childrenUpToSubtree visits the records directly in dir until it meets something deeper; then it returns the key behind
// that child's subtree, where to go on, so that a subtree costs one seek however large it is. Nil: there is no more.
func (c *conn) childrenUpToSubtree(dir farm.Path, in span, visit func(farm.Record) (more bool)) (next []byte, err error) {
	depth := dir.Depth() + 1
	err = c.scan(in, func(p farm.Path, value []byte) (bool, error) {
		if p.Depth() == depth {
			r, err := decode(p, value)
			return err == nil && visit(r), err
		}
		for p.Depth() > depth {
			p = p.Parent()
		}
		next = subtree(p).high
		return false, nil
	})
	return next, err
}

// maxNames is how many records Names looks at, and so how many paths it returns at most.
const maxNames = 4096

// Names returns the paths at which the inode lay when it was last seen there, with the content that the disk d describes:
// the hard links of a file.
func (x *Index) Names(d farm.Disk) (paths []farm.Path, err error) {
	looked := 0
	err = x.read(func(c *conn) error {
		return c.query(func(s *sqlite3.Stmt) (bool, error) {
			p, err := pathOf(s.ColumnRawBlob(0))
			if err != nil {
				return false, err
			}
			r, err := decode(p, s.ColumnRawBlob(1))
			if err == nil && r.Disk.Type == farm.File && r.Disk.Digest == d.Digest && r.Disk.Stat.Ino == d.Stat.Ino && r.Disk.Stat.Dev == d.Stat.Dev {
				paths = append(paths, p)
			}
			looked++
			return looked < maxNames, err
		}, "SELECT key, value FROM record WHERE digest = ?1", digestKey(d.Digest))
	})
	return paths, fail("read index", d.Digest.Short(), err)
}

// ByDigest returns at most 16 paths whose file on disk has the content d.
func (x *Index) ByDigest(d farm.Digest) (paths []farm.Path, err error) {
	err = x.read(func(c *conn) error {
		return c.query(func(s *sqlite3.Stmt) (bool, error) {
			p, err := pathOf(s.ColumnRawBlob(0))
			if err != nil {
				return false, err
			}
			r, err := decode(p, s.ColumnRawBlob(1))
			if err == nil && r.Disk.Type == farm.File && r.Disk.Digest == d {
				paths = append(paths, p)
			}
			return len(paths) < maxByDigest, err
		}, "SELECT key, value FROM record WHERE digest = ?1", digestKey(d))
	})
	return paths, fail("read index", d.Short(), err)
}
