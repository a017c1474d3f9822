package demo

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"tandem/internal/farm"
)

// stopTime is how long a process may take to stop in order before it is killed.
const stopTime = 10 * time.Second

// process is a child of the demo.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start runs this program with other arguments; what it says goes to a log file.
func start(exe, logFile string, args ...string) (*process, error) {
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(exe, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = childAttr()
	if err := cmd.Start(); err != nil {
		return nil, &farm.Error{Op: "start", Path: exe, Kind: farm.Other, Err: err}
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(p.done)
	}()
	return p, nil
}

// alive tells whether the process has not ended.
func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop ends the process in order, or by force if that takes too long.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(stopSignal)
	select {
	case <-p.done:
	case <-time.After(stopTime):
		p.kill()
	}
}

// kill ends the process at once.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
}

// run runs this program to its end and returns what it printed.
func run(ctx context.Context, exe string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.SysProcAttr = childAttr()
	out, err := cmd.Output()
	if err == nil {
		return string(out), nil
	}
	e := farm.Errorf("run", filepath.Base(exe)+" "+args[0], farm.Other, "%w", err)
	if ee, ok := err.(*exec.ExitError); ok {
		e = farm.Errorf("run", filepath.Base(exe)+" "+args[0], farm.Other, "%w: %s", err, ee.Stderr)
	}
	return "", e
}
