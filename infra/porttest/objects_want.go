package porttest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/rebased/rebased"
)

func mustPut(t *testing.T, o rebased.Objects, key, body string) (etag string) {
	t.Helper()
	etag, err := o.Put(t.Context(), key, []byte(body))
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return etag
}

func wantBody(t *testing.T, o rebased.Objects, key, want string) {
	t.Helper()
	body, _, err := o.Get(t.Context(), key)
	if err != nil || string(body) != want {
		t.Fatalf("get %s: %q, %v; want %q", key, body, err, want)
	}
}

func wantKeys(t *testing.T, o rebased.Objects, prefix string, want ...string) {
	t.Helper()
	var got []string
	for entry, err := range o.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		got = append(got, entry.Key)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("list %q:\ngot  %q\nwant %q", prefix, got, want)
	}
}

func wantKind(t *testing.T, err error, want rebased.Kind) {
	t.Helper()
	if got := rebased.KindOf(err); got != want {
		t.Fatalf("got the kind %q of error %v, want %q", got, err, want)
	}
}

// race lets all racers write a body of their own at once. One must win and all others must see Conflict; it gives the winner's body.
func race(t *testing.T, write func(ctx context.Context, body string) error) (winner string) {
	t.Helper()
	results := make([]error, racers)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range racers {
		all.Go(func() {
			<-start
			results[i] = write(t.Context(), fmt.Sprint("racer ", i))
		})
	}
	close(start)
	all.Wait()
	won := 0
	for i, err := range results {
		if err == nil {
			won, winner = won+1, fmt.Sprint("racer ", i)
		} else if rebased.KindOf(err) != rebased.Conflict {
			t.Errorf("racer %d: %v; want Conflict", i, err)
		}
	}
	if won != 1 {
		t.Fatalf("%d of %d racers won, want 1", won, racers)
	}
	return winner
}
