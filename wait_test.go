package rebased_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/rebased/rebased"
)

func TestAServerSaysInSecondsOrAsADateHowLongToWait(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":     0,
		"7":    7 * time.Second,
		"0.25": 250 * time.Millisecond,
		"0":    0,
		"-3":   0,
		"NaN":  0,
		"Inf":  time.Hour,
		"1e30": time.Hour,
		"soon": 0,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(-time.Minute).Format(http.TimeFormat):     0,
		now.Add(48 * time.Hour).Format(http.TimeFormat):   time.Hour,
	} {
		if got := rebased.ParseRetryAfter(value, now, time.Hour); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rebased.Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := rebased.Sleep(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
}
