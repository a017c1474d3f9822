package member

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
	"tandem/internal/scan"
)

// whyRequest asks another member about a path.
type whyRequest struct {
	Folder farm.FolderID `json:"folder"`
	Path   []byte        `json:"path"` // need not be UTF-8
}

// maxLost bounds the lost contents that are named of a path.
const maxLost = 20

// Why implements control.Steerer.
func (m *Member) Why(ctx context.Context, q control.WhyQuery) (control.Why, error) {
	c := m.config()
	if c == nil {
		return control.Why{}, farm.Errorf("why", q.Path, farm.Unavailable, "the member is starting")
	}
	id, path, err := m.findPath(q)
	if err != nil {
		return control.Why{}, err
	}
	req := whyRequest{id, []byte(path.String())}
	here, err := m.whyHere(ctx, req)
	if err != nil {
		return control.Why{}, err
	}
	w := control.Why{Folder: id, Path: textOf(path), Members: []control.WhyMember{here}}
	others, silent := askHolders(ctx, m, id, func(ctx context.Context, to farm.MemberID) (one control.WhyMember, err error) {
		err = m.ask(ctx, to, callWhy, req, &one)
		one.Member = to
		return one, err
	})
	slices.SortFunc(others, func(a, b control.WhyMember) int { return strings.Compare(string(a.Member), string(b.Member)) })
	w.Members, w.Silent = append(w.Members, others...), silent
	return w, ctx.Err()
}

func textOf(p farm.Path) string { return strings.ToValidUTF8(p.String(), "\uFFFD") }

// findPath is the folder and the path in it that are asked about.
func (m *Member) findPath(q control.WhyQuery) (farm.FolderID, farm.Path, error) {
	if q.Folder != "" {
		p, err := farm.ParsePath(strings.TrimSuffix(q.Path, "/"))
		if err != nil || p.IsRoot() {
			return "", p, farm.Errorf("why", q.Path, farm.Invalid, "it is no path in a folder, such as img/7.jpg")
		}
		return q.Folder, p, nil
	}
	if !filepath.IsAbs(q.Path) {
		return "", farm.Path{}, farm.Errorf("why", q.Path, farm.Invalid, "without a folder a path is absolute")
	}
	abs := filepath.Clean(q.Path)
	names := []string{abs}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		names = append(names, filepath.Join(dir, filepath.Base(abs)))
	}
	var at farm.FolderID
	var in string
	longest := -1
	for _, spec := range m.specs(m.config()) {
		roots := []string{spec.root}
		if real, err := filepath.EvalSymlinks(spec.root); err == nil {
			roots = append(roots, real)
		}
		for _, root := range roots {
			for _, name := range names {
				rel, err := filepath.Rel(root, name)
				if err == nil && filepath.IsLocal(rel) && len(root) > longest {
					at, in, longest = spec.id, filepath.ToSlash(rel), len(root)
				}
			}
		}
	}
	if longest < 0 {
		return "", farm.Path{}, &farm.Error{Op: "why", Path: q.Path, Kind: farm.NotFound, Next: "see where they are with tandem folder list, or name one with --folder",
			Err: errors.New("it lies in no folder of this member")}
	}
	p, err := farm.ParsePath(in)
	if err != nil || p.IsRoot() {
		return "", p, farm.Errorf("why", q.Path, farm.Invalid, "it is the root of folder %s: see tandem folder show %s", at, at)
	}
	return at, p, nil
}

// whyHere is what this member knows of a path.
func (m *Member) whyHere(ctx context.Context, req whyRequest) (w control.WhyMember, err error) {
	w.Member = m.self
	p, err := farm.ParsePath(string(req.Path))
	if err != nil || p.IsRoot() {
		return w, farm.Errorf("why", string(req.Path), farm.Invalid, "it is no path in a folder")
	}
	f := m.folders.get(req.Folder)
	if f == nil {
		if c := m.config(); c != nil && slices.ContainsFunc(m.specs(c), func(s folderSpec) bool { return s.id == req.Folder }) {
			w.Halted = m.folders.reason(req.Folder)
			return w, nil
		}
		return w, noFolder("why", req.Folder)
	}
	w.Path = strings.ToValidUTF8(filepath.Join(f.spec.root, filepath.FromSlash(p.String())), "\uFFFD")
	_, sum := f.runner.State()
	w.Paused, w.Braked, w.ReadOnly = f.flowStatus(sum)
	f.whyRule(&w, p)
	f.whyDisk(ctx, &w, p)
	return w, f.whyVersion(ctx, &w, p)
}

// whyRule says which rule decides about the path.
func (f *folder) whyRule(w *control.WhyMember, p farm.Path) {
	filter := f.flow.Load().filter
	w.Private, w.MaxSize, w.Passage = p.Private(), filter.MaxSize(), filter.Passage(p)
	w.Replicated = !filter.Excluded(p)
	rule, _ := filter.Decides(p)
	if rule.Pattern == "" {
		return
	}
	w.Rule = &control.WhyRule{Pattern: rule.Pattern, Include: rule.Include, Default: rule.Default, Line: rule.Line, Why: rule.Why}
	one := scan.NewFilter([]scan.Rule{rule}, 0)
	for at := p; !at.IsRoot(); at = at.Parent() { // the last that still matches is what the pattern means
		if r, _ := one.Decides(at); r.Pattern == "" {
			break
		}
		w.Rule.Path = textOf(at)
	}
}

// whyDisk looks at the disk now.
func (f *folder) whyDisk(ctx context.Context, w *control.WhyMember, p farm.Path) {
	st, err := f.fs.Lstat(p)
	switch {
	case farm.KindOf(err) == farm.NotFound:
	case err != nil:
		w.Unreadable = err.Error()
		var kind interface{ SpecialKind() string }
		if _, xerr := f.scanner.Examine(ctx, p, farm.Disk{}); errors.As(xerr, &kind) {
			w.Special, w.Unreadable = kind.SpecialKind(), ""
		}
	case st.Type == farm.Absent:
		w.Special = st.Other
	default:
		w.Disk = fileOf(st.Attr())
		w.LeftOut = w.Replicated && f.flow.Load().filter.LeavesOut(p, st.Attr())
	}
}

// whyVersion says what the farm knows of the path and what it waits for.
func (f *folder) whyVersion(ctx context.Context, w *control.WhyMember, p farm.Path) error {
	ctx, cancel := context.WithTimeout(ctx, callTime/2)
	defer cancel()
	x, err := f.runner.Explain(ctx, p)
	if err != nil {
		return &farm.Error{Op: "why", Path: p.String(), Kind: farm.Unavailable, Err: err, Next: "the folder is busy: try again"}
	}
	w.Known, w.Deleted = x.Known, x.Known && x.Want.Type == farm.Absent
	w.Version, w.Want, w.Unkept = writeOf(x.Content), fileOf(x.Want), x.Unkept
	for _, l := range x.Lost[:min(len(x.Lost), maxLost)] {
		w.Lost = append(w.Lost, *writeOf(l))
	}
	w.LeftOut = w.LeftOut || x.LeftOut
	w.State, w.Problem, w.NoSource = string(x.State), x.Why, !x.Source
	if !x.Retry.IsZero() {
		t := x.Retry.UTC()
		w.Retry = &t
	}
	return nil
}

// fileOf is what people see of attributes; nil: nothing is there.
func fileOf(a farm.Attr) *control.WhyFile {
	if a.Type == farm.Absent {
		return nil
	}
	w := &control.WhyFile{Type: a.Type.String(), Size: a.Size, Owner: ownerText(a.Owner)}
	if a.Type != farm.Symlink {
		w.Mode = fmt.Sprintf("%04o", a.Mode)
	}
	if a.Type != farm.Dir {
		w.MTime = time.Unix(0, a.MTime).UTC()
	}
	return w
}
