package rebased

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Sleep pauses for so long, or until ctx ends: then it gives ctx's error.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ParseRetryAfter reads how long a server asks to wait (RFC 9110, 10.2.3): seconds, fractions too, or an HTTP date; at most so long. 0 = it does
// not say, or the time is over.
func ParseRetryAfter(value string, now time.Time, most time.Duration) time.Duration {
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds > 0 {
		return time.Duration(min(seconds*float64(time.Second), float64(most)))
	}
	if date, err := http.ParseTime(value); err == nil && date.After(now) {
		return min(date.Sub(now), most)
	}
	return 0
}
