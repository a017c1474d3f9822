//go:build !linux

package demo

import (
	"os"
	"syscall"
)

var stopSignal = os.Interrupt

// childAttr is the default where the kernel can't tie a child to its parent.
func childAttr() *syscall.SysProcAttr { return nil }
