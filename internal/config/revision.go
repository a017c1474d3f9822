package config

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zeebo/blake3"
	"golang.org/x/tools/txtar"

	"tandem/internal/farm"
)

// Revision is one immutable state of the whole configuration.
type Revision struct {
	Digest  farm.Digest   // of the encoding; names the revision
	Parents []farm.Digest // that it was made from, sorted: none for the first, two for a merge
	Author  farm.MemberID // where it was typed; of a merge, that of its later parent
	Time    farm.HLC      // when; of a merge, that of its later parent
	Message string        // one line
	Stage   Stage         // of one that is tried first
	Files   map[string][]byte
}

// RevisionSuffix ends the names of files that hold a revision.
const RevisionSuffix = ".rev"

// maxMessageBytes bounds the message of a revision; maxParents the number of its parents.
const (
	maxMessageBytes = 1000
	maxParents      = 2
)

// formatLine begins every revision. A change of the format changes the number.
const formatLine = "tandem revision 1"

// stagedLine begins a revision that is tried on one member first: members that don't know of trials must not run it, and
// do not. They run what comes of it, which is a revision like any other.
const stagedLine = "tandem revision 2"

// headerTime is the wall-clock part of a revision's time.
const headerTime = "2006-01-02T15:04:05.000Z"

// NewRevision returns the revision with its digest. The files are its own from now on.
func NewRevision(parents []farm.Digest, author farm.MemberID, at farm.HLC, message string, files map[string][]byte) (Revision, error) {
	return NewStaged(parents, author, at, message, files, Stage{})
}

// NewStaged is NewRevision of one that is tried first.
func NewStaged(parents []farm.Digest, author farm.MemberID, at farm.HLC, message string, files map[string][]byte, stage Stage) (Revision, error) {
	r := Revision{Author: author, Time: at, Message: message, Files: files, Stage: stage}
	r.Parents = slices.Clone(parents)
	slices.SortFunc(r.Parents, compareDigests)
	r.Parents = slices.Compact(r.Parents)
	if err := r.check(); err != nil {
		return Revision{}, &farm.Error{Op: "make revision", Kind: farm.Invalid, Err: err}
	}
	r.Digest = blake3.Sum256(r.Encode())
	return r, nil
}

func compareDigests(a, b farm.Digest) int { return bytes.Compare(a[:], b[:]) }

func (r Revision) check() error {
	if _, err := farm.ParseMemberID(string(r.Author)); err != nil {
		return fmt.Errorf("author: %w", err)
	}
	if len(r.Parents) > maxParents {
		return fmt.Errorf("it has %d parents; the limit is %d", len(r.Parents), maxParents)
	}
	if err := r.Stage.check(len(r.Parents)); err != nil {
		return err
	}
	if r.Message != CleanMessage(r.Message) {
		return fmt.Errorf("message %q is not one clean line of at most %d bytes", r.Message, maxMessageBytes)
	}
	if year := r.Time.Wall().UTC().Year(); year > 9999 {
		return fmt.Errorf("time is in the year %d", year)
	}
	if len(r.Files) > MaxFiles {
		return fmt.Errorf("it has %d files; the limit is %d", len(r.Files), MaxFiles)
	}
	for name, data := range r.Files {
		if !IsShared(name) {
			return fmt.Errorf("%q does not belong into a revision", name)
		}
		if len(data) > maxBytes(name) {
			return fmt.Errorf("%s has %d bytes; the limit is %d", name, len(data), maxBytes(name))
		}
	}
	return nil
}

// CleanMessage makes one line that fits a revision of s.
func CleanMessage(s string) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(s) > maxMessageBytes {
		s = strings.TrimRight(strings.ToValidUTF8(s[:maxMessageBytes], ""), " ")
	}
	return s
}

// FileName is the name of the file that holds the revision.
func (r Revision) FileName() string { return r.Digest.String() + RevisionSuffix }

// Header is the revision without its files.
func (r Revision) Header() Revision {
	r.Files = nil
	return r
}

// Config is what the revision says. It is nil if the faults are more than warnings.
func (r Revision) Config() (*Config, Faults) {
	c, faults := Parse(r.Files)
	if c != nil {
		c.Revision = r.Digest
	}
	return c, faults
}

// later orders revisions in a way that every member agrees on and that never contradicts causality.
func later(a, b Revision) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), strings.Compare(string(a.Author), string(b.Author)), compareDigests(a.Digest, b.Digest))
}

// Encode is the revision as one text: a txtar archive with a header as its comment.
func (r Revision) Encode() []byte {
	var h bytes.Buffer
	first, stage := formatLine, ""
	if !r.Stage.IsZero() {
		first, stage = stagedLine, r.Stage.line()
	}
	fmt.Fprintln(&h, first)
	for _, p := range r.Parents {
		fmt.Fprintf(&h, "parent %s\n", p)
	}
	fmt.Fprintf(&h, "author %s\n", r.Author)
	fmt.Fprintf(&h, "time %s %d\n", r.Time.Wall().UTC().Format(headerTime), uint16(r.Time))
	fmt.Fprintf(&h, "message %s\n%s", r.Message, stage)
	a := txtar.Archive{Comment: h.Bytes()}
	for _, name := range slices.Sorted(maps.Keys(r.Files)) {
		a.Files = append(a.Files, txtar.File{Name: name, Data: escape(r.Files[name])})
	}
	return txtar.Format(&a)
}

// DecodeRevision is the inverse of Encode. Bytes that Encode would not have made are Corrupt, those of a later format
// Unsupported.
func DecodeRevision(b []byte) (Revision, error) {
	corrupt := func(err error) (Revision, error) {
		return Revision{}, &farm.Error{Op: "read revision", Kind: farm.Corrupt, Err: err}
	}
	a := txtar.Parse(b)
	first, header, _ := strings.Cut(string(a.Comment), "\n")
	if first != formatLine && first != stagedLine {
		if strings.HasPrefix(first, "tandem revision ") {
			return Revision{}, &farm.Error{Op: "read revision", Kind: farm.Unsupported, Err: fmt.Errorf("its format is %q, this program knows up to %q", first, stagedLine), Next: "update this member"}
		}
		return corrupt(fmt.Errorf("it does not begin with %q", formatLine))
	}
	r, err := decodeHeader(header)
	if err != nil {
		return corrupt(err)
	}
	r.Files = make(map[string][]byte, len(a.Files))
	for _, f := range a.Files {
		r.Files[f.Name] = unescape(f.Data)
	}
	if err := r.check(); err != nil {
		return corrupt(err)
	}
	// The digest names bytes, so there must be one encoding only.
	if !bytes.Equal(r.Encode(), b) {
		return corrupt(fmt.Errorf("it is not in its canonical form"))
	}
	r.Digest = blake3.Sum256(b)
	return r, nil
}

// decodeHeader reads the lines of a header. That they are in order, unique and complete is seen by encoding them again.
func decodeHeader(header string) (Revision, error) {
	var r Revision
	for line := range strings.Lines(header) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "parent":
			d, err := farm.ParseDigest(value)
			if err != nil {
				return r, err
			}
			r.Parents = append(r.Parents, d)
		case "author":
			r.Author = farm.MemberID(value)
		case "time":
			at, err := decodeTime(value)
			if err != nil {
				return r, err
			}
			r.Time = at
		case "stage":
			stage, err := decodeStage(value)
			if err != nil {
				return r, err
			}
			r.Stage = stage
		case "message":
			r.Message = value
		default:
			return r, fmt.Errorf("its header has an unknown line %q", line)
		}
	}
	if !slices.IsSortedFunc(r.Parents, compareDigests) {
		return r, fmt.Errorf("its parents are not sorted")
	}
	return r, nil
}

func decodeTime(s string) (farm.HLC, error) {
	wall, counter, _ := strings.Cut(s, " ")
	t, err := time.Parse(headerTime, wall)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(counter, 10, 16)
	if err != nil {
		return 0, err
	}
	if t.UnixMilli() < 0 {
		return 0, fmt.Errorf("its time is before 1970")
	}
	return farm.HLC(uint64(t.UnixMilli())<<16 | n), nil
}

// Txtar knows neither files that hold a marker line nor files without a newline at their end. So a line that begins
// like a marker or like an escape gets a backslash in front, and noNewline follows a last line that has no end. It can't
// be mistaken: no other line begins with a backslash and a blank.
const noNewline = "\\ no newline at end of file\n"

func escape(data []byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(data) {
		if bytes.HasPrefix(line, []byte("-- ")) || line[0] == '\\' {
			b.WriteByte('\\')
		}
		b.Write(line)
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		b.WriteString("\n" + noNewline)
	}
	return b.Bytes()
}

// unescape is the inverse of escape; of what escape never makes it returns something.
func unescape(data []byte) []byte {
	data = bytes.TrimSuffix(data, []byte("\n"+noNewline))
	b := bytes.NewBuffer(make([]byte, 0, len(data)))
	for line := range bytes.Lines(data) {
		b.Write(bytes.TrimPrefix(line, []byte{'\\'}))
	}
	return b.Bytes()
}
