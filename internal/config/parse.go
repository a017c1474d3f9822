package config

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Limits of one revision. That of farm.toml is lower, because decoding it takes the square of the number of tables.
const (
	MaxFileBytes = 1 << 20
	MaxFarmBytes = 256 << 10
	MaxFiles     = 10_000
)

func maxBytes(name string) int {
	if name == FarmFile {
		return MaxFarmBytes
	}
	return MaxFileBytes
}

// SitesDir is the directory of site files below the configuration directory.
const SitesDir = "sites"

// SiteSuffix ends the names of site files. DisabledSuffix, after it, ends those of sites that are kept and not served.
const (
	SiteSuffix     = ".caddy"
	DisabledSuffix = ".disabled"
)

var (
	sitePattern     = regexp.MustCompile(`^` + SitesDir + `/[A-Za-z0-9_][A-Za-z0-9._+@-]{0,199}\.caddy$`)
	disabledPattern = regexp.MustCompile(`^(` + SitesDir + `/[A-Za-z0-9_][A-Za-z0-9._+@-]{0,190}\.caddy)\.disabled$`)
)

// IsShared tells whether the file of that name, relative to the configuration directory and with slashes, belongs to a
// revision. All others are the member's own business: editors' backups, member.toml, notes.
func IsShared(name string) bool {
	return name == FarmFile || name == SecretsFile || sitePattern.MatchString(name) || disabledPattern.MatchString(name)
}

// Parse reads the files of a revision, by their names as in IsShared. All faults are returned at once; the Config is nil
// if one of them is more than a warning. Whether the sites compile is not for Parse to say, but placeholders that no
// member could fill are faults.
func Parse(files map[string][]byte) (*Config, Faults) {
	faults := checkFiles(files)
	src, ok := files[FarmFile]
	if !ok {
		return nil, append(faults, Fault{File: FarmFile, Message: "the file is missing", Hint: "it names the members and folders"})
	}
	c, farmFaults := parseFarm(src)
	faults = append(faults, farmFaults...)
	var secretFaults Faults
	c.Secrets, secretFaults = parseSecrets(files[SecretsFile])
	faults = append(faults, secretFaults...)
	faults = append(faults, c.checkFarmSecrets()...)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if sitePattern.MatchString(name) {
			c.Sites = append(c.Sites, Site{File: name, Source: string(files[name])})
		}
	}
	if farmFaults.Err() == nil {
		for _, s := range c.Sites {
			faults = append(faults, c.checkPlaceholders(s)...)
		}
	}
	faults = faults.sorted()
	if faults.Err() != nil {
		return nil, faults
	}
	return c, faults
}

// checkFiles looks at names and sizes.
func checkFiles(files map[string][]byte) Faults {
	var faults Faults
	if len(files) > MaxFiles {
		faults = append(faults, Fault{Message: fmt.Sprintf("there are %d files; the limit is %d", len(files), MaxFiles)})
	}
	folded := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if len(files[name]) > maxBytes(name) {
			faults = append(faults, Fault{File: name, Message: fmt.Sprintf("the file has %d bytes; the limit is %d", len(files[name]), maxBytes(name))})
		}
		if !IsShared(name) {
			faults = append(faults, Fault{
				File:    name,
				Message: "the file is ignored",
				Hint:    "shared are " + FarmFile + " and " + SitesDir + "/NAME.caddy, with NAME of a-z, A-Z, 0-9 and . _ + @ -",
				Warning: true,
			})
			continue
		}
		if other, ok := folded[strings.ToLower(name)]; ok {
			faults = append(faults, Fault{File: name, Message: fmt.Sprintf("the name differs from %s in case only", other), Hint: "not every file system can hold both"})
		}
		folded[strings.ToLower(name)] = name
		if m := disabledPattern.FindStringSubmatch(name); m != nil && files[m[1]] != nil {
			faults = append(faults, Fault{File: name, Message: "the site is disabled, and " + m[1] + " is there too", Hint: "remove one of the two"})
		}
	}
	return faults
}

// parseFarm reads farm.toml. The Config is never nil; with faults it holds what could be understood.
func parseFarm(src []byte) (*Config, Faults) {
	if len(src) > MaxFarmBytes {
		return &Config{}, nil // checkFiles has said it
	}
	tree, syntax := readTOML(FarmFile, src)
	d := newDecoder(FarmFile, syntax)
	var file farmFile
	d.struct_(tree, reflect.ValueOf(&file).Elem(), "")
	if d.torn {
		return &Config{}, d.faults
	}
	return d.check(&file), d.faults
}
