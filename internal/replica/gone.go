package replica

import "tandem/internal/farm"

// renamedBytes is the size above which the content of a renamed file is not sent again. Below it, a receiver that does
// not have it any more would lose more by the question than the wire by the answer.
const renamedBytes = 1 << 10

// goneDigests is how many contents of vanished files are remembered in each of two generations.
const goneDigests = 8192

// gone remembers the contents of files that vanished here: one that appears again has been renamed, most likely, and
// whoever had it installed has it still, or is just taking it out of its tree.
type gone struct{ young, old map[farm.Digest]farm.Position }

func (g *gone) add(d farm.Digest, of farm.Position) {
	if len(g.young) >= goneDigests || g.young == nil {
		g.old, g.young = g.young, map[farm.Digest]farm.Position{}
	}
	g.young[d] = of
}

func (g *gone) of(d farm.Digest) (farm.Position, bool) {
	if p, ok := g.young[d]; ok {
		return p, true
	}
	p, ok := g.old[d]
	return p, ok
}

// toSend is the content that is pushed with a version: none if it is of a file that vanished elsewhere, and all who would
// get it have that file. Who can't find it any more asks for it.
func (m *Machine) toSend(a farm.Attr, content []byte) []byte {
	if len(content) <= renamedBytes {
		return content
	}
	of, ok := m.gone.of(a.Digest)
	if !ok {
		return content
	}
	for _, p := range m.peers {
		if p.linked && !p.state.Applied.Covers(of) {
			return content
		}
	}
	return nil
}
