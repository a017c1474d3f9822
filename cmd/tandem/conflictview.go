package main

import (
	"fmt"
	"strings"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
)

func printConflicts(u *ui, c control.Conflicts, now time.Time) {
	if len(c.List) == 0 {
		u.line("nothing is preserved that matches")
		return
	}
	short := shortIDs(c.List)
	t := table{head: []string{"ID", "AGE", "WHY", "SIZE", "KEPT BY", "WRITTEN BY", "FOLDER", "PATH"}}
	for i, k := range c.List {
		why, by := cell{string(k.Reason), plain}, ""
		if k.Reason == farm.ReasonConflict {
			why.tone = warn
		}
		if k.Written != nil {
			by = string(k.Written.Member)
		}
		t.add(text(short[i]), text(span(now.Sub(k.Time))), why, text(sizeOf(k)), text(joined(k.Members)), text(by), text(k.Folder), text(pathOf(k)))
	}
	t.print(u, "")
	if c.More {
		u.line("at least %s match; --limit, --path or --since show others", grouped(int64(c.Count)))
	}
}

func sizeOf(k control.Conflict) string {
	if k.Type != farm.File.String() {
		return ""
	}
	return size(k.Size)
}

func pathOf(k control.Conflict) string {
	switch k.Type {
	case farm.Dir.String():
		return k.Path + "/"
	case farm.Symlink.String():
		return k.Path + " -> " + k.Target
	}
	return k.Path
}

// minIDChars is how much of an id is shown at least: it should still be the only one tomorrow.
const minIDChars = 5

// shortIDs are beginnings of the ids that tell them apart.
func shortIDs(list []control.Conflict) []string {
	n := minIDChars
	for ; n < farm.PreservedIDLen; n++ {
		seen := map[string]string{}
		clash := false
		for _, k := range list {
			s := k.ID[:min(n, len(k.ID))]
			clash = clash || seen[s] != "" && seen[s] != k.ID
			seen[s] = k.ID
		}
		if !clash {
			break
		}
	}
	short := make([]string, len(list))
	for i, k := range list {
		short[i] = k.ID
		if len(k.ID) == farm.PreservedIDLen { // ids of the older form begin with a time, and differ at their end
			short[i] = k.ID[:n]
		}
	}
	return short
}

func printConflict(u *ui, k control.Conflict, now time.Time) {
	row := func(name, format string, args ...any) { u.line("%-10s %s", name, fmt.Sprintf(format, args...)) }
	write := func(name string, w *control.Write) {
		if w != nil {
			row(name, "by %s, %s (version %s)", w.Member, w.Time.UTC().Format(time.RFC3339), w.Version)
		}
	}
	row("id", "%s", k.ID)
	row("path", "%s", pathOf(k))
	row("folder", "%s", k.Folder)
	row("why", "%s", reasonText(k.Reason))
	row("kept by", "%s, for %s", joined(k.Members), span(now.Sub(k.Time)))
	write("written", k.Written)
	write("replaced", k.Replaced)
	if k.Type == farm.File.String() {
		row("size", "%s (%s bytes)", size(k.Size), grouped(k.Size))
		row("digest", "%s", k.Digest)
	}
	if k.Mode != "" {
		row("mode", "%s", k.Mode)
	}
	row("owner", "%s", k.Owner)
	if !k.MTime.IsZero() {
		row("mtime", "%s", k.MTime.Format(time.RFC3339Nano))
	}
	u.line("")
	if k.Type == farm.File.String() {
		u.line("compare:   tandem conflicts diff %s", k.ID)
	}
	u.line("get back:  tandem conflicts restore %s", k.ID)
}

func reasonText(r farm.Reason) string {
	text := map[farm.Reason]string{
		farm.ReasonConflict:    "it lost a conflict: another member wrote the path at the same time",
		farm.ReasonDeleted:     "it was deleted on another member",
		farm.ReasonLateWrite:   "it was written to after it had been replaced or deleted",
		farm.ReasonDisplaced:   "it stood in the way when the folder was seeded, or came while the path was being changed",
		farm.ReasonUndone:      "it was changed on a node that only reads",
		farm.ReasonQuarantined: "the farm did not know it when the node joined",
		farm.ReasonReplaced:    "a restore took its place",
		farm.ReasonCrash:       "a crash left it, and nothing tells what it was",
	}[r]
	if text == "" {
		return string(r)
	}
	return string(r) + ": " + text
}

func printConflictDiff(u *ui, d control.ConflictDiff) {
	if d.Same {
		u.line("the preserved file and %s have the same content", d.Path)
		return
	}
	if d.Text != "" {
		fmt.Fprint(u.out, d.Text)
		return
	}
	side := func(name, kind, digest, target string, n int64) {
		switch {
		case target != "":
			u.line("%-10s %s to %s", name, kind, target)
		case digest != "":
			u.line("%-10s %s, %s bytes, digest %s", name, kind, grouped(n), digest)
		default:
			u.line("%-10s %s", name, kind)
		}
	}
	u.line("they differ, and are not compared line by line: %s", d.Why)
	side("preserved", d.Preserved.Type, d.Preserved.Digest, d.Preserved.Target, d.Preserved.Size)
	side("current", d.Type, d.Digest, d.Target, d.Size)
}

// restoring says how far it is and, once that can be told, how long it will take.
func restoring(done, count int, took time.Duration) string {
	line := fmt.Sprintf("%d of %d files", done, count)
	if done > 0 && took > time.Second {
		line += ", " + span(took*time.Duration(count-done)/time.Duration(done)) + " left"
	}
	return line
}

// printed is how many restored files are named; of more the number is enough.
const printed = 10

func printRestored(u *ui, r control.RestoreResult) {
	good := 0
	for _, f := range r.List {
		if f.Error != nil {
			continue
		}
		if good++; good > printed {
			break
		}
		if f.Same {
			u.line("%s  %s was there already", f.ID, f.Path)
		} else {
			u.line("%s  %s restored, from %s", f.ID, f.Path, f.From)
		}
	}
	if r.Restored > printed || r.Count == 0 {
		u.line("%s of %d restored", plural(r.Restored, "file", "files"), r.Count)
	}
}

// restoreError is the error of the command if some files were not restored: of one file its own.
func restoreError(r control.RestoreResult) error {
	if r.Failed == 0 {
		return nil
	}
	var first error
	var lines []string
	for _, f := range r.List {
		if f.Error == nil {
			continue
		}
		if first == nil {
			first = f.Error.Err()
		}
		if len(lines) < printed {
			lines = append(lines, f.Error.Err().Error())
		}
	}
	if r.Failed == 1 {
		return first
	}
	return &farm.Error{Kind: farm.KindOf(first), Err: fmt.Errorf("%d of %d files were not restored:\n  %s", r.Failed, r.Count, strings.Join(lines, "\n  "))}
}
