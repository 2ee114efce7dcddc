//go:build unix

package static_test

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebased/rebased/infra/encoder/static"
)

// BenchmarkEncode reports the texts that a second of processor time encodes, on one goroutine: those of the JSON list that REBASED_TEXTS
// names, as infra/encoder/speed.py does, or the golden ones.
func BenchmarkEncode(b *testing.B) {
	e, err := static.New()
	if err != nil {
		b.Fatal(err)
	}
	texts := benchTexts(b)
	var used time.Duration
	encoded := 0
	for b.Loop() {
		from := encoded % (len(texts) - chunk)
		before := processorTime(b)
		if _, err := e.Encode(b.Context(), texts[from:from+chunk]); err != nil {
			b.Fatal(err)
		}
		used += processorTime(b) - before
		encoded += chunk
	}
	b.ReportMetric(float64(encoded)/used.Seconds(), "texts/cpu-s")
	b.ReportMetric(peakMegabytes(), "MB")
}

// chunk is as many texts as one goroutine takes at a time.
const chunk = 64

func benchTexts(b *testing.B) (texts []string) {
	b.Helper()
	name := os.Getenv("REBASED_TEXTS")
	if name == "" {
		texts, _ = golden(b)
		return texts
	}
	body, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	if err := json.Unmarshal(body, &texts); err != nil || len(texts) <= chunk {
		b.Fatalf("%s: %v, or too few texts", name, err)
	}
	return texts
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
