package replica

import (
	"bytes"
	"testing"
	"time"

	"tandem/internal/farm"
)

// TestRenamedContentIsNotSentAgain, unless a linked member has not installed it yet.
func TestRenamedContentIsNotSentAgain(t *testing.T) {
	now, me := time.Unix(1_700_000_000, 0), farm.Actor{Member: "web1", Epoch: 1}
	content := bytes.Repeat([]byte("x"), 4096)
	file := farm.Attr{Type: farm.File, Size: 4096, Digest: farm.Digest{1}}
	for _, tt := range []struct {
		name    string
		applied farm.Seq
		attr    farm.Attr
		sent    bool
	}{
		{"installed everywhere", 1, file, false},
		{"not yet installed", 0, file, true},
		{"another content", 1, farm.Attr{Type: farm.File, Size: 4096, Digest: farm.Digest{2}}, true},
	} {
		m := New(Config{Folder: "shop", Meta: farm.Meta{Actor: me}, Anew: true}, rows{})
		see := func(p string, a farm.Attr, content []byte) (pushed []farm.Change) {
			at := farm.MustPath(p)
			m.Step(now, Dirty{Paths: []farm.Path{at}})
			for _, e := range m.Step(now, Observed{Path: at, Seen: farm.Observation{Path: at, Attr: a, Content: content}}) {
				if p, ok := e.(Push); ok {
					pushed = append(pushed, p.Change)
				}
			}
			return pushed
		}
		m.Step(now, Start{})
		m.Step(now, PeerUp{Peer: "web2"})
		if p := see("old", file, content); len(p) != 1 || p[0].Content == nil {
			t.Fatalf("%s: a new file: %v", tt.name, p)
		}
		m.Step(now, PeerState{Peer: "web2", State: farm.FolderState{Applied: farm.Vector{}.With(farm.Position{Actor: me, Seq: tt.applied})}})
		see("old", farm.Attr{}, nil)
		if p := see("new", tt.attr, content); len(p) != 1 || tt.sent != (p[0].Content != nil) {
			t.Errorf("%s: pushed %d changes, with content: %v", tt.name, len(p), len(p) == 1 && p[0].Content != nil)
		}
	}
}
