package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem/internal/farm"
)

// maxFaults bounds how many faults are reported of one set of files.
const maxFaults = 100

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	File    string `json:"file,omitempty"`    // "farm.toml", "sites/shop.caddy"; empty: the whole
	Line    int    `json:"line,omitempty"`    // from 1; 0: the whole file
	Column  int    `json:"column,omitempty"`  // from 1, in bytes; 0: the whole line
	Message string `json:"message"`           // lower case, no full stop
	Hint    string `json:"hint,omitempty"`    // what would be right; may be empty
	Warning bool   `json:"warning,omitempty"` // does not stop the configuration from going live
}

// String is "file:line:column: message (hint)".
func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File)
		if f.Line > 0 {
			fmt.Fprintf(&b, ":%d", f.Line)
			if f.Column > 0 {
				fmt.Fprintf(&b, ":%d", f.Column)
			}
		}
		b.WriteString(": ")
	}
	if f.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(f.Message)
	if f.Hint != "" {
		b.WriteString(" (" + f.Hint + ")")
	}
	return b.String()
}

// Faults is all that is wrong with a configuration, in the order of files and lines. As an error it is of the kind
// Invalid; use Err to get one.
type Faults []Fault

// Error is one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// As lets farm.KindOf and errors.As see a *farm.Error of the kind Invalid.
func (fs Faults) As(target any) bool {
	e, ok := target.(**farm.Error)
	if ok {
		*e = &farm.Error{Op: "check configuration", Kind: farm.Invalid, Err: fs}
	}
	return ok
}

// Errors are the faults that are not warnings.
func (fs Faults) Errors() Faults {
	var errs Faults
	for _, f := range fs {
		if !f.Warning {
			errs = append(errs, f)
		}
	}
	return errs
}

// Warnings are the faults that are warnings.
func (fs Faults) Warnings() Faults {
	var warnings Faults
	for _, f := range fs {
		if f.Warning {
			warnings = append(warnings, f)
		}
	}
	return warnings
}

// Err is the faults as an error; nil if there are none but warnings.
func (fs Faults) Err() error {
	if errs := fs.Errors(); len(errs) > 0 {
		return errs
	}
	return nil
}

// sorted orders the faults by position and cuts them to maxFaults.
func (fs Faults) sorted() Faults {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if more := len(fs) - maxFaults; more > 0 {
		fs = append(fs[:maxFaults:maxFaults], Fault{Message: fmt.Sprintf("and %d more faults", more)})
	}
	return fs
}

// SiteFaults says of single site files why they can't be used on a member. A part of the program that refuses some sites
// and takes the rest returns it as its error.
type SiteFaults map[string]Faults

// Error is one fault a line, ordered by file.
func (sf SiteFaults) Error() string { return sf.All().Error() }

// As lets farm.KindOf and errors.As see a *farm.Error of the kind Invalid.
func (sf SiteFaults) As(target any) bool { return sf.All().As(target) }

// All is the faults of all sites, ordered by file.
func (sf SiteFaults) All() Faults {
	var all Faults
	for _, file := range slices.Sorted(maps.Keys(sf)) {
		for _, f := range sf[file] {
			f.File = cmp.Or(f.File, file)
			all = append(all, f)
		}
	}
	return all
}

// nearest is the candidate that s is most likely a misspelling of; empty if there is none.
func nearest(s string, candidates []string) string {
	best, least := "", max(1, len(s)/3)+1
	for _, c := range candidates {
		if d := editDistance(s, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// DidYouMean is the hint for an unknown word.
func DidYouMean(s string, candidates []string) string {
	if c := nearest(s, candidates); c != "" {
		return fmt.Sprintf("did you mean %q?", c)
	}
	return "known are " + strings.Join(candidates, ", ")
}

// maxWordBytes bounds the words whose distance is worth computing.
const maxWordBytes = 64

// editDistance counts the insertions, deletions, substitutions and swaps of neighbours that make a into b.
func editDistance(a, b string) int {
	if len(a) > maxWordBytes || len(b) > maxWordBytes {
		return maxWordBytes
	}
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
