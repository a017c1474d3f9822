package index

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"tandem/internal/farm"
)

// Bounds of the recipes that are kept.
const (
	maxRecipesBytes  = 128 << 20 // beyond it the oldest go
	maxRecipeOrphans = 64        // of contents that no record has any more: what the others have yet to replace
	maxSimilar       = 4         // contents that Similar returns
	recipeTrimEvery  = 16        // saves
)

// recipeSchema came after version 1 and leaves what was there as it is; an older program does not see it. short is what
// record calls digest.
const recipeSchema = `
CREATE TABLE IF NOT EXISTS recipe (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, short INTEGER NOT NULL, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS mark (mark INTEGER, recipe INTEGER, PRIMARY KEY (mark, recipe)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS mark_recipe ON mark (recipe);
`

// Recipe returns what SaveRecipe was given for the digest, or nil. It is not interpreted here.
func (x *Index) Recipe(d farm.Digest) (value []byte, err error) {
	err = x.read(func(c *conn) error {
		return c.query(func(s *sqlite3.Stmt) (bool, error) {
			value = s.ColumnBlob(0, nil)
			return false, nil
		}, "SELECT value FROM recipe WHERE digest = ?1", d[:])
	})
	return value, fail("read index", d.Short(), err)
}

// SaveRecipe keeps a recipe of the content d, and the marks by which Similar finds it. It is kept while a record has the
// content, and some time longer; there is no promise.
func (x *Index) SaveRecipe(d farm.Digest, value []byte, marks []uint64) error {
	return fail("commit to index", x.dir, x.saveRecipe(d, value, marks))
}

func (x *Index) saveRecipe(d farm.Digest, value []byte, marks []uint64) error {
	if err := x.begin(); err != nil {
		return err
	}
	defer x.active.Done()
	x.write.Lock()
	defer x.write.Unlock()
	if err := x.limitLog(); err != nil {
		return err
	}
	return x.writer.transaction(func() error {
		c := x.writer
		if err := c.dropRecipes("digest = ?1", d[:]); err != nil {
			return err
		}
		if err := c.run("INSERT INTO recipe (digest, short, value) VALUES (?1, ?2, ?3)", d[:], digestKey(d), value); err != nil {
			return err
		}
		id := c.LastInsertRowID()
		for _, m := range marks {
			if err := c.run("INSERT OR IGNORE INTO mark VALUES (?1, ?2)", int64(m), id); err != nil {
				return err
			}
		}
		if id%recipeTrimEvery != 0 {
			return nil
		}
		return c.trimRecipes(id, maxRecipesBytes)
	})
}

// trimRecipes drops what no record has, but for the latest, and the oldest beyond the limit.
func (c *conn) trimRecipes(last, limit int64) error {
	err := c.dropRecipes("id <= ?1 AND NOT EXISTS (SELECT 1 FROM record WHERE record.digest = recipe.short)", last-maxRecipeOrphans)
	return errors.Join(err, c.dropRecipes(`id <= (SELECT max(id) FROM
		(SELECT id, sum(length(value)) OVER (ORDER BY id DESC) AS total FROM recipe) WHERE total > ?1)`, limit))
}

// dropRecipes drops the recipes for which the condition holds.
func (c *conn) dropRecipes(where string, arg any) error {
	if err := c.run("DELETE FROM mark WHERE recipe IN (SELECT id FROM recipe WHERE "+where+")", arg); err != nil {
		return err
	}
	return c.run("DELETE FROM recipe WHERE "+where, arg)
}

// Similar returns contents that have a recipe with one of the marks, those with most of them first.
func (x *Index) Similar(marks []uint64) (list []farm.Digest, err error) {
	shared := map[farm.Digest]int{}
	err = x.read(func(c *conn) error {
		for _, m := range marks {
			err := c.query(func(s *sqlite3.Stmt) (bool, error) {
				if b := s.ColumnRawBlob(0); len(b) == len(farm.Digest{}) {
					shared[farm.Digest(b)]++
				}
				return len(shared) < maxSimilar*maxSimilar, nil
			}, "SELECT digest FROM recipe JOIN mark ON recipe.id = mark.recipe WHERE mark.mark = ?1 ORDER BY recipe.id DESC", int64(m))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fail("read index", x.dir, err)
	}
	return mostFirst(shared), nil
}

// mostFirst lists the contents by how many marks they share; equal ones by digest, so that the order is one.
func mostFirst(shared map[farm.Digest]int) []farm.Digest {
	list := make([]farm.Digest, 0, len(shared))
	for d := range shared {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b farm.Digest) int {
		return cmp.Or(cmp.Compare(shared[b], shared[a]), bytes.Compare(a[:], b[:]))
	})
	return list[:min(len(list), maxSimilar)]
}
