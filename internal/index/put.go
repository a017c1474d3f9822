package index

import (
	"github.com/ncruces/go-sqlite3"

	"tandem/internal/farm"
)

// sizes remembers what records that were put lately count, by key, so that to replace one takes no look at it: most are
// put two or three times in a row. At maxSizes all are forgotten.
type sizes map[string]sized

const maxSizes = 8192

// sized is what a record counts: nothing if nothing is on disk.
type sized struct {
	there bool
	bytes int64
}

func (n *counts) add(s sized, times int64) {
	if s.there {
		n.entries += times
		n.bytes += times * s.bytes
	}
}

func (c *conn) drop(key []byte, n *counts) error {
	was, err := c.sized(key)
	if err != nil {
		return err
	}
	n.add(was, -1)
	delete(c.sizes, string(key))
	return c.run("DELETE FROM record WHERE key = ?1", key)
}

func (c *conn) put(key, value []byte, d farm.Disk, n *counts) error {
	var is sized
	var size, digest any
	if d.Type != farm.Absent {
		size = d.Size
		is = sized{true, d.Size}
	}
	if d.Type == farm.File {
		digest = digestKey(d.Digest)
	}
	was, known := c.sizes[string(key)]
	if !known {
		if err := c.run("INSERT INTO record VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) DO NOTHING", key, value, size, digest); err != nil {
			return err
		}
		if c.Changes() > 0 {
			c.counted(key, is, n)
			return nil
		}
		var err error
		if was, err = c.sized(key); err != nil {
			return err
		}
	}
	n.add(was, -1)
	err := c.run("UPDATE record SET value = ?2, size = ?3, digest = ?4 WHERE key = ?1", key, value, size, digest)
	if err != nil {
		return err
	}
	c.counted(key, is, n)
	return nil
}

// counted notes what has been put.
func (c *conn) counted(key []byte, is sized, n *counts) {
	n.add(is, 1)
	if len(c.sizes) >= maxSizes {
		clear(c.sizes)
	}
	c.sizes[string(key)] = is
}

// sized is what the record of key counts.
func (c *conn) sized(key []byte) (s sized, err error) {
	if s, known := c.sizes[string(key)]; known {
		return s, nil
	}
	err = c.query(func(row *sqlite3.Stmt) (bool, error) {
		s = sized{true, row.ColumnInt64(0)}
		return false, nil
	}, "SELECT size FROM record WHERE key = ?1 AND size IS NOT NULL", key)
	return s, err
}
