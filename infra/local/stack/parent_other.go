//go:build !linux

package stack

import "syscall"

// dieWithParent puts a child into a process group of its own, so that Ctrl-C on the terminal reaches this process alone, which then stops its
// child in order. Outside Linux the kernel does not end a child with its parent.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
