package demo

import "syscall"

const stopSignal = syscall.SIGTERM

// childAttr puts a child into a group of its own, so that Ctrl-C reaches only the demo, and has the kernel kill it when
// the demo's thread dies.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
