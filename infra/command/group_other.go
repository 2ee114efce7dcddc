//go:build !unix

package command

import (
	"os/exec"

	"github.com/rebased/rebased"
)

func group(*exec.Cmd) error {
	return rebased.E(rebased.Invalid, "commands are run by workers on Unix only: there is no process group to end here")
}

func kill(*exec.Cmd) {}

func unusable(error) bool { return false }
