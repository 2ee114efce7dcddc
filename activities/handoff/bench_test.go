package handoff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/parquet"
)

// folder is a bucket on disk, so that what is stored is not in memory.
type folder struct {
	rebased.Objects
	dir string
}

func (f folder) path(key string) string { return filepath.Join(f.dir, filepath.FromSlash(key)) }

func kinded(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return rebased.E(rebased.NotFound, "%w", err)
	case errors.Is(err, fs.ErrExist):
		return rebased.E(rebased.Conflict, "%w", err)
	}
	return err
}

func (f folder) Get(_ context.Context, key string) ([]byte, string, error) {
	body, err := os.ReadFile(f.path(key))
	return body, "", kinded(err)
}

func (f folder) Open(_ context.Context, key string) (io.ReadCloser, error) {
	body, err := os.Open(f.path(key))
	return body, kinded(err)
}

func (f folder) create(key string, flags int, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(f.path(key)), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(f.path(key), os.O_WRONLY|os.O_CREATE|flags, 0o600)
	if err != nil {
		return kinded(err)
	}
	return errors.Join(write(file), file.Close())
}

func (f folder) Put(_ context.Context, key string, body []byte) (string, error) {
	return "", f.create(key, os.O_TRUNC, func(w io.Writer) error { _, err := w.Write(body); return err })
}

func (f folder) PutIfAbsent(_ context.Context, key string, body []byte) (string, error) {
	return "", f.create(key, os.O_EXCL, func(w io.Writer) error { _, err := w.Write(body); return err })
}

func (f folder) CreateIfAbsent(_ context.Context, key string, write func(io.Writer) error) error {
	return f.create(key, os.O_EXCL, write)
}

// BenchmarkStage makes a version with a validation split of rows of about 1.3 KB, and reports the peak of the heap in use, sampled.
func BenchmarkStage(b *testing.B) {
	for _, rows := range []int{3_000, 20_000, 200_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				v, in := large(b, rows)
				runtime.GC()
				peak := watch()
				b.StartTimer()
				if _, err := v.Stage(b.Context(), in); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				b.ReportMetric(float64(peak())/1e6, "peak-MB")
				b.StartTimer()
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// large writes the parts of a build of so many rows, 10,000 each.
func large(b *testing.B, rows int) (Versions, Input) {
	const most = 10_000
	objects := folder{dir: b.TempDir()}
	v := Versions{Objects: objects, Examples: parquet.Examples(objects)}
	in := input()
	in.Task.Output = rebased.Output{Formats: []string{rebased.FormatMessages}, Validation: 0.05}
	in.Retrieved, in.Steps = rows, nil
	key := func(part int) string { return rebased.BuildKey("capitals", "b1", "deduped", rebased.PartName(part)) }
	in.Rows = Parts{Count: (rows + most - 1) / most, Read: func(ctx context.Context, part int) ([]rebased.Example, error) {
		return v.Examples.Read(ctx, key(part))
	}}
	for part := range in.Rows.Count {
		if _, err := v.Examples.Write(b.Context(), key(part), synthetic(part*most, min(rows, (part+1)*most))); err != nil {
			b.Fatal(err)
		}
	}
	return v, in
}

func synthetic(from, to int) []rebased.Example {
	some := examples()
	var rows []rebased.Example
	for i := from; i < to; i++ {
		e := some[i%len(some)]
		e.Row = rebased.NewRowID(e.DatasetID, nil, i)
		for word := range 100 {
			e.Input += fmt.Sprintf("w%d ", (i*31+word*17)%5000)
			e.Output += fmt.Sprintf("a%d ", (i*13+word*29)%5000)
		}
		e.Responses = []string{fmt.Sprintf("responses/%032x", i)}
		rows = append(rows, e)
	}
	return rows
}

// watch samples the heap in use until the peak is asked for.
func watch() (peak func() uint64) {
	var most uint64
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticks := time.NewTicker(5 * time.Millisecond)
		defer ticks.Stop()
		for {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapInuse)
			select {
			case <-ticks.C:
			case <-stop:
				return
			}
		}
	}()
	return func() uint64 { close(stop); <-ended; return most }
}
