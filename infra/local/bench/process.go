package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// process is a program that runs while others are measured, and is measured itself.
type process struct {
	cmd   *exec.Cmd
	ready chan struct{} // closed when it has written the line "ready"
	ended chan struct{}
}

// start runs a program until ctx ends. What it has to say goes to a log.
func start(ctx context.Context, log string, env []string, path string, args ...string) (*process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, path, args...), ready: make(chan struct{}), ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Stderr = env, file
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		defer file.Close()
		lines := bufio.NewScanner(out)
		for lines.Scan() && lines.Text() != "ready" {
			continue
		}
		if lines.Text() == "ready" {
			close(p.ready)
		}
		_, _ = io.Copy(io.Discard, out)
		_ = p.cmd.Wait() // how it ended stands in its log
	}()
	return p, nil
}

// kill ends the process at once: its data folder is thrown away in any case. A process that was never started is no error.
func (p *process) kill() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// spent is what a process has used.
type spent struct {
	CPU  float64 // seconds, user and system
	Now  float64 // bytes in memory
	Peak float64 // bytes in memory at most
}

// spent reads what the process has used so far. Where there is no /proc nothing is known, and the table shows a dash.
func (p *process) spent() spent {
	var s spent
	stat, err := os.ReadFile(p.proc("stat"))
	if err != nil {
		return s
	}
	const utime, stime, ticks = 11, 12, 100 // fields after the name, in 1/100 s (proc(5))
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	s.CPU = (number(fields[utime]) + number(fields[stime])) / ticks
	status, err := os.ReadFile(p.proc("status"))
	if err != nil {
		return s
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kilobytes := number(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch name {
		case "VmRSS":
			s.Now = 1024 * kilobytes
		case "VmHWM":
			s.Peak = 1024 * kilobytes
		}
	}
	return s
}

// forgetPeak lets the peak of memory begin anew.
func (p *process) forgetPeak() {
	_ = os.WriteFile(p.proc("clear_refs"), []byte("5"), 0o200) // where it cannot, the peak is that since the start
}

func (p *process) proc(name string) string {
	return fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name)
}

func number(text string) float64 {
	n, _ := strconv.ParseFloat(text, 64)
	return n
}
