package replica_test

import (
	"testing"
	"time"

	"tandem/internal/farm"
	"tandem/internal/replica"
)

// What a plan had made where nothing was counts as having been before an application's eyes, unless power was cut: then the
// log of intents may say more than the disk ever had.
func TestMadeBeforeTheEnd(t *testing.T) {
	for cut, want := range map[int64]farm.Type{0: farm.File, 1: farm.Absent} {
		p, made := farm.MustPath("f"), farm.Attr{Type: farm.File, Mode: 0o644}
		db := &catalogue{records: map[farm.Path]farm.Record{p: {Path: p, Intent: &farm.Disk{Attr: made}}}}
		m := replica.New(replica.Config{Meta: farm.Meta{Actor: farm.Actor{Member: "b", Epoch: 1}}, Cut: cut,
			Finished: []farm.Plan{{Path: p, Want: made}}}, db)
		m.Step(time.Unix(1, 0), replica.Start{})
		if r, _ := db.Get(p); r.Disk.Type != want {
			t.Errorf("cut %d: the index says that a %s is there", cut, r.Disk.Type)
		}
	}
}
