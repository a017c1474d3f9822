// Package iis turns the configuration of an IIS server into that of a farm.
//
// # Owns
//
// Reading applicationHost.config and web.config files with the position of everything in them; how IIS inherits settings
// from the server to a site, an application and a directory; how each of them is said in a site file; and the account of
// what could not be said.
//
// # Does not own
//
// Where files lie and how they are read and written (cmd/tandem); whether a site file compiles (web).
//
// # Invariants
//
// Pure: files go in, files and findings come out. Every element and every attribute of the input is written into a site
// file, has the value that IIS has anyway, or is named by a finding with its file and line: what was used is marked while
// the tree is walked, and what is left is the report. What kept visitors out in IIS and can't be said closes that part of
// the site rather than opening it. The same input gives the same output.
//
// # Concurrency
//
// None: Import is a function without state.
package iis
