package stack

import "syscall"

// dieWithParent makes a child that the kernel kills when this process dies in whatever way. It is put into a process group of its own, so that
// Ctrl-C on the terminal reaches this process alone, which then stops its child in order.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
