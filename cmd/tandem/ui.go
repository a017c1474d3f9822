package main

// This file prints. The rules are:
//
//   - stdout is data: what was asked for, and nothing else; a script may read it. With --json it is JSON, whose fields
//     are those of package control.
//   - stderr is talk: "tandem: ", lower case, no full stop; and progress, if it is a terminal.
//   - What is wrong comes first, and an error says what to do next.
//   - Colour only repeats what the words say, only on a terminal, and not if NO_COLOR is set.
//   - An output that can't be written is an error of the command, except that a reader may leave.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// ui is where a command prints.
type ui struct {
	out      *output
	err      io.Writer
	colour   bool // stdout takes colours
	progress bool // stderr is a terminal
}

// output remembers the first write that failed.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

func newUI(out, err io.Writer, env func(string) string) *ui {
	return &ui{
		out: &output{w: out}, err: err,
		colour:   isTerminal(out) && env("NO_COLOR") == "" && env("TERM") != "dumb",
		progress: isTerminal(err) && env("TERM") != "dumb",
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// failed is the error of the first write to stdout that failed; a reader that left early, as head does, is none.
func (u *ui) failed() error {
	if u.out.err == nil || errors.Is(u.out.err, syscall.EPIPE) {
		return nil
	}
	return &farm.Error{Op: "write output", Kind: farm.Other, Err: u.out.err}
}

// say talks.
func (u *ui) say(format string, args ...any) {
	fmt.Fprintf(u.err, "tandem: "+format+"\n", args...)
}

// fail says why the command failed: one line, or one for each fault of a configuration.
func (u *ui) fail(err error) {
	var faults config.Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			u.say("%s", f)
		}
		return
	}
	u.say("%s", strings.TrimPrefix(err.Error(), ": ")) // an Error without an operation begins with its cause
}

// working shows a line of progress in place of the last one; an empty line ends it.
func (u *ui) working(line string) {
	if u.progress {
		fmt.Fprintf(u.err, "\r\x1b[K%s", line)
	}
}

func (u *ui) json(v any) error {
	enc := json.NewEncoder(u.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func (u *ui) jsonLine(v any) error { return json.NewEncoder(u.out).Encode(v) }

func (u *ui) line(format string, args ...any) { fmt.Fprintf(u.out, format+"\n", args...) }

// tone is what a colour repeats.
type tone string

const (
	plain tone = ""
	good  tone = "32"
	warn  tone = "33"
	bad   tone = "31"
	quiet tone = "2"
	loud  tone = "1"
)

func (u *ui) paint(t tone, s string) string {
	if !u.colour || t == plain || s == "" {
		return s
	}
	return "\x1b[" + string(t) + "m" + s + "\x1b[0m"
}
