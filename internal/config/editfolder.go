package config

import (
	"fmt"
	"slices"
	"strings"

	"tandem/internal/farm"
)

// AddFolder returns farm.toml with a table for f, of which only name and path are written, after those of the other
// folders; all else, comments too, stays as it is. src may be empty or lack members. Exists if there is a folder of that
// name, Invalid with Faults if the file has more faults with the folder than without.
func AddFolder(src []byte, f Folder) ([]byte, error) {
	name := string(f.Name)
	fail := func(kind farm.Kind, err error) ([]byte, error) {
		return nil, &farm.Error{Op: "add folder", Path: name, Kind: kind, Err: err}
	}
	c, before := parseFarm(src)
	blocks, ok := splitBlocks(src)
	if !ok {
		return fail(farm.Invalid, before)
	}
	if _, ok := c.Folder(f.Name); ok {
		return fail(farm.Exists, fmt.Errorf("%s has a folder of that name", FarmFile))
	}
	at := len(blocks)
	for i, b := range blocks {
		if b.name == "folder" || strings.HasPrefix(b.name, "folder.") {
			at = i + 1
		}
	}
	newline := newlineOf(src)
	table := fmt.Sprintf("[folder.%s]%spath = %s%s", tomlKey(name), newline, tomlString(f.Path), newline)
	out := appendBlock(slices.Clone(blocks[:at]), block{name: "folder." + name, text: table}, newline)
	result := joinBlocks(separate(append(out, blocks[at:]...), newline))
	got, after := parseFarm(result)
	if len(after.Errors()) > len(before.Errors()) {
		return fail(farm.Invalid, after.Errors())
	}
	if _, ok := got.Folder(f.Name); !ok {
		return fail(farm.Internal, fmt.Errorf("the table can't be read back"))
	}
	return result, nil
}
