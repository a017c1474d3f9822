package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tandem/internal/farm"
)

// passphrase is the flags by which a command gets one.
type passphrase struct {
	ask  bool
	file string
}

func (p *passphrase) flags(cmd *cobra.Command, what string) {
	cmd.Flags().BoolVar(&p.ask, "passphrase", false, what+" under a passphrase, which is asked for")
	cmd.Flags().StringVar(&p.file, "passphrase-file", "", what+" under the passphrase in `file`")
	cmd.MarkFlagsMutuallyExclusive("passphrase", "passphrase-file")
}

// wanted tells whether one was given or is to be asked for.
func (p *passphrase) wanted() bool { return p.ask || p.file != "" }

// read is the passphrase. A new one is asked for twice.
func (p *passphrase) read(in io.Reader, u *ui, fresh bool) (string, error) {
	if p.file != "" {
		b, err := readSmall(p.file)
		return strings.TrimRight(string(b), "\r\n"), err
	}
	first, err := typed(in, u, "passphrase: ")
	if err != nil || !fresh {
		return first, err
	}
	again, err := typed(in, u, "once more: ")
	if err == nil && again != first {
		err = farm.Errorf("", "", farm.Invalid, "the two passphrases differ")
	}
	return first, err
}

// typed asks for a line that is not shown.
func typed(in io.Reader, u *ui, prompt string) (string, error) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", &farm.Error{Kind: farm.Invalid, Err: errors.New("stdin is no terminal on which a passphrase could be asked for"), Next: "use --passphrase-file"}
	}
	fmt.Fprint(u.err, prompt)
	b, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(u.err)
	return string(bytes.TrimRight(b, "\r\n")), err
}
