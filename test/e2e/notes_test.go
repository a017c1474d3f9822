//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const (
	notesDirEnv  = "TANDEM_E2E_NOTES" // the test program is the application, for the folder that it names
	notesAddress = "127.0.0.1:9100"
)

// notesSite is a site with files and an application that writes some.
const notesSite = `http://notes.test {
	root * {folder.www}
	read_your_writes www
	reverse_proxy /notes/* ` + notesAddress + `
	file_server
}
`

const notesFarm = `
[folder.www]
path = "/var/www/notes"

[edge]
http = ":80"
https = ":443"
`

// serveNotes is an application that keeps what is posted in files, as applications do that know nothing of Tandem.
func serveNotes(dir string) int {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /notes/{name}", func(w http.ResponseWriter, r *http.Request) {
		b, err := os.ReadFile(filepath.Join(dir, "notes", filepath.Base(r.PathValue("name"))))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		_, _ = w.Write(b)
	})
	mux.HandleFunc("POST /notes/{name}", func(w http.ResponseWriter, r *http.Request) {
		if err := saveNote(filepath.Join(dir, "notes"), filepath.Base(r.PathValue("name")), r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	err := http.ListenAndServe(notesAddress, mux)
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func saveNote(dir, name string, text io.Reader) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, name+".*.new")
	if err != nil {
		return err
	}
	_, err = io.Copy(tmp, text)
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		return os.Rename(tmp.Name(), filepath.Join(dir, name))
	}
	_ = os.Remove(tmp.Name())
	return err
}

// startNotes runs the application on a server until the test ends.
func (f *farmUnderTest) startNotes(n string) {
	f.t.Helper()
	cmd := f.lan.command(n, os.Args[0])
	cmd.Env = append(os.Environ(), notesDirEnv+"="+f.folder(n))
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	f.await(10*time.Second, "the application listens on "+n, func() error {
		c, err := f.lan.dial(n)(f.t.Context(), "tcp", notesAddress)
		if err == nil {
			err = c.Close()
		}
		return err
	})
}
