package index

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
)

const storyEnd = 100

// closedStory makes an index that was closed in order.
func closedStory(t *testing.T) string {
	t.Helper()
	d := quickDir(t)
	x := openTest(t, d)
	for n := 1; n <= storyEnd; n++ {
		commit(t, x, storyBatch(n))
	}
	closeTest(t, x)
	return d
}

// readAll reads all that there is. An error of a kind other than Corrupt, or a wrong answer, fails the test.
func readAll(t *testing.T, dir string) (found bool) {
	t.Helper()
	bad := func(err error) bool {
		if err != nil && farm.KindOf(err) != farm.Corrupt {
			t.Errorf("not called corrupt: %v", err)
		}
		return err != nil
	}
	x, err := Open(dir, "shop")
	if bad(err) {
		return true
	}
	defer x.Close() // may fail, since what it writes back may lie on a bad page
	var got []farm.Record
	for r, err := range x.All(farm.Path{}) {
		if bad(err) {
			return true
		}
		got = append(got, r)
	}
	want := storyState(storyEnd)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("silently wrong: %d records", len(got))
	}
	for _, r := range want {
		if _, err := x.ByDigest(r.Disk.Digest); bad(err) {
			return true
		}
	}
	_, err = x.Recipe(farm.Digest{})
	for _, table := range []string{"mark INDEXED BY mark_recipe", "mark NOT INDEXED", "recipe NOT INDEXED"} {
		if _, e := x.writer.number("SELECT count(*) FROM " + table); err == nil {
			err = fail("read index", dir, e)
		}
	}
	return bad(err)
}

// TestFlippedBit flips one bit in the database: it is found when it is read, and nothing wrong is ever said.
func TestFlippedBit(t *testing.T) {
	d := closedStory(t)
	name := filepath.Join(d, databaseName)
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	found, tries := 0, 0
	for page := 0; page < len(good); page += pageBytes {
		for range 3 {
			b := append([]byte(nil), good...)
			b[page+rnd.IntN(pageBytes)] ^= 1 << rnd.IntN(8)
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
			tries++
			if readAll(t, d) {
				found++
			}
		}
	}
	t.Logf("%d of %d flips were in a page that was read", found, tries)
	if found < tries*9/10 {
		t.Errorf("only %d of %d flips were found", found, tries)
	}
}

func TestBrokenFiles(t *testing.T) {
	write := func(b []byte) func(string) error {
		return func(name string) error { return os.WriteFile(name, b, 0o600) }
	}
	for _, test := range []struct {
		name    string
		do      func(database string) error
		corrupt bool // else the index is as if it were new
	}{
		{"overwritten with text", write([]byte(strings.Repeat("this is not a database\n", 1000))), true},
		{"cut to half a page", func(n string) error { return os.Truncate(n, pageBytes/2) }, true},
		{"cut to two pages", func(n string) error { return os.Truncate(n, 2*pageBytes) }, true},
		{"nothing but zeros", write(make([]byte, 3*pageBytes)), true},
		{"empty", write(nil), false},
		{"deleted", os.Remove, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := closedStory(t)
			if err := test.do(filepath.Join(d, databaseName)); err != nil {
				t.Fatal(err)
			}
			if test.corrupt && !readAll(t, d) {
				t.Fatal("not noticed")
			}
			if test.corrupt {
				if _, err := Reset(d, time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			x := openTest(t, d)
			if n := checkStory(t, x, 0); n != 0 {
				t.Errorf("%d batches", n)
			}
		})
	}
}

func TestReset(t *testing.T) {
	if moved, err := Reset(filepath.Join(quickDir(t), "missing"), time.Now()); moved != "" || err != nil {
		t.Errorf("of what is not there: %q, %v", moved, err)
	}
	d := quickDir(t)
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	if moved, err := Reset(d, now); moved != "" || err != nil {
		t.Errorf("of an empty directory: %q, %v", moved, err)
	}
	for i := range maxSetAside + 2 {
		x := openTest(t, d)
		wantPaths(t, all(t, x, farm.Path{}))
		commit(t, x, Batch{Put: []farm.Record{photo("a", i)}})
		closeTest(t, x)
		moved, err := Reset(d, now.Add(time.Duration(i/2)*time.Minute)) // twice within the same moment
		if err != nil {
			t.Fatal(err)
		}
		old := openTest(t, moved) // it is all there
		wantCounts(t, old, 1, int64(i))
		closeTest(t, old)
	}
	all, err := filepath.Glob(filepath.Join(d, setAsidePrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != maxSetAside {
		t.Errorf("kept %q", all)
	}
}
