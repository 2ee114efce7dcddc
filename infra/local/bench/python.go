package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// python runs the scripts that figures are measured beside.
type python struct {
	path    string // of the interpreter
	scripts string // folder of the scripts
}

// findPython takes the interpreter of the virtual environment .venv, made where there is none, and installs what the scripts need. An error says
// why there is no comparison.
func findPython(ctx context.Context) (*python, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/rebased/rebased").Output()
	if err != nil {
		return nil, fmt.Errorf("find the project's folder: %w", err)
	}
	dir := string(root[:max(0, len(root)-1)])
	p := &python{path: filepath.Join(dir, ".venv", "bin", "python"), scripts: filepath.Join(dir, "infra", "local", "bench", "retrieval")}
	if p.run(ctx, "-c", "import faiss, numpy, pyarrow") == nil {
		return p, nil
	}
	if p.run(ctx, "-m", "pip", "--version") != nil {
		if err := run(exec.CommandContext(ctx, "python3", "-m", "venv", "--clear", filepath.Join(dir, ".venv"))); err != nil {
			return nil, err
		}
	}
	requirements := filepath.Join(p.scripts, "requirements.txt")
	return p, p.run(ctx, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", requirements)
}

func (p *python) run(ctx context.Context, args ...string) error {
	return run(exec.CommandContext(ctx, p.path, args...))
}

func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, out)
	}
	return nil
}

// conversation is a script that answers lines with JSON objects.
type conversation struct {
	cmd   *exec.Cmd
	ask   io.WriteCloser
	lines *bufio.Reader
}

// start runs a script until close. It says {} when it is ready.
func (p *python) start(ctx context.Context, script string, args ...string) (*conversation, error) {
	c := &conversation{cmd: exec.CommandContext(ctx, p.path, append([]string{filepath.Join(p.scripts, script)}, args...)...)}
	c.cmd.Stderr = os.Stderr
	var err error
	if c.ask, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.lines = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	return c, c.answer(&struct{}{})
}

// say asks for something and decodes the answer.
func (c *conversation) say(line string, answer any) error {
	if _, err := fmt.Fprintln(c.ask, line); err != nil {
		return err
	}
	return c.answer(answer)
}

func (c *conversation) answer(answer any) error {
	line, err := c.lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("%s: no answer: %w", c.cmd, err)
	}
	return json.Unmarshal(line, answer)
}

func (c *conversation) close() error {
	if c == nil {
		return nil
	}
	return errors.Join(c.ask.Close(), c.cmd.Wait())
}
