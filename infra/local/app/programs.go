package app

import (
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/stack"
)

// find gives the path of another program of the project: the one next to this one, or else on the PATH.
func find(name string) (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), name)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", rebased.E(rebased.Invalid, "%s is neither next to rebased-local nor on the PATH: run `make build`", name)
	}
	return filepath.Abs(path)
}

func (p *program) worker() (*stack.Worker, error) {
	path, err := find("rebased-worker")
	if err != nil {
		return nil, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	return &stack.Worker{Path: path, Dir: dir, Environ: p.env}, nil
}
