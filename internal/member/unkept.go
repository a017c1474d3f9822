package member

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"tandem/internal/farm"
	"tandem/internal/replica"
)

// countUnkept counts, after a walk of the whole folder, what is not, or not wholly, replicated here, and tells once of
// each kind that has come up.
func (f *folder) countUnkept(log replica.Log) error {
	lacks := map[string]int64{}
	for r, err := range log.All(farm.Path{}) {
		if err != nil {
			return err
		}
		for _, what := range replica.Unkept(r) {
			lacks[what]++
		}
	}
	counts := maps.Clone(lacks)
	maps.Copy(counts, f.scanner.Seen())
	last := f.unkept.Swap(&unkept{lacks, counts})
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		if last != nil && last.all[kind] > 0 {
			continue
		}
		f.sink(farm.Event{ID: farm.EventFolderUnkept, Severity: farm.Warning, Folder: f.spec.id, Subject: string(f.spec.id),
			Message: fmt.Sprintf("the whole scan found %d of kind %q, which can't be replicated as they are", counts[kind], kind),
			Next:    "see tandem folder list",
			Fields:  map[string]string{"kind": kind, "count": strconv.FormatInt(counts[kind], 10)}})
	}
	return nil
}

// unkept is what a whole scan counted by kind.
type unkept struct {
	lacks map[string]int64 // attributes that can't be kept here
	all   map[string]int64 // these, and what the scanner saw
}

// Unkept is what the last whole scan found that is not, or not wholly, replicated here, with the FIFOs, sockets and
// devices of now, and how many names this file system can't have now.
func (f *folder) Unkept() map[string]int64 {
	counts := map[string]int64{}
	if p := f.unkept.Load(); p != nil {
		maps.Copy(counts, p.lacks)
		maps.Copy(counts, f.scanner.Seen())
	}
	if _, sum := f.runner.State(); sum.NoName > 0 {
		counts["name"] = int64(sum.NoName)
	}
	if len(counts) == 0 {
		return nil
	}
	return counts
}
