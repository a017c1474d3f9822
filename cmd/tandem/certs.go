package main

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/internal/control"
	"tandem/internal/farm"
)

func (a *app) certCommand() *cobra.Command {
	return a.group("cert", "list, import and check the certificates of the sites", "tandem cert list",
		a.certListCommand(), a.certImportCommand(), a.certCheckCommand())
}

func (a *app) certListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "list the certificates, the most urgent first",
		Long: `Lists what lies in certs/ and in the member's own directory: names, issuer, end, and the sites it is served for; then the
hosts that have none, for which browsers warn.`,
		Example: "tandem cert list\ntandem cert list --json",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := a.client().Certificates(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(all, func(u *ui) { printCertificates(u, all, time.Now()) })
		},
	}
}

// urgency is a group of certificates in the list.
type urgency struct {
	head string
	tone tone
	has  func(left time.Duration, faulty bool) bool
}

const day = 24 * time.Hour

var urgencies = []urgency{
	{"can't be used", bad, func(_ time.Duration, faulty bool) bool { return faulty }},
	{"end within 7 days", bad, func(left time.Duration, _ bool) bool { return left <= 7*day }},
	{"end within 30 days", warn, func(left time.Duration, _ bool) bool { return left <= 30*day }},
	{"good", good, func(time.Duration, bool) bool { return true }},
}

func printCertificates(u *ui, all control.Certificates, now time.Time) {
	tables := make([]table, len(urgencies))
	for _, c := range all.Certificates {
		left := time.Duration(0)
		if c.Until != nil {
			left = c.Until.Sub(now)
		}
		i := slices.IndexFunc(urgencies, func(g urgency) bool { return g.has(left, len(c.Faults) > 0) })
		ends := "-"
		if c.Until != nil {
			ends = c.Until.Local().Format(time.DateOnly)
			if left > 0 {
				ends += " (" + span(left) + ")"
			}
		}
		last := text(sitesOf(c.Hosts))
		if i == 0 {
			last = cell{strings.Join(c.Faults, "; "), bad}
		}
		tables[i].add(text(strings.Join(c.Names, ", ")), text(ends), text(c.Issuer), text(c.File), text(c.Origin), last)
	}
	if len(all.Bare) > 0 {
		u.line("%s", u.paint(bad, "no certificate: browsers warn of the farm's own"))
		t := table{head: []string{"HOST", "SITE"}}
		for _, h := range all.Bare {
			t.add(text(h.Host), text(h.Site))
		}
		t.print(u, "  ")
	}
	for i, g := range urgencies {
		if len(tables[i].rows) == 0 {
			continue
		}
		u.line("%s", u.paint(g.tone, g.head))
		tables[i].head = []string{"NAMES", "ENDS", "ISSUER", "FILE", "FROM", "IN USE BY"}
		if i == 0 {
			tables[i].head[5] = "WHY"
		}
		tables[i].print(u, "  ")
	}
	if len(all.Certificates)+len(all.Bare) == 0 {
		u.say("there is no certificate, and no site that needs one; put one into certs/, or: tandem cert import FILE")
	}
}

// sitesOf are the sites, each once.
func sitesOf(hosts []control.SiteHost) string {
	var sites []string
	for _, h := range hosts {
		if name := strings.TrimSuffix(filepath.Base(h.Site), ".caddy"); !slices.Contains(sites, name) {
			sites = append(sites, name)
		}
	}
	return strings.Join(sites, ", ")
}

func (a *app) certImportCommand() *cobra.Command {
	var req control.ImportRequest
	var key string
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "put a certificate into the store, for all members",
		Long: `Takes a certificate, its chain and its key from one or more files, PEM, DER or PFX, in any order; checks that they belong
together; and writes them as one PEM file for the host, with mode 0600, into certs/, from where all members have it at once.`,
		Example: `tandem cert import shop.pfx --password-file pass.txt
tandem cert import fullchain.pem privkey.pem
tandem cert import shop.crt ca.crt --key shop.key --name www.example.com`,
		Args: takes(1, 16),
		RunE: func(cmd *cobra.Command, args []string) error {
			if key != "" {
				args = append(args, key)
			}
			for _, name := range args {
				content, err := readSmall(name)
				if err != nil {
					return err
				}
				req.Files = append(req.Files, control.ImportFile{Name: filepath.Base(name), Content: content})
			}
			if file, _ := cmd.Flags().GetString("password-file"); file != "" {
				b, err := readSmall(file)
				if err != nil {
					return err
				}
				req.Password = strings.TrimRight(string(b), "\r\n")
			}
			done, err := a.client().ImportCertificate(cmd.Context(), req)
			if err != nil {
				return err
			}
			return a.show(done, func(u *ui) { printImported(u, done) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&key, "key", "", "`file` of the private key, if it is not in the others")
	f.StringVar(&req.Password, "password", "", "`password` of the PFX file; other users of this machine may see it")
	f.String("password-file", "", "`file` that holds the password")
	f.StringVar(&req.Name, "name", "", "`host` that the file is called by (default the first name in the certificate)")
	f.BoolVar(&req.Local, "local", false, "into this member's own directory, for it alone")
	f.BoolVar(&req.Force, "force", false, "although it is not valid now, or ends before the one that it replaces")
	f.SortFlags = false
	return cmd
}

const maxCertFile = 1 << 20 // bytes

func readSmall(name string) ([]byte, error) {
	st, err := os.Stat(name)
	if err == nil && st.Size() > maxCertFile {
		return nil, farm.Errorf("read", name, farm.Invalid, "%d bytes are more than %d", st.Size(), maxCertFile)
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, &farm.Error{Op: "read", Path: name, Kind: kindOfFile(err), Err: err}
	}
	return b, nil
}

func printImported(u *ui, done control.Imported) {
	verb := "wrote"
	if done.Replaced {
		verb = "replaced"
	}
	u.line("%s %s", verb, done.Path)
	printCertificate(u, done.Certificate)
	for _, n := range done.Notes {
		u.line("%s", u.paint(warn, "note: "+n))
	}
}

func printCertificate(u *ui, c control.Certificate) {
	u.line("  names   %s", cmp.Or(strings.Join(c.Names, ", "), "-"))
	u.line("  issuer  %s", cmp.Or(c.Issuer, "-"))
	if c.From != nil && c.Until != nil {
		u.line("  valid   %s to %s", c.From.Local().Format("2006-01-02 15:04"), c.Until.Local().Format("2006-01-02 15:04"))
	}
	u.line("  key     %s", cmp.Or(c.Key, "-"))
	u.line("  sha256  %s", c.Fingerprint)
}

func (a *app) certCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [HOST]",
		Short: "say which certificate is served for a host and why, or what is wrong with any",
		Long: `With HOST, says which certificate this member serves for the name, why it is this one, which others are for the name too, and
whether browsers will trust it. Without, says what is wrong with the files of the store and which hosts have none. It ends
with exit code 7 if something is wrong.`,
		Example: "tandem cert check shop.example.com\ntandem cert check",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.checkHost(cmd, args[0])
			}
			all, err := a.client().Certificates(cmd.Context())
			if err != nil {
				return err
			}
			faults := certFaults(all, time.Now())
			if a.json {
				err = a.ui.json(all)
			} else {
				for _, f := range faults {
					a.ui.line("%s", a.ui.paint(bad, f))
				}
			}
			if err == nil && len(faults) > 0 {
				err = farm.Errorf("", "", farm.Conflict, "%s", plural(len(faults), "fault", "faults"))
			}
			if err == nil && !a.json {
				a.ui.say("%s: no fault", plural(len(all.Certificates), "certificate", "certificates"))
			}
			return err
		},
	}
}

// certFaults are what is wrong, one a line.
func certFaults(all control.Certificates, now time.Time) []string {
	var faults []string
	for _, c := range all.Certificates {
		for _, f := range c.Faults {
			faults = append(faults, c.File+": "+f)
		}
		if len(c.Faults) == 0 && len(c.Hosts) > 0 && c.Until != nil && c.Until.Sub(now) <= 7*day {
			faults = append(faults, c.File+": it ends in "+span(c.Until.Sub(now)))
		}
	}
	for _, h := range all.Bare {
		faults = append(faults, h.Host+": there is no certificate ("+h.Site+")")
	}
	return faults
}

func (a *app) checkHost(cmd *cobra.Command, host string) error {
	check, err := a.client().CheckHost(cmd.Context(), host)
	if err != nil {
		return err
	}
	err = a.show(check, func(u *ui) {
		file := "one of the farm's own"
		if check.Certificate != nil {
			file = check.Certificate.File + " (" + check.Certificate.Origin + ")"
		}
		u.line("%s is served with %s", u.paint(loud, check.Host), file)
		u.line("  because %s", check.Why)
		if check.Certificate != nil {
			printCertificate(u, *check.Certificate)
		}
		for _, p := range check.Passed {
			u.line("  not %s", p)
		}
		if check.Site == "" {
			u.line("%s", u.paint(warn, "no site answers to this name with HTTPS"))
		} else {
			u.line("  site    %s", check.Site)
		}
		if check.Trust == "" {
			u.line("%s", u.paint(good, "this system trusts it"))
		}
	})
	if err == nil && check.Trust != "" {
		err = farm.Errorf("", "", farm.Conflict, "browsers will not trust it: %s", check.Trust)
	}
	return err
}
