package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/probe"
	"github.com/rebased/rebased/worker/app"
	"github.com/rebased/rebased/workflows"
)

const (
	nightlyRows     = 100_000 // of the generated corpus
	nightlyDatasets = 200
	nightlyShare    = 100 // one row of so many changes overnight
	nightlyMost     = 3   // per cent of a full index that a nightly one may cost
)

// servers are the processes of a stack, one a server, so that the CPU time of each is known.
type servers struct {
	*stack
	parts  map[string]*process
	ended  chan struct{} // the worker has
	cancel context.CancelFunc
}

// startApart starts each server in a process of its own, and the worker in this one, where it can be profiled.
func (m *measurement) startApart(ctx context.Context) (s *servers, err error) {
	s = &servers{stack: &stack{programs: m.programs, dir: filepath.Join(m.dir, "nightly")}, parts: map[string]*process{}, ended: make(chan struct{})}
	data := filepath.Join(s.dir, "data")
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return s, err
	}
	if s.folder, err = folder.Open(data, 0); err != nil {
		return s, err
	}
	for _, part := range []string{"temporal", "s3", "qdrant"} {
		s.servers, err = start(ctx, filepath.Join(s.dir, part+".log"), os.Environ(), s.programs.path("rebased-local"), part, "--dir", data, "--port-base", strconv.Itoa(s.folder.Ports.Base))
		if err != nil {
			return s, err
		}
		s.parts[part] = s.servers
		if err := s.ready(ctx); err != nil {
			return s, fmt.Errorf("%s: %w", part, err)
		}
	}
	for _, v := range s.folder.Variables() {
		if err := os.Setenv(v.Name, v.Value); err != nil { // the adapter reads the AWS SDK's settings
			return s, err
		}
	}
	log, err := os.Create(filepath.Join(s.dir, "worker.log"))
	if err != nil {
		return s, err
	}
	began := time.Now()
	var working context.Context
	working, s.cancel = context.WithCancel(ctx)
	go func() {
		defer close(s.ended)
		defer log.Close()
		app.Main(working, nil, s.env(), io.Discard, log)
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s, probe.Until(ctx, func(ctx context.Context) error { return probe.Worker(ctx, s.folder, began) })
}

// stop ends the worker and the servers.
func (s *servers) stop() {
	if s.cancel != nil {
		s.cancel()
		<-s.ended
	}
	for _, p := range s.parts {
		p.kill()
	}
}

// night is what the index of a corpus cost.
type night struct {
	workflows.IndexResult
	worker  float64            // CPU seconds
	shares  map[string]float64 // of the worker's CPU, by what it was for
	servers map[string]float64 // CPU seconds by server
}

// cpu is that of all.
func (n night) cpu() float64 {
	sum := n.worker
	for _, s := range n.servers {
		sum += s
	}
	return sum
}

// update imports a folder and indexes what has changed; the cost is that of the index alone.
func (s *servers) update(ctx context.Context, corpus, dir string) (n night, err error) {
	if err := s.command(ctx, new(workflows.ImportResult), "corpus", "import", corpus, dir, "--max-rows-per-config", "0"); err != nil {
		return n, err
	}
	before, own := map[string]float64{}, cpuOfSelf()
	for part, p := range s.parts {
		before[part] = p.spent().CPU
	}
	n.shares, err = profiled(func() error { return s.command(ctx, &n.IndexResult, "index", corpus) })
	n.worker, n.servers = cpuOfSelf()-own, map[string]float64{}
	for part, p := range s.parts {
		n.servers[part] = p.spent().CPU - before[part]
	}
	return n, err
}

// nightly measures what the index of a corpus costs and for what, and what it costs after a night in which a hundredth has changed.
func (m *measurement) nightly(ctx context.Context) error {
	s, err := m.startApart(ctx)
	defer s.stop()
	if err != nil {
		return err
	}
	generated := filepath.Join(m.dir, "generated")
	if err := generate(generated, nightlyDatasets, nightlyRows, ""); err != nil {
		return err
	}
	if m.in.name == "hub" { // the demo's corpus is too small for a hundredth
		if err := m.nightlyOf(ctx, s, m.in.name, m.in.corpus); err != nil {
			return err
		}
	}
	return m.nightlyOf(ctx, s, "generated", generated)
}

func (m *measurement) nightlyOf(ctx context.Context, s *servers, name, dir string) error {
	full, err := s.update(ctx, name, dir)
	if err != nil {
		return err
	}
	m.addIndex(name, full)
	changed := filepath.Join(m.dir, "changed-"+name)
	for _, how := range []struct {
		name  string
		every bool // row, else dataset
	}{{"1% of the datasets", false}, {"1% of the rows, scattered", true}} {
		rows, err := change(dir, changed, how.every)
		if err != nil {
			return err
		}
		n, err := s.update(ctx, name, changed)
		if err != nil {
			return err
		}
		m.add(figure{
			name: fmt.Sprintf("  CPU of all after %s changed (%s rows, %s cells)", how.name, thousands(rows), thousands(n.Cells)), unit: inShare,
			value: 100 * n.cpu() / full.cpu(), target: nightlyMost, worker: spent{CPU: n.worker}, servers: spent{CPU: n.cpu() - n.worker},
		})
		m.addParts(n, 1000, inMilliseconds)
		dir = changed // the next night changes more
		changed += "-too"
	}
	n, err := s.update(ctx, name, dir)
	if err != nil {
		return err
	}
	m.add(figure{name: "  CPU of all after nothing changed", unit: inShare, value: 100 * n.cpu() / full.cpu(), worker: spent{CPU: n.worker}, servers: spent{CPU: n.cpu() - n.worker}})
	m.addParts(n, 1000, inMilliseconds)
	return nil
}

// addIndex adds what a full index cost, a million cells, and for what.
func (m *measurement) addIndex(name string, n night) {
	million := float64(n.Cells) / 1e6
	m.add(figure{
		name: fmt.Sprintf("index %s, %s cells: CPU of all a million cells", name, thousands(n.Cells)), unit: inSeconds, value: n.cpu() / million,
		worker: spent{CPU: n.worker}, servers: spent{CPU: n.cpu() - n.worker},
	})
	m.addParts(n, 1/million, inSeconds)
}

// addParts adds what an index cost by what it was for, in CPU seconds times a factor; always the same lines, so that runs can be put together.
func (m *measurement) addParts(n night, factor float64, unit unit) {
	var known []string
	for _, p := range purposes {
		if !slices.Contains(known, p.purpose) {
			known = append(known, p.purpose)
		}
	}
	for _, what := range append(known, noPurpose) {
		m.add(figure{name: "  worker, " + what, unit: unit, value: n.shares[what] * n.worker * factor})
	}
	for _, part := range slices.Sorted(maps.Keys(n.servers)) {
		m.add(figure{name: "  server, " + part, unit: unit, value: n.servers[part] * factor})
	}
}

// change copies a folder of JSONL files with one row of a hundred changed, scattered or as the whole of some files, and tells how many rows it changed.
func change(from, to string, scattered bool) (changed int, err error) {
	files, all, err := countLines(from)
	if err != nil {
		return 0, err
	}
	const step = 7 // from file to file among those that change
	whole, planned := map[string]bool{}, 0
	for i := step / 2; i < len(files) && planned < all/nightlyShare; i += step {
		if n := files[i].lines; planned+n < 2*all/nightlyShare {
			whole[files[i].path] = true
			planned += n
		}
	}
	n := 0
	for _, f := range files {
		target := filepath.Join(to, strings.TrimPrefix(f.path, from))
		if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
			return 0, err
		}
		err := copyLines(f.path, target, func() bool {
			n++
			this := f.lines > 0 && (scattered && n%nightlyShare == 0 || !scattered && whole[f.path])
			if this {
				changed++
			}
			return this
		})
		if err != nil {
			return 0, err
		}
	}
	return changed, nil
}

// jsonl is a file of a corpus; lines of what stands about the datasets are not counted.
type jsonl struct {
	path  string
	lines int
}

// countLines lists the files of a corpus with their lines, and says how many rows there are in all.
func countLines(dir string) (files []jsonl, all int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f := jsonl{path: path}
		if filepath.Dir(path) != filepath.Clean(dir) {
			in, closeLines, err := openLines(path)
			if err != nil {
				return err
			}
			defer closeLines() //nolint:errcheck // it was read alone
			lines := bufio.NewReader(in)
			for err == nil {
				if _, err = lines.ReadSlice('\n'); err == nil {
					f.lines++
				} else if errors.Is(err, bufio.ErrBufferFull) {
					err = nil
				}
			}
			if !errors.Is(err, io.EOF) {
				return err
			}
		}
		files, all = append(files, f), all+f.lines
		return nil
	})
	return files, all, err
}

// openLines opens a file for reading, decompressed.
func openLines(path string) (io.Reader, func() error, error) {
	in, err := os.Open(path)
	if err != nil || !strings.HasSuffix(path, ".gz") {
		return in, in.Close, err
	}
	lines, err := gzip.NewReader(in)
	return lines, in.Close, err
}

// copyLines copies a file of JSON lines, the chosen ones with another text in their first cell of text.
func copyLines(from, to string, choose func() bool) error {
	lines, closeLines, err := openLines(from)
	if err != nil {
		return err
	}
	defer closeLines() //nolint:errcheck // it was read alone
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	var copied io.WriteCloser = out
	if strings.HasSuffix(from, ".gz") {
		copied = gzip.NewWriter(out)
	}
	r, w := bufio.NewReader(lines), bufio.NewWriter(copied)
	for err == nil {
		var line []byte
		line, err = r.ReadBytes('\n')
		if len(line) > 0 && choose() {
			line = bytes.Replace(line, []byte(`": "`), []byte(`": "Changed overnight. `), 1)
			line = bytes.Replace(line, []byte(`":"`), []byte(`":"Changed overnight. `), 1)
		}
		_, _ = w.Write(line) // Flush tells
	}
	if !errors.Is(err, io.EOF) {
		return errors.Join(err, out.Close())
	}
	err = w.Flush()
	if copied != out {
		err = errors.Join(err, copied.Close())
	}
	return errors.Join(err, out.Close())
}
