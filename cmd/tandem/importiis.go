package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tandem/internal/config"
	"tandem/internal/farm"
	"tandem/internal/iis"
)

func (a *app) importCommand() *cobra.Command {
	return a.group("import", "take over what another web server is configured to do",
		"tandem import iis applicationHost.config --dry-run", a.importIISCommand())
}

// importFlags are what tandem import iis is told.
type importFlags struct {
	site, out  string
	maps       []string
	webConfigs []string
	dry        bool
}

func (a *app) importIISCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "iis FILE",
		Short: "write site files for the sites of an IIS server",
		Long: `Reads FILE, which is an applicationHost.config or a web.config alone, and the web.config files below the sites' roots as far
as they can be reached from here, and writes one site file per site and a folder per root into a new directory. If the
configuration directory has a farm.toml, the new directory begins as a copy of it, so that it can be checked and applied as a
whole. What can't be said in a site file is printed, a line "file:line: what: why" each, and kept in report.txt.`,
		Example: `tandem import iis applicationHost.config --dry-run
tandem import iis applicationHost.config --map 'C:\inetpub=/var/www' --out new
tandem config check new && tandem config apply new`,
		Args: takes(1, 1),
		RunE: func(_ *cobra.Command, args []string) error { return a.importIIS(args[0], f) },
	}
	cmd.Flags().StringVar(&f.site, "site", "", "only the site of this `name`")
	cmd.Flags().StringVar(&f.out, "out", "imported", "new `directory` for what is written")
	cmd.Flags().StringArrayVar(&f.maps, "map", nil, "where a directory of the server lies on the members, as `FROM=TO`; repeatable")
	cmd.Flags().StringArrayVar(&f.webConfigs, "webconfig", nil, "web.config of a site's root, as `[SITE=]FILE`; repeatable")
	cmd.Flags().BoolVar(&f.dry, "dry-run", false, "write nothing, and say what would be written")
	cmd.Flags().SortFlags = false
	return cmd
}

// importedIIS is the JSON of tandem import iis.
type importedIIS struct {
	Out     string            `json:"out,omitempty"` // empty: nothing was written
	Folders map[string]string `json:"folders"`       // to their paths
	*iis.Result
}

func (a *app) importIIS(file string, f importFlags) error {
	files, err := a.presentFiles()
	if err != nil {
		return err
	}
	opts, err := importOptions(file, f, files)
	if err != nil {
		return err
	}
	res, err := iis.Import(opts)
	if err != nil {
		return &farm.Error{Op: "import", Kind: farm.Invalid, Err: err}
	}
	if err := addImported(files, res); err != nil {
		return err
	}
	done := importedIIS{Folders: map[string]string{}, Result: res}
	for _, folder := range res.Folders {
		done.Folders[string(folder.Name)] = folder.Path
	}
	if !f.dry {
		done.Out = f.out
		if err := writeNew(f.out, files, reportText(res)); err != nil {
			return err
		}
	}
	return a.show(done, func(u *ui) { printImportedIIS(u, done) })
}

// presentFiles is the configuration that the farm has; none if there is no farm yet.
func (a *app) presentFiles() (map[string][]byte, error) {
	files, err := readFiles(a.where.configDir())
	if farm.KindOf(err) == farm.NotFound {
		return map[string][]byte{}, nil
	}
	return files, err
}

func importOptions(file string, f importFlags, files map[string][]byte) (iis.Options, error) {
	data, err := readLimited(file)
	if err != nil {
		return iis.Options{}, err
	}
	opts := iis.Options{
		File: file, Data: data, Site: f.site,
		Beside: func(name string) ([]byte, error) { return readLocal(filepath.Dir(file), name) },
	}
	for name := range files {
		opts.Taken = append(opts.Taken, name)
	}
	if c, _ := config.Parse(map[string][]byte{config.FarmFile: files[config.FarmFile]}); c != nil {
		opts.Have = c.Folders
	}
	for _, m := range f.maps {
		from, to, ok := strings.Cut(m, "=")
		if !ok || from == "" || to == "" {
			return opts, farm.Errorf("", "", farm.Invalid, "--map %q is not FROM=TO, as in C:\\inetpub=/var/www", m)
		}
		if !path.IsAbs(filepath.ToSlash(to)) && !filepath.IsAbs(to) {
			return opts, farm.Errorf("", "", farm.Invalid, "--map %q: %s is not an absolute path", m, to)
		}
		opts.Map = append(opts.Map, iis.Mapping{From: from, To: to})
	}
	opts.Disk = newServerDisk(opts.Map)
	for _, w := range f.webConfigs {
		site, name, ok := strings.Cut(w, "=")
		if !ok {
			site, name = f.site, w
		}
		data, err := readLimited(name)
		if err != nil {
			return opts, err
		}
		opts.Extra = append(opts.Extra, iis.Extra{Site: site, Name: name, Data: data})
	}
	return opts, beside(file, &opts)
}

// beside takes a web.config in the directory of the file along, for the case that there is one site only.
func beside(file string, opts *iis.Options) error {
	name := filepath.Join(filepath.Dir(file), "web.config")
	if _, err := os.Stat(name); err != nil || len(opts.Extra) > 0 || strings.EqualFold(filepath.Base(file), "web.config") {
		return nil
	}
	data, err := readLimited(name)
	opts.Extra = []iis.Extra{{Name: name, Data: data, Found: true}}
	return err
}

// addImported puts what was made into the files of a configuration.
func addImported(files map[string][]byte, res *iis.Result) error {
	for _, folder := range res.Folders {
		out, err := config.AddFolder(files[config.FarmFile], folder)
		if err != nil {
			return err
		}
		files[config.FarmFile] = out
	}
	for _, s := range res.Sites {
		files[s.File] = []byte(s.Source)
	}
	return nil
}

// writeNew writes a directory that is not there yet, or is empty.
func writeNew(dir string, files map[string][]byte, report string) error {
	fail := func(err error) error {
		return &farm.Error{Op: "write", Path: dir, Kind: kindOfFile(err), Err: err}
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return &farm.Error{Op: "write", Path: dir, Kind: farm.Exists, Next: "name another one with --out", Err: errors.New("the directory is not empty")}
	}
	if err := os.MkdirAll(filepath.Join(dir, config.SitesDir), 0o755); err != nil {
		return fail(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), files[name], 0o644); err != nil {
			return fail(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "report.txt"), []byte(report), 0o644); err != nil {
		return fail(err)
	}
	return nil
}

var findingHeads = []struct{ kind, head string }{
	{iis.Lost, "not in the site files"},
	{iis.Check, "in the site files, to be looked at"},
	{iis.Note, "nothing to be done in a site file"},
}

// reportText is what an import has to say, the worst first.
func reportText(res *iis.Result) string {
	var b bytes.Buffer
	for _, h := range findingHeads {
		var lines []string
		for _, f := range res.Findings {
			if f.Kind == h.kind {
				lines = append(lines, f.String())
			}
		}
		if len(lines) > 0 {
			fmt.Fprintf(&b, "%s (%d):\n  %s\n\n", h.head, len(lines), strings.Join(lines, "\n  "))
		}
	}
	return b.String()
}

func printImportedIIS(u *ui, done importedIIS) {
	if report := reportText(done.Result); report != "" {
		u.line("%s", strings.TrimRight(report, "\n"))
		u.line("")
	}
	t := table{head: []string{"SITE", "FILE", "NOT SERVED"}}
	for _, s := range done.Sites {
		t.add(text(s.Name), text(s.File), cell{s.Disabled, warn})
	}
	t.print(u, "")
	for _, name := range sortedKeys(done.Folders) {
		u.line("folder %s: %s", name, done.Folders[name])
	}
	if done.Out == "" {
		u.say("nothing was written")
		return
	}
	u.say("written to %s; next: tandem config check %s && tandem config apply %s", done.Out, done.Out, done.Out)
}
