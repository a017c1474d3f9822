package farm

// Lacks names what of a wanted attribute value the other one, which is on disk in its place, does not have: of "mode",
// "owner", "xattrs" and "mtime". A file system, or the rights of the process, may be unable to represent it.
func (a Attr) Lacks(is Attr) []string {
	var lacks []string
	if a.Type == Absent || a.Type != is.Type {
		return nil
	}
	if a.Mode != is.Mode {
		lacks = append(lacks, "mode")
	}
	if !sameOwner(a.Owner, is.Owner) {
		lacks = append(lacks, "owner")
	}
	if !a.XAttrs.Same(is.XAttrs) {
		lacks = append(lacks, "xattrs")
	}
	if a.MTime != is.MTime {
		lacks = append(lacks, "mtime")
	}
	return lacks
}
