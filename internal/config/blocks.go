package config

import (
	"bytes"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// block is a table of a TOML file as text: its header, what stands under it, and the comment that stands right above it.
// The blocks of a file, joined, are the file.
type block struct {
	name string // "member.web1"; empty: what stands before the first table
	text string // without the blank lines at its end
	gap  string // those blank lines
}

// splitBlocks cuts a file at its table headers; false if it does not parse.
func splitBlocks(src []byte) ([]block, bool) {
	var parser unstable.Parser
	parser.Reset(src)
	names, starts := []string{""}, []int{0}
	least := 0 // the end of the latest key-value: lines before it are no comments, whatever they look like
	for parser.NextExpression() {
		n := parser.Expression()
		if n.Kind == unstable.KeyValue {
			least = int(n.Raw.Offset + n.Raw.Length)
		}
		if n.Kind != unstable.Table && n.Kind != unstable.ArrayTable {
			continue
		}
		var path []string
		for it := n.Key(); it.Next(); {
			path = append(path, tomlKey(string(it.Node().Data)))
		}
		key := int(n.Child().Raw.Offset)
		header := bytes.LastIndexByte(src[:key], '\n') + 1
		names = append(names, strings.Join(path, "."))
		starts = append(starts, withComment(src, header, least))
		least = header + 1
	}
	if parser.Error() != nil {
		return nil, false
	}
	var blocks []block
	for i, start := range starts {
		end := len(src)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		text := string(src[start:end])
		trimmed := strings.TrimRight(text, " \t\r\n")
		// The end of the last line belongs to the text.
		if rest := text[len(trimmed):]; rest != "" {
			if i := strings.IndexByte(rest, '\n'); i >= 0 {
				trimmed += rest[:i+1]
			}
		}
		blocks = append(blocks, block{names[i], trimmed, text[len(trimmed):]})
	}
	return blocks, true
}

// withComment moves the start of a table up over the comment lines right above it, not beyond least.
func withComment(src []byte, start, least int) int {
	for start > least {
		above := bytes.LastIndexByte(src[:start-1], '\n') + 1
		if above < least || !bytes.HasPrefix(bytes.TrimLeft(src[above:start], " \t"), []byte("#")) {
			break
		}
		start = above
	}
	return start
}

func joinBlocks(blocks []block) []byte {
	var b bytes.Buffer
	for _, k := range blocks {
		b.WriteString(k.text)
		b.WriteString(k.gap)
	}
	return b.Bytes()
}

// appendBlock puts b at the end, with a blank line before and after it.
func appendBlock(blocks []block, b block, newline string) []block {
	if n := len(blocks); n > 0 && blocks[n-1].text != "" && blocks[n-1].gap == "" {
		blocks[n-1].gap = newline
	}
	b.gap = newline
	return append(blocks, b)
}

// separate gives each block but the last an end of its last line, and takes the last one's blank lines.
func separate(blocks []block, newline string) []block {
	for i := range blocks[:max(0, len(blocks)-1)] {
		if b := &blocks[i]; b.text != "" && !strings.HasSuffix(b.text, "\n") {
			b.text += newline
		}
	}
	if n := len(blocks); n > 0 {
		blocks[n-1].gap = ""
	}
	return blocks
}

// newlineOf is how the file ends its lines.
func newlineOf(src []byte) string {
	if bytes.Contains(src, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}
