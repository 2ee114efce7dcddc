//go:build unix

package transformer

import (
	"encoding/json"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkEncode reports the texts that a second of processor time encodes, on one thread: those of the JSON list that REBASED_TEXTS names, by
// the model in the folder that REBASED_TRANSFORMER names, as infra/encoder/speed.py does. REBASED_VECTORS names a file that the vectors of the
// texts go to.
func BenchmarkEncode(b *testing.B) {
	list, folder := os.Getenv("REBASED_TEXTS"), os.Getenv("REBASED_TRANSFORMER")
	if list == "" || folder == "" {
		b.Skip("no texts or no model: run infra/encoder/speed.py")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	e, err := library(b).Load(os.DirFS(folder))
	if err != nil {
		b.Fatal(err)
	}
	body, err := os.ReadFile(list)
	if err != nil {
		b.Fatal(err)
	}
	var texts []string
	if err := json.Unmarshal(body, &texts); err != nil {
		b.Fatal(err)
	}
	var vectors [][]float32
	encoded, before := 0, processorTime(b)
	for b.Loop() {
		if vectors, err = e.Encode(b.Context(), texts); err != nil {
			b.Fatal(err)
		}
		encoded += len(texts)
	}
	b.ReportMetric(float64(encoded)/(processorTime(b)-before).Seconds(), "texts/cpu-s")
	b.ReportMetric(peakMegabytes(), "MB")
	if name := os.Getenv("REBASED_VECTORS"); name != "" {
		if body, err = json.Marshal(vectors); err == nil {
			err = os.WriteFile(name, body, 0o600)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// processorTime is what this process has used, so that a busy machine does not change the figure.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// peakMegabytes is the most memory that this process has held; 0 where the system does not say.
func peakMegabytes() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, _ := strconv.ParseFloat(kilobytes, 64) //nolint:errcheck // 0 then
	return n / 1024
}
