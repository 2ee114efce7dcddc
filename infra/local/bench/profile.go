package main

import (
	"bytes"
	"runtime/pprof"
	"strings"

	"github.com/google/pprof/profile"
)

// purposes says what CPU time is for by the code that is under way: the first that stands in the stack counts.
var purposes = []struct{ code, purpose string }{
	{"rebased/infra/encoder", "encode"},
	{"rebased/infra/qdrant", "upsert"},
	{"rebased/infra/parquet", "read the rows"},
	{"rebased/infra/s3", "read the rows"},
	{"rebased/activities/index", "the rest of the step"},
	{"go.temporal.io", "Temporal"},
	{"google.golang.org/grpc", "gRPC's connections"},
	{"runtime.gcBgMarkWorker", "garbage collection"},
}

const noPurpose = "scheduler and all else"

// profiled tells what this process spends its CPU time on while something is done: shares of all, by purpose.
func profiled(do func() error) (map[string]float64, error) {
	var written bytes.Buffer
	if err := pprof.StartCPUProfile(&written); err != nil {
		return nil, err
	}
	err := do()
	pprof.StopCPUProfile()
	if err != nil {
		return nil, err
	}
	p, err := profile.Parse(&written)
	if err != nil {
		return nil, err
	}
	shares, all := map[string]float64{}, 0.0
	for _, s := range p.Sample {
		shares[purposeOf(s)] += float64(s.Value[0])
		all += float64(s.Value[0])
	}
	for purpose := range shares {
		shares[purpose] /= all
	}
	return shares, nil
}

func purposeOf(s *profile.Sample) string {
	for _, p := range purposes {
		for _, location := range s.Location {
			for _, line := range location.Line {
				if strings.Contains(line.Function.Name, p.code) {
					return p.purpose
				}
			}
		}
	}
	return noPurpose
}
