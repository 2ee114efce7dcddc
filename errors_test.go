package rebased_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/rebased/rebased"
)

func TestKindAndRetryAfterAreFoundThroughAnyWrapping(t *testing.T) {
	throttled := &rebased.Error{Kind: rebased.Throttled, Op: "ask", RetryAfter: 7 * time.Second, Err: io.ErrUnexpectedEOF}
	for name, c := range map[string]struct {
		err   error
		kind  rebased.Kind
		after time.Duration
	}{
		"none":                    {nil, "", 0},
		"foreign":                 {io.EOF, "", 0},
		"plain":                   {throttled, rebased.Throttled, 7 * time.Second},
		"wrapped twice":           {fmt.Errorf("b: %w", fmt.Errorf("a: %w", throttled)), rebased.Throttled, 7 * time.Second},
		"joined":                  {errors.Join(io.EOF, throttled), rebased.Throttled, 7 * time.Second},
		"the outer kind counts":   {rebased.E(rebased.Invalid, "a: %w", throttled), rebased.Invalid, 0},
		"the inner kind is named": {fmt.Errorf("a: %w", rebased.E(rebased.NotFound, "b: %w", io.EOF)), rebased.NotFound, 0},
	} {
		if kind, after := rebased.KindOf(c.err), rebased.RetryAfterOf(c.err); kind != c.kind || after != c.after {
			t.Errorf("%s: got %q and %s, want %q and %s", name, kind, after, c.kind, c.after)
		}
	}
	if !errors.Is(fmt.Errorf("a: %w", throttled), io.ErrUnexpectedEOF) || !errors.Is(rebased.E(rebased.Invalid, "a: %w", io.EOF), io.EOF) {
		t.Error("the cause is not found through the kind")
	}
}

func TestErrorsSayWhatWasDoneAndWhy(t *testing.T) {
	for want, err := range map[string]error{
		"get k: not_found": &rebased.Error{Kind: rebased.NotFound, Op: "get k"},
		"get k: EOF":       &rebased.Error{Kind: rebased.Unavailable, Op: "get k", Err: io.EOF},
		"EOF":              &rebased.Error{Kind: rebased.Unavailable, Err: io.EOF},
		"no row 7: EOF":    rebased.E(rebased.Invalid, "no row %d: %w", 7, io.EOF),
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}
