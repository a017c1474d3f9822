package index

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const killEnv = "TANDEM_INDEX_KILL_DIR" // set in the child: where it keeps its index

func TestMain(m *testing.M) {
	if dir := os.Getenv(killEnv); dir != "" {
		fmt.Fprintln(os.Stderr, tellStory(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// tellStory goes on with the story of the index in dir and prints the number of each batch once it is committed.
func tellStory(dir string) error {
	x, err := Open(dir, "shop")
	if err != nil {
		return err
	}
	x.logCheckpoint = 64 << 10
	m, err := x.Meta()
	if err != nil {
		return err
	}
	for n := int(m.Seq) + 1; ; n++ {
		if err := x.Commit(storyBatch(n)); err != nil {
			return err
		}
		fmt.Println(n)
		if n%10 == 0 {
			if err := x.Sync(); err != nil {
				return err
			}
		}
	}
}

// TestKill9 kills a process that commits, again and again: whatever it had reported is there, and nothing half.
func TestKill9(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, last := quickDir(t), 0
	for round := range 8 {
		c := exec.Command(self)
		c.Env = append(os.Environ(), killEnv+"="+dir)
		var said strings.Builder
		c.Stderr = &said
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for more := 25 + 37*round; more > 0 && lines.Scan(); more-- {
			fmt.Sscan(lines.Text(), &last)
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it still reported
			fmt.Sscan(lines.Text(), &last)
		}
		_ = c.Wait() // killed, as wanted
		if said.Len() > 0 {
			t.Fatalf("it died on its own: %s", &said)
		}
		x := openTest(t, dir)
		last = checkStory(t, x, last)
		closeTest(t, x)
	}
	t.Logf("%d batches in 8 lives", last)
}
