package control

import (
	"context"
	"strings"
	"testing"

	"tandem/internal/farm"
)

func (b *fakeBackend) SteerFolder(_ context.Context, id farm.FolderID, verb Verb, all bool) (Steered, error) {
	return Steered{Folder: id, Verb: verb, Members: []SteeredMember{{Member: "web1", Changed: all}}}, b.err
}

func (b *fakeBackend) Why(_ context.Context, q WhyQuery) (Why, error) {
	return Why{Folder: q.Folder, Path: q.Path, Members: []WhyMember{{Member: "web1", State: "at rest"}}}, b.err
}

func TestSteerAndWhy(t *testing.T) {
	c, _ := serveTest(t, &fakeBackend{})
	for _, verb := range Verbs() {
		done, err := c.SteerFolder(t.Context(), "shop", verb, true)
		if err != nil || done.Verb != verb || done.Folder != "shop" || !done.Members[0].Changed {
			t.Errorf("%s: %+v, %v", verb, done, err)
		}
	}
	if _, err := c.SteerFolder(t.Context(), "shop", "explode", false); farm.KindOf(err) != farm.NotFound {
		t.Errorf("an unknown verb: %v", err)
	}
	if _, err := c.SteerFolder(t.Context(), "No Name", VerbPause, false); farm.KindOf(err) != farm.Invalid {
		t.Errorf("no name of a folder: %v", err)
	}
	why, err := c.Why(t.Context(), WhyQuery{Folder: "shop", Path: "a & b/ü"})
	if err != nil || why.Folder != "shop" || why.Path != "a & b/ü" || why.Members[0].State != "at rest" {
		t.Errorf("why: %+v, %v", why, err)
	}
	for _, path := range []string{"", strings.Repeat("x", MaxGlobBytes+1)} {
		if _, err := c.Why(t.Context(), WhyQuery{Path: path}); farm.KindOf(err) != farm.Invalid {
			t.Errorf("a path of %d bytes: %v", len(path), err)
		}
	}
}
