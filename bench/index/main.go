// Command index measures stores for Tandem's index: the workload of docs/adr/0001-index-store.md.
//
//	cd bench/index && go run . -dir /var/tmp/index-bench            # all stores, about ten minutes
//	go run . -dir DIR -stores pebble-os,bbolt-os -rows 100000
//
// Every figure comes from a process of its own, so that memory and CPU belong to one store alone.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	dir := flag.String("dir", filepath.Join(os.TempDir(), "index-bench"), "scratch directory, on the disk to be measured")
	only := flag.String("stores", "", "comma-separated stores; all when empty")
	rows := flag.Int("rows", 1_000_000, "rows of the large store")
	kills := flag.Int("kills", 10, "rounds of kill -9")
	work := flag.String("work", "", "internal: the part of the workload that this process runs")
	flag.Parse()
	if *work != "" {
		if err := runPart(*work, *only, *dir, *rows); err != nil {
			fmt.Fprintln(os.Stderr, *only, *work+":", err)
			os.Exit(1)
		}
		return
	}
	names := strings.Split(*only, ",")
	if *only == "" {
		names = names[:0]
		for _, v := range variants {
			names = append(names, v.name)
		}
	}
	table := &figures{}
	for _, name := range names {
		if err := measure(table, name, filepath.Join(*dir, name), *rows, *kills); err != nil {
			fmt.Fprintln(os.Stderr, name+":", err)
		}
	}
	table.print(names)
}

func measure(t *figures, name, dir string, rows, kills int) error {
	for _, part := range []string{"small", "load", "open"} {
		if part != "open" {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
		out, err := child(name, part, dir, rows).Output()
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		var got []figure
		if err := json.Unmarshal(out, &got); err != nil {
			return err
		}
		t.add(name, got...)
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	// A store that ends the process has answered too.
	full := []figure{{"disk full", "the process dies"}}
	c := child(name, "full", dir, 0)
	c.Stderr = nil // its last words are long
	if out, err := c.Output(); err == nil {
		if err := json.Unmarshal(out, &full); err != nil {
			return err
		}
	}
	t.add(name, full...)
	lost, err := killRounds(name, dir, kills)
	if err != nil {
		return err
	}
	t.add(name, figure{"kill -9: commits lost", lost})
	return os.RemoveAll(dir)
}

func child(name, part, dir string, rows int) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	c := exec.Command(self, "-work", part, "-stores", name, "-dir", dir, "-rows", fmt.Sprint(rows))
	c.Stderr = os.Stderr
	return c
}

// killRounds kills a committing child again and again, and counts the commits that it had reported and that are gone.
func killRounds(name, dir string, rounds int) (string, error) {
	lost, reported, corrupt := 0, 0, 0
	for range rounds {
		if err := os.RemoveAll(dir); err != nil {
			return "", err
		}
		n, err := killOnce(name, dir)
		if err != nil {
			return "", err
		}
		reported += n
		s, err := open(name, dir)
		if err != nil {
			corrupt++
			continue
		}
		for i := range n {
			if _, err := s.get(key(i)); err != nil {
				lost++
			}
		}
		if err := s.close(); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d of %d (%d stores unreadable)", lost, reported, corrupt), nil
}

func killOnce(name, dir string) (reported int, err error) {
	const commits = 500
	c := child(name, "endless", dir, 0)
	out, err := c.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := c.Start(); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(out)
	for reported < commits && lines.Scan() {
		reported++
	}
	if err := c.Process.Kill(); err != nil {
		return 0, err
	}
	for lines.Scan() { // what it reported before it died
		reported++
	}
	_ = c.Wait() // "killed" is what we wanted
	return reported, nil
}
