package main

import (
	"fmt"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// newSite is what site add makes a file of.
type newSite struct {
	name   string
	hosts  []string
	folder string
	php    string // where php-fpm listens; empty: no PHP
	proxy  string // of the application; empty: none
}

const defaultPHP = "unix//run/php/php-fpm.sock"

func (a *app) siteAdd() *cobra.Command {
	var s newSite
	var static, dry bool
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "add a site, with a file to begin with",
		Long: `Writes sites/NAME.caddy for static files, for PHP, or for an application that listens on an address of each node, and makes it
live on all members. Edit the file afterwards as you like: it is a Caddyfile. Files come from a folder of the farm, which need
not be named if there is only one. With --php and --proxy visitors read their own writes on every node.`,
		Example: `tandem site add shop --host shop.example.com --php
tandem site add docs --host docs.example.com --host www.docs.example.com --static --folder docs
tandem site add api --host api.example.com --proxy 127.0.0.1:3000`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s.name = args[0]
			kinds := 0
			for _, is := range []bool{static, s.php != "", s.proxy != ""} {
				if is {
					kinds++
				}
			}
			if kinds != 1 || len(s.hosts) == 0 {
				return misuse(cmd, fmt.Errorf("say one of --static, --php and --proxy, and with --host which names it answers to"))
			}
			return a.addSite(cmd, s, dry)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&s.hosts, "host", nil, "`name` that the site answers to; may be given several times")
	f.BoolVar(&static, "static", false, "it is files")
	f.StringVar(&s.php, "php", "", "it is PHP, and php-fpm listens on this `address` (default "+defaultPHP+")")
	f.Lookup("php").NoOptDefVal = defaultPHP
	f.StringVar(&s.proxy, "proxy", "", "it is an application that listens on this `host:port` of each node")
	f.StringVar(&s.folder, "folder", "", "`folder` that its files are in")
	f.BoolVar(&dry, "dry-run", false, "print the file, and change nothing")
	return cmd
}

func (a *app) addSite(cmd *cobra.Command, s newSite, dry bool) error {
	head, views, err := a.sites(cmd.Context())
	if err != nil {
		return err
	}
	file := config.SitesDir + "/" + s.name + config.SiteSuffix
	if !config.IsShared(file) {
		return farm.Errorf("add site", s.name, farm.Invalid, "a site's name is made of a-z, A-Z, 0-9 and . _ + @ -")
	}
	for _, v := range views {
		if strings.EqualFold(v.Name, s.name) {
			return farm.Errorf("add site", s.name, farm.Exists, "the farm has %s already", v.File)
		}
	}
	if s.folder, err = siteFolder(head.Files, s); err != nil {
		return err
	}
	text, err := s.text()
	if err != nil {
		return misuse(cmd, err)
	}
	if dry {
		return a.show(siteView{Name: s.name, File: file, Hosts: s.hosts, Bindings: []string{}, Faults: []string{}, State: "new", Text: text},
			func(u *ui) { fmt.Fprint(u.out, text) })
	}
	head.Files[file] = []byte(text)
	return a.applySites(cmd.Context(), head, "site "+s.name+": add", fmt.Sprintf("site %s answers to %s; edit %s as you like", s.name, strings.Join(s.hosts, ", "), file))
}

// siteFolder is the folder of the site's files: the one that was named, or the only one. An application may have none.
func siteFolder(files map[string][]byte, s newSite) (string, error) {
	c, faults := config.Parse(files)
	if c == nil {
		return "", faults
	}
	var names []string
	for _, f := range c.Folders {
		names = append(names, string(f.Name))
		if string(f.Name) == s.folder {
			return s.folder, nil
		}
	}
	switch {
	case s.folder != "":
		return "", &farm.Error{Op: "add site", Path: s.name, Kind: farm.NotFound, Err: fmt.Errorf("the farm has no folder %s", s.folder),
			Next: "add it to " + config.FarmFile + ", or take one of: " + strings.Join(names, ", ")}
	case len(names) == 1:
		return names[0], nil
	case s.proxy != "":
		return "", nil
	}
	return "", &farm.Error{Op: "add site", Path: s.name, Kind: farm.Invalid, Err: fmt.Errorf("the farm has %d folders", len(names)),
		Next: "say with --folder which one its files are in: " + strings.Join(names, ", ")}
}

// text is the site file.
func (s newSite) text() (string, error) {
	for _, h := range s.hosts {
		if h == "" || strings.ContainsAny(h, " \t\n{},\"") {
			return "", fmt.Errorf("%q is not a host name", h)
		}
	}
	var lines []string
	if s.folder != "" {
		lines = append(lines, "root * {folder."+s.folder+"}")
	}
	if s.folder != "" && (s.php != "" || s.proxy != "") {
		lines = append(lines, "read_your_writes")
	}
	lines = append(lines, "encode zstd gzip")
	switch {
	case s.php != "":
		if strings.ContainsAny(s.php, " \t\n{}\"") {
			return "", fmt.Errorf("%q is not an address: write unix//PATH or host:port", s.php)
		}
		lines = append(lines, "php_fastcgi "+s.php, "file_server")
	case s.proxy != "":
		if _, port, err := net.SplitHostPort(s.proxy); err != nil || port == "" || strings.ContainsAny(s.proxy, " \t\n{}\"") {
			return "", fmt.Errorf("%q is not an address: write host:port", s.proxy)
		}
		lines = append(lines, "reverse_proxy "+s.proxy)
	default:
		lines = append(lines, "file_server")
	}
	return strings.Join(s.hosts, ", ") + " {\n\t" + strings.Join(lines, "\n\t") + "\n}\n", nil
}
