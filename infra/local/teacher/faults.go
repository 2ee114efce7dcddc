package teacher

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// fault is one way to fail; "" is none.
type fault string

const (
	throttled fault = "throttled"
	failed    fault = "failed"
	hanging   fault = "hanging"
	cut       fault = "cut"
	prose     fault = "prose"
	page      fault = "page"
	empty     fault = "empty"
	down      fault = "down"
)

// Faults says how often the teacher fails, and how. Each share is of all attempts, in [0, 1], their sum at most 1. Which attempts fail depends on
// the request and on how often it was sent before, and on nothing else.
type Faults struct {
	LatencyMS   int     `json:"latency_ms"`    // added to every answer
	Throttled   float64 `json:"throttled"`     // share answered 429
	RetryAfterS int     `json:"retry_after_s"` // what a 429 asks to wait, in seconds
	Failed      float64 `json:"failed"`        // share answered 500
	Hanging     float64 `json:"hanging"`       // share never answered: the client must leave
	Cut         float64 `json:"cut"`           // share whose connection is closed in the middle of the answer
	Prose       float64 `json:"prose"`         // share answered with a text that holds no JSON
	Page        float64 `json:"page"`          // share answered 200 with an HTML page, as a broken proxy does
	Empty       float64 `json:"empty"`         // share answered with a text that is empty
	Down        float64 `json:"down"`          // share whose connection is closed before anything is read of the request
	Attempts    int     `json:"attempts"`      // only the first so many attempts of a request fail; 0 = all may
	Count       int     `json:"count"`         // at most so many faults in all, whichever come first; 0 = no bound
	ForS        int     `json:"for_s"`         // the shares end so many seconds after they were set; 0 = they stay
	Limits
	BatchFaults
}

// share is one kind of fault and how often it comes.
type share struct {
	fault fault
	of    float64
}

// shares lists the kinds in the order in which a draw looks at them.
func (f *Faults) shares() []share {
	return []share{
		{throttled, f.Throttled}, {failed, f.Failed}, {hanging, f.Hanging}, {cut, f.Cut}, {prose, f.Prose}, {page, f.Page},
		{empty, f.Empty}, {down, f.Down},
	}
}

func (f *Faults) validate() error {
	if f.LatencyMS < 0 || f.RetryAfterS < 0 || f.Attempts < 0 || f.Count < 0 || f.ForS < 0 || f.RPM < 0 || f.Concurrent < 0 {
		return errors.New("faults: latency_ms, retry_after_s, attempts, count, for_s, rpm and concurrent must not be negative")
	}
	if err := f.BatchFaults.validate(); err != nil {
		return err
	}
	sum := 0.0
	for _, s := range f.shares() {
		if !(s.of >= 0 && s.of <= 1) {
			return fmt.Errorf("faults: %s must be between 0 and 1, got %v", s.fault, s.of)
		}
		sum += s.of
	}
	const rounding = 1e-9
	if sum > 1+rounding {
		return fmt.Errorf("faults: the shares must add up to at most 1, got %v", sum)
	}
	return nil
}

func (f *Faults) latency() time.Duration { return time.Duration(f.LatencyMS) * time.Millisecond }

// place is where an attempt of a request stands in [0, 1).
func place(id [sha256.Size]byte, attempt int) float64 {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(id[:], uint64(attempt))) //nolint:gosec // attempts are counted
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
}

// draw chooses the fault of the n-th attempt (from 1) of a request.
func (f *Faults) draw(id [sha256.Size]byte, attempt int) fault {
	if f.Attempts > 0 && attempt > f.Attempts {
		return ""
	}
	at := place(id, attempt)
	for _, s := range f.shares() {
		if at < s.of {
			return s.fault
		}
		at -= s.of
	}
	return ""
}
