//go:build unix

package command

import (
	"errors"
	"os/exec"
	"syscall"
)

// group gives a program a process group of its own, which ends as one.
func group(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	return nil
}

// kill ends the group of a program that has ended or was told to.
func kill(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // one that has nobody left is gone
}

// unusable tells a file that is no program.
func unusable(err error) bool { return errors.Is(err, syscall.ENOEXEC) }
