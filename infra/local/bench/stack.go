package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/probe"
	"github.com/rebased/rebased/infra/local/teacher"
)

// programs is the folder of the built programs.
type programs string

func findPrograms() (programs, error) {
	dir := os.Getenv("REBASED_BIN")
	if dir == "" {
		return "", errors.New("REBASED_BIN is not set: it names the folder of the built programs (`make bench` sets it)")
	}
	dir, err := filepath.Abs(dir)
	return programs(dir), err
}

func (p programs) path(name string) string { return filepath.Join(string(p), name) }

// stack is the servers in one process and the worker in another.
type stack struct {
	programs programs
	dir      string
	folder   *folder.Folder
	flags    []string // more of them for the servers
	servers  *process
	worker   *process
}

// patience is how long a part may take to answer.
const patience = 2 * time.Minute

// startServers starts the servers and tells how long it took until they were ready.
func (s *stack) startServers(ctx context.Context) (took time.Duration, err error) {
	data, began := filepath.Join(s.dir, "data"), time.Now()
	s.servers, err = start(ctx, filepath.Join(s.dir, "servers.log"), os.Environ(), s.programs.path("rebased-local"),
		append([]string{"up", "--no-worker", "--allow-faults", "--port-base=0", "--dir", data}, s.flags...)...)
	if err != nil {
		return 0, err
	}
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	took = time.Since(began)
	s.folder, err = folder.Open(data, folder.Remembered)
	return took, err
}

// ready waits for the servers.
func (s *stack) ready(ctx context.Context) error {
	select {
	case <-s.servers.ready:
		return nil
	case <-s.servers.ended:
		return errors.New("the servers ended at their start")
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return fmt.Errorf("the servers were not ready within %s", patience)
	}
}

// startWorker starts the worker and tells how long it took until it polled.
func (s *stack) startWorker(ctx context.Context) (took time.Duration, err error) {
	began := time.Now()
	if s.worker, err = start(ctx, filepath.Join(s.dir, "worker.log"), s.env(), s.programs.path("rebased-worker")); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = probe.Until(ctx, func(ctx context.Context) error { return probe.Worker(ctx, s.folder, began) })
	return time.Since(began), err
}

func (s *stack) stop() {
	s.worker.kill()
	s.servers.kill()
}

func (s *stack) env() []string { return s.folder.Environ(os.Environ()) }

// command runs a command of rebased and decodes the JSON object that it prints.
func (s *stack) command(ctx context.Context, result any, args ...string) error {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, s.programs.path("rebased"), append(args, "--json")...)
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env(), &out, &errs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("rebased %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return json.Unmarshal(out.Bytes(), result)
}

// setLatency makes the teacher take so long for every answer from now on, and begins its count anew.
func (s *stack) setLatency(ctx context.Context, latency time.Duration) error {
	return s.setTeacher(ctx, teacher.Faults{LatencyMS: int(latency.Milliseconds())})
}

func (s *stack) teacherStats(ctx context.Context) (stats teacher.Stats, err error) {
	err = s.askTeacher(ctx, http.MethodGet, "/stats", nil, &stats)
	return stats, err
}

func (s *stack) askTeacher(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+s.folder.Ports.Address(folder.Teacher)+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+s.folder.Credentials.TeacherAPIKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("teacher: %s %s: %s: %s", method, path, response.Status, answer), err)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}
