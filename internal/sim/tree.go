package sim

import (
	"fmt"
	"io"

	"tandem/internal/farm"
	"tandem/internal/install"
)

// tree is what is on disk, by path: type, mode, owner, time and content.
func (n *node) tree() map[string]string {
	out := map[string]string{}
	for _, p := range n.below(farm.Path{}) {
		st, err := n.mem.Lstat(p)
		if err != nil {
			continue
		}
		switch st.Type {
		case farm.Dir:
			out[p.String()] = fmt.Sprintf("dir %o %d:%d %v", st.Mode, st.UID, st.GID, n.xattrs(p))
		default:
			out[p.String()] = fmt.Sprintf("%s %o %d:%d %d %q %v", st.Type, st.Mode, st.UID, st.GID, st.MTime, n.seen(p), n.xattrs(p))
		}
	}
	return out
}

// contents are the values on disk, by path.
func (n *node) contents() map[farm.Path]string {
	out := map[farm.Path]string{}
	for _, p := range n.below(farm.Path{}) {
		if v := n.seen(p); v != "" {
			out[p] = v
		}
	}
	return out
}

// preservedContent reads a preserved file.
func (n *node) preservedContent(k install.Preserved) string {
	if k.Attr.Type == farm.Symlink {
		return "->" + k.Attr.Target
	}
	_, rc, err := n.keeper.OpenPreserved(k.ID)
	if err != nil {
		return ""
	}
	defer rc.Close()
	b, err := io.ReadAll(rc)
	if err != nil {
		return ""
	}
	return string(b)
}

// xattrs are the extended attributes of p.
func (n *node) xattrs(p farm.Path) farm.XAttrs {
	x, err := n.mem.XAttrs(p)
	if err != nil {
		panic(err)
	}
	return x
}
