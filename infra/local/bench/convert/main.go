// Command convert measures an import alone: each file that is named is uploaded into a bucket in a folder and converted into a corpus's parts, all its
// rows, without Temporal or a network. It prints a JSON object a file: rows, bytes of the parts, seconds of the CPU and by the clock for the upload
// and for the conversion, and the most memory that the process has had so far.
//
// It stands beside infra/local/bench/retrieval/import.py, which reads and writes the same files with pyarrow.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"syscall"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/infra/parquet"
	"github.com/rebased/rebased/infra/source"
)

func main() {
	most := flag.Int("max-rows", 0, "the most rows that are taken of a file; 0 = all")
	documents := flag.String("documents", "", "column of documents")
	profile := flag.String("cpuprofile", "", "file for a profile")
	flag.Parse()
	err := run(context.Background(), flag.Args(), ingest.Options{MaxRowsPerConfig: *most, Documents: *documents}, *profile)
	if err != nil {
		fmt.Fprintln(os.Stderr, "convert:", err)
		os.Exit(1)
	}
}

// figures are what is printed of one file.
type figures struct {
	File       string  `json:"file"`
	Rows       int     `json:"rows"`
	Bad        int     `json:"bad"`
	Bytes      int64   `json:"bytes"` // of the parts
	UploadCPU  float64 `json:"upload_cpu_s"`
	ConvertCPU float64 `json:"convert_cpu_s"`
	Convert    float64 `json:"convert_s"`
	Rate       float64 `json:"rows_per_cpu_s"`
	PeakMB     float64 `json:"peak_mb"`
}

func run(ctx context.Context, files []string, options ingest.Options, profile string) error {
	if profile != "" {
		out, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer out.Close()
		if err := pprof.StartCPUProfile(out); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	for _, file := range files {
		found, err := measure(ctx, file, options)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
			return err
		}
	}
	return nil
}

func measure(ctx context.Context, file string, options ingest.Options) (found figures, err error) {
	dir, err := os.MkdirTemp("", "rebased-convert-")
	if err != nil {
		return figures{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	objects := bucket{dir: dir}
	importer, err := ingest.New(ingest.Config{
		Objects: objects, Rows: parquet.Rows(objects), Datasets: parquet.Datasets(objects), Parquet: source.Parquet{}, Limits: ingest.DefaultLimits(),
	})
	if err != nil {
		return figures{}, err
	}
	folder, err := ingest.Discover(file)
	if err != nil {
		return figures{}, err
	}
	found.File = file
	start := cpu()
	sources, err := ingest.Upload(ctx, objects, folder, importer.Limits, nil)
	if err != nil {
		return found, err
	}
	found.UploadCPU = cpu() - start
	conversion, err := importer.Start(ctx, ingest.Import{Corpus: "bench", Options: options})
	if err != nil {
		return found, err
	}
	start = cpu()
	begun := time.Now()
	for _, split := range ingest.Splits(sources) {
		out, err := conversion.Convert(ctx, split, nil)
		if err != nil {
			return found, err
		}
		found.Rows, found.Bad = found.Rows+out.Dataset.Rows, found.Bad+out.Bad
		for _, part := range out.Parts {
			found.Bytes += part.Size
		}
	}
	found.ConvertCPU, found.Convert = cpu()-start, time.Since(begun).Seconds()
	found.Rate = float64(found.Rows) / found.ConvertCPU
	found.PeakMB, err = peak()
	return found, err
}

// cpu is what the process has used so far, in seconds.
func cpu() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err) // it knows no other arguments
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}

// peak is the most memory that was resident, in MB.
func peak() (float64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		if fields := bytes.Fields(line); len(fields) > 1 && string(fields[0]) == "VmHWM:" {
			kb, err := strconv.ParseFloat(string(fields[1]), 64)
			return kb / 1024, err
		}
	}
	return 0, rebased.E(rebased.Unavailable, "the system does not tell the peak of memory")
}
