package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tandem/internal/farm"
)

func (a *app) runCommand() *cobra.Command {
	var level slog.Level
	cmd := &cobra.Command{
		Use:   "run",
		Short: "serve: the daemon",
		Long: `Replicates the folders, serves the sites and takes visitors, as the configuration says, until SIGTERM or SIGINT;
then stops in order. A second signal stops at once. The log goes to stderr.`,
		Example: "tandem run\ntandem run --log-level debug",
		Args:    takes(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), level) },
	}
	cmd.Flags().TextVar(&level, "log-level", slog.LevelInfo, "least `level` that is logged: debug, info, warn or error")
	return cmd
}

// gcPercent is how much garbage may be made before it is collected, in percent of what lives: what lives is little, and
// contents in transit are most of the garbage. The environment variable GOGC has precedence.
const gcPercent = 200

func (a *app) serve(ctx context.Context, level slog.Level) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	relaxTimers("/proc", timerSlackNanos)
	log := slog.New(slog.NewTextHandler(a.ui.err, &slog.HandlerOptions{Level: level}))
	notify := func(state string) {
		if err := notifyService(os.Getenv("NOTIFY_SOCKET"), state); err != nil {
			log.Warn("the service manager can't be told", "state", state, "err", err)
		}
	}
	stopping := context.AfterFunc(ctx, func() { notify("STOPPING=1") })
	defer stopping()
	return a.parts.Run(ctx, runOptions{
		Paths: a.paths(), Version: version().Version, Log: log, Ready: func() { notify("READY=1") },
	})
}

// timerSlackNanos is by how much the kernel may delay a thread's timers; 50,000 unless a process says otherwise. It is also set
// by tandem.service, for a daemon that may not change it.
//
// No timer of ours needs to be as exact. But the Go runtime looks every 20 µs, while anything runs, whether a system call
// takes long: that was half of all context switches of a member that installs files, and each costs tens of microseconds on a
// virtual machine. As a goroutine that waits for the disk keeps its processor until the next look, it is not much longer either.
const timerSlackNanos = 500_000

// relaxTimers sets the slack of all threads, which those that they start inherit. Without the right to, or on another system than
// Linux, all stays as it was.
func relaxTimers(proc string, nanos int) {
	threads, err := os.ReadDir(proc + "/self/task")
	if err != nil {
		return
	}
	for _, t := range threads {
		_ = os.WriteFile(proc+"/"+t.Name()+"/timerslack_ns", []byte(strconv.Itoa(nanos)), 0)
	}
}

// notifyService tells systemd, or whoever set NOTIFY_SOCKET, how the daemon is: sd_notify(3).
func notifyService(socket, state string) error {
	if socket == "" {
		return nil
	}
	if socket[0] == '@' {
		socket = "\x00" + socket[1:] // Linux's abstract names
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	_, err = c.Write([]byte(state))
	return errors.Join(err, c.Close())
}

const unitName = "tandem"

// unitInstalled tells whether systemd runs this system and knows tandem's unit, and we may command it.
func unitInstalled() bool {
	if os.Geteuid() != 0 {
		return false
	}
	// sd_booted(3)
	if _, err := os.Lstat("/run/systemd/system"); err != nil {
		return false
	}
	for _, dir := range []string{"/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"} {
		if _, err := os.Stat(dir + "/" + unitName + ".service"); err == nil {
			return true
		}
	}
	return false
}

// startUnit has systemd serve now and after every boot. It returns when the member serves.
func startUnit(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "systemctl", "enable", "--now", unitName).CombinedOutput()
	if err != nil {
		return &farm.Error{Op: "start the service", Kind: farm.Unavailable, Next: "see: journalctl -u " + unitName,
			Err: errors.New(strings.TrimSpace(err.Error() + ": " + string(out)))}
	}
	return nil
}
