package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

// exported is what config export prints as JSON.
type exported struct {
	File      string `json:"file"` // "-": stdout
	Head      string `json:"head"`
	Revisions int    `json:"revisions"`
	Secrets   bool   `json:"secrets"` // their values are in it, under the passphrase
	Bytes     int    `json:"bytes"`
}

func (a *app) configExportCommand() *cobra.Command {
	var history bool
	var pass passphrase
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "write the configuration to one file",
		Long: `Writes farm.toml and all sites, or with --history all revisions that are kept, to one file: a tar archive, compressed with
gzip. FILE is made anew and never overwritten; - is stdout. What is not in the configuration is not in the file: member.toml,
identities, certificates, folders. Secrets are in it as they are, for this farm alone; with a passphrase also for another one, which
imports them with the same passphrase.`,
		Example: "tandem config export farm.tar.gz\ntandem config export --passphrase-file phrase.txt farm.tar.gz\ntandem config export --history - | ssh backup 'cat > farm.tar.gz'",
		Args:    takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.client().ExportConfig(cmd.Context(), history)
			if err != nil {
				return err
			}
			var secrets []byte
			if pass.wanted() {
				phrase, err := pass.read(cmd.InOrStdin(), a.ui, true)
				if err != nil {
					return err
				}
				if secrets, err = a.client().ExportSecrets(cmd.Context(), e.Head, phrase); err != nil {
					return err
				}
			}
			data, err := packExport(e, secrets)
			if err != nil {
				return err
			}
			if args[0] == "-" {
				_, err := a.ui.out.Write(data)
				return err
			}
			if err := createFile(args[0], data); err != nil {
				return err
			}
			done := exported{args[0], e.Head, len(e.Revisions), secrets != nil, len(data)}
			if a.json {
				return a.ui.json(done)
			}
			a.ui.say("revision %s, %s in all, %s in %s", short(done.Head), plural(done.Revisions, "revision", "revisions"), size(int64(done.Bytes)), done.File)
			return nil
		},
	}
	cmd.Flags().BoolVar(&history, "history", false, "all revisions that are kept, not only the head")
	pass.flags(cmd, "the values of the head's secrets too,")
	return cmd
}

func packExport(e control.ConfigExport, secrets []byte) ([]byte, error) {
	b := config.Bundle{Farm: e.Farm, Secrets: secrets}
	var err error
	if b.Head, err = farm.ParseDigest(e.Head); err != nil {
		return nil, &farm.Error{Op: "export configuration", Kind: farm.Corrupt, Err: err}
	}
	for _, encoded := range e.Revisions {
		r, err := config.DecodeRevision(encoded)
		if err != nil {
			return nil, err
		}
		b.History = append(b.History, r)
	}
	return b.Pack()
}

// createFile writes a file that must not exist. It is only for its owner: a configuration may say more than all should read.
func createFile(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return farm.Errorf("write", name, farm.Exists, "there is such a file already")
	}
	if err != nil {
		return &farm.Error{Op: "write", Path: name, Kind: kindOfFile(err), Err: errors.Unwrap(err)}
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return &farm.Error{Op: "write", Path: name, Kind: farm.Other, Err: errors.Join(err, os.Remove(name))}
	}
	return nil
}

func (a *app) configImportCommand() *cobra.Command {
	e := control.ConfigEdit{KeepMembers: true}
	var history, yes bool
	var pass passphrase
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "make an exported configuration the farm's",
		Long: `Checks the configuration in FILE (- is stdin), which config export has written, shows what it would change, and with --yes,
or once you have agreed, makes it the farm's. The farm's members stay as they are. With --history the revisions in FILE
become part of the farm's history, too. Secrets of another farm can be opened with the passphrase with which they were exported;
without it this farm's own values of the same names stay.`,
		Example: "tandem config import farm.tar.gz --dry-run\ntandem config import farm.tar.gz --yes",
		Args:    takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := readBundle(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			from := b.Revision()
			e.Files = from.Files
			if e.Message == "" {
				e.Message = fmt.Sprintf("import %s of farm %s: %s", from.Digest.Short(), b.Farm, from.Message)
			}
			if history {
				e.History = encodeUpTo(b)
			}
			if err := a.importSecrets(cmd, &e, b, pass); err != nil {
				return err
			}
			return a.importConfig(cmd, e, yes)
		},
	}
	editFlags(cmd, &e)
	cmd.Flags().BoolVar(&history, "history", false, "take over the revisions in the file, too")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	pass.flags(cmd, "open the secrets in the file, which are")
	return cmd
}

// importSecrets adds the values of the secrets in a bundle to an edit, if there is a passphrase.
func (a *app) importSecrets(cmd *cobra.Command, e *control.ConfigEdit, b config.Bundle, pass passphrase) (err error) {
	switch {
	case b.Secrets == nil && pass.wanted():
		return farm.Errorf("import", "", farm.Invalid, "the file was exported without a passphrase")
	case b.Secrets != nil && !pass.wanted():
		a.ui.say("the values of secrets in the file are left out: there is no --passphrase")
	case b.Secrets != nil:
		e.Secrets = b.Secrets
		e.Passphrase, err = pass.read(cmd.InOrStdin(), a.ui, false)
	}
	return err
}

// importConfig shows what an import would change, and does it if that is what is wanted.
func (a *app) importConfig(cmd *cobra.Command, e control.ConfigEdit, yes bool) error {
	dry := e
	dry.DryRun = true
	would, err := a.client().ApplyConfig(cmd.Context(), dry)
	if err != nil {
		return err
	}
	if e.DryRun || !would.Check.OK {
		return a.applied(cmd.Context(), dry, would)
	}
	if !yes {
		if a.json {
			return farm.Errorf("import", "", farm.Invalid, "add --yes, or --dry-run")
		}
		printFaults(a.ui, would.Check.Faults)
		printDiff(a.ui, would.Diff)
		if !a.asks(cmd.InOrStdin(), "make this the farm's configuration? [y/N]", false) {
			return farm.Errorf("import", "", farm.Conflict, "not agreed; nothing has changed")
		}
	}
	done, err := a.client().ApplyConfig(cmd.Context(), e)
	if err != nil {
		return err
	}
	return a.applied(cmd.Context(), e, done)
}

func readBundle(name string, stdin io.Reader) (config.Bundle, error) {
	var data []byte
	var err error
	if name == "-" {
		data, err = io.ReadAll(stdin)
	} else {
		data, err = os.ReadFile(name)
	}
	if err != nil {
		return config.Bundle{}, &farm.Error{Op: "read export", Path: name, Kind: kindOfFile(err), Err: errors.Unwrap(err)}
	}
	return config.Unpack(data)
}

// encodeUpTo is the revisions of a bundle, the head last.
func encodeUpTo(b config.Bundle) [][]byte {
	var all [][]byte
	for _, r := range b.History {
		if r.Digest != b.Head {
			all = append(all, r.Encode())
		}
	}
	return append(all, b.Revision().Encode())
}
