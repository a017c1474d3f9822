package control

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
)

func (b *fakeBackend) Conflicts(_ context.Context, q ConflictQuery) (Conflicts, error) {
	b.query = q
	return Conflicts{List: []Conflict{{ID: "k3v9q2mmab", Members: []farm.MemberID{"web1"}}}, Count: 1}, b.err
}

func (b *fakeBackend) DiffConflict(_ context.Context, req DiffRequest) (ConflictDiff, error) {
	b.diff = req
	return ConflictDiff{Path: "f", Text: "-a\n+b\n"}, b.err
}

func (b *fakeBackend) RestoreConflicts(_ context.Context, req RestoreRequest, progress func(done, count int)) (RestoreResult, error) {
	b.restore = req
	if b.err == nil {
		progress(1, 2)
	}
	return RestoreResult{Count: 2, Restored: 2, List: []Restored{{ID: "k3v9q2mmab", Path: "f", From: "web2"}}}, b.err
}

func (b *fakeBackend) DropConflicts(_ context.Context, q ConflictQuery) (Dropped, error) {
	b.query = q
	return Dropped{Count: 1, Bytes: 5}, b.err
}

func TestConflictCalls(t *testing.T) {
	b := &fakeBackend{}
	c, _ := serveTest(t, b)
	ctx := t.Context()
	q := ConflictQuery{IDs: []string{"k3", "m"}, Folder: "shop", Path: "img/**", Reason: farm.ReasonDeleted,
		Since: time.Unix(1_700_000_000, 5).UTC(), Member: "web2", Limit: 7}
	if l, err := c.Conflicts(ctx, q); err != nil || len(l.List) != 1 || !reflect.DeepEqual(b.query, q) {
		t.Errorf("listed %+v for %+v; err %v", l, b.query, err)
	}
	if d, err := c.DiffConflict(ctx, DiffRequest{ID: "k3", Path: "g"}); err != nil || d.Text != "-a\n+b\n" || b.diff.Path != "g" {
		t.Errorf("diff is %+v for %+v; err %v", d, b.diff, err)
	}
	rounds := 0
	req := RestoreRequest{Query: q, To: "x", Force: true}
	r, err := c.RestoreConflicts(ctx, req, func(done, count int) { rounds += done })
	if err != nil || r.Restored != 2 || rounds != 1 || !reflect.DeepEqual(b.restore, req) {
		t.Errorf("restored %+v for %+v after %d; err %v", r, b.restore, rounds, err)
	}
	if d, err := c.DropConflicts(ctx, q); err != nil || d.Bytes != 5 || !reflect.DeepEqual(b.query, q) {
		t.Errorf("dropped %+v for %+v; err %v", d, b.query, err)
	}
	b.err = &farm.Error{Op: "restore", Kind: farm.Exists, Next: "use --force", Err: errors.New("there")}
	if _, err := c.RestoreConflicts(ctx, req, nil); farm.KindOf(err) != farm.Exists || !strings.Contains(err.Error(), "--force") {
		t.Errorf("a restore that fails gives %v", err)
	}
}

func TestConflictRequestsAreChecked(t *testing.T) {
	c, _ := serveTest(t, &fakeBackend{})
	for name, q := range map[string]ConflictQuery{
		"reason": {Reason: "whim"}, "empty id": {IDs: []string{""}}, "long id": {IDs: []string{strings.Repeat("x", 65)}},
		"many ids": {IDs: strings.Split(strings.Repeat("x ", MaxConflictIDs+1), " ")}, "limit": {Limit: -1},
		"much": {Limit: MaxConflicts + 1}, "glob": {Path: strings.Repeat("x", MaxGlobBytes+1)},
	} {
		_, err1 := c.Conflicts(t.Context(), q)
		_, err2 := c.DropConflicts(t.Context(), q)
		_, err3 := c.RestoreConflicts(t.Context(), RestoreRequest{Query: q}, nil)
		for _, err := range []error{err1, err2, err3} {
			if farm.KindOf(err) != farm.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if _, err := c.DiffConflict(t.Context(), DiffRequest{}); farm.KindOf(err) != farm.Invalid {
		t.Errorf("a diff of nothing gives %v", err)
	}
}
