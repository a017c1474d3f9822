package chunk

import (
	cdc "github.com/PlakarKorp/go-cdc-chunkers"
	"github.com/PlakarKorp/go-cdc-chunkers/chunkers/jc"
)

// minZeros is how many zeros a chunk must begin with to be taken for a run of them.
const minZeros = 64 << 10

// Maker makes the recipe of the content that is written to it.
type Maker struct {
	cutter jc.JC
	opts   cdc.ChunkerOpts
	carry  []byte // the beginning of a chunk whose end is not known yet
	recipe Recipe
	many   bool
}

// NewMaker returns a Maker of a content that has not begun.
func NewMaker() *Maker {
	m := &Maker{opts: cdc.ChunkerOpts{MinSize: minBytes, NormalSize: normalBytes, MaxSize: MaxBytes}}
	// It fails for keys only, and there is none.
	_ = m.cutter.Setup(&m.opts)
	return m
}

// Write takes the next bytes of the content. It never fails.
func (m *Maker) Write(p []byte) (int, error) {
	total := len(p)
	for len(m.carry) > 0 && len(p) > 0 {
		had := len(m.carry)
		more := min(MaxBytes-had, len(p))
		m.carry = append(m.carry, p[:more]...)
		if len(m.carry) < MaxBytes {
			return total, nil
		}
		switch n := m.cut(m.carry); {
		case n >= had:
			p = p[n-had:]
			m.carry = m.carry[:0]
		default:
			// What came from p is still there.
			m.carry = append(m.carry[:0], m.carry[n:had]...)
		}
	}
	for len(p) >= MaxBytes {
		p = p[m.cut(p):]
	}
	if len(p) > 0 {
		if m.carry == nil {
			m.carry = make([]byte, 0, MaxBytes)
		}
		m.carry = append(m.carry, p...)
	}
	return total, nil
}

// Recipe ends the content. ok is false if it has more chunks than a recipe may have.
func (m *Maker) Recipe() (r Recipe, ok bool) {
	for len(m.carry) > 0 {
		m.carry = m.carry[m.cut(m.carry):]
	}
	return m.recipe, !m.many
}

// cut adds the chunk that data begins with and returns its length. Data has MaxBytes, or is the content's end.
func (m *Maker) cut(data []byte) int {
	last := len(m.recipe) - 1
	run := zeros(data)
	if run > 0 && last >= 0 && m.recipe[last].Zero() {
		m.recipe[last].Len += int64(run)
		return run
	}
	if run >= minZeros {
		m.add(Chunk{Len: int64(run)})
		return run
	}
	n := m.cutter.Algorithm(&m.opts, data, min(len(data), MaxBytes))
	m.add(Chunk{Len: int64(n), Sum: SumOf(data[:n])})
	return n
}

func (m *Maker) add(c Chunk) {
	if len(m.recipe) == MaxChunks {
		m.many = true
		return
	}
	m.recipe = append(m.recipe, c)
}
