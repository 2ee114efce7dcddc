package porttest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/retrieve"
)

// Vectors checks every promise of retrieve.Vectors. open gives one that may keep vectors of other encoders; the suite uses names of its own.
func Vectors(t *testing.T, open func(t *testing.T) retrieve.Vectors) {
	some := func(n, dimensions int) map[rebased.TextKey][]float32 {
		vectors := make(map[rebased.TextKey][]float32, n)
		for i := range n {
			v := make([]float32, dimensions)
			for d := range v {
				v[d] = float32(rand.NormFloat64()) //nolint:gosec // no secret
			}
			vectors[rebased.NewTextKey(fmt.Sprint("text ", i))] = v
		}
		return vectors
	}
	name := func() string { return fmt.Sprintf("porttest:8:%016x", rand.Uint64()) } //nolint:gosec // see above
	read := func(t *testing.T, v retrieve.Vectors, encoder string, of map[rebased.TextKey][]float32) map[rebased.TextKey][]float32 {
		t.Helper()
		got, err := v.Vectors(t.Context(), encoder, slices.Collect(maps.Keys(of)))
		noError(t, err)
		return got
	}
	same := func(t *testing.T, got, want map[rebased.TextKey][]float32) {
		t.Helper()
		if !maps.EqualFunc(got, want, slices.Equal[[]float32]) {
			t.Errorf("%d vectors came back for %d, or others", len(got), len(want))
		}
	}
	t.Run("nothing is kept of an encoder that was never seen", func(t *testing.T) {
		if got := read(t, open(t), name(), some(3, 8)); len(got) != 0 {
			t.Errorf("%d vectors are kept", len(got))
		}
	})
	t.Run("vectors come back bit for bit, zero ones too, and others are absent", func(t *testing.T) {
		v, encoder, all := open(t), name(), some(1000, 8)
		all[rebased.NewTextKey("nothing")] = make([]float32, 8)
		noError(t, v.Keep(t.Context(), encoder, all))
		wanted := maps.Clone(all)
		wanted[rebased.NewTextKey("unknown")] = nil
		same(t, read(t, v, encoder, wanted), all)
	})
	t.Run("Keep adds and writes over", func(t *testing.T) {
		v, encoder, first, second := open(t), name(), some(3, 8), some(5, 8)
		noError(t, v.Keep(t.Context(), encoder, first))
		noError(t, v.Keep(t.Context(), encoder, second))
		same(t, read(t, v, encoder, second), second)
	})
	t.Run("encoders do not see each other's", func(t *testing.T) {
		v, one, other, a, b := open(t), name(), name(), some(3, 8), some(3, 4)
		noError(t, v.Keep(t.Context(), one, a))
		noError(t, v.Keep(t.Context(), other, b))
		same(t, read(t, v, one, a), a)
		same(t, read(t, v, other, b), b)
	})
	t.Run("vectors of another length are refused", func(t *testing.T) {
		v, encoder := open(t), name()
		noError(t, v.Keep(t.Context(), encoder, some(1, 8)))
		if err := v.Keep(t.Context(), encoder, some(1, 4)); rebased.KindOf(err) != rebased.Invalid {
			t.Errorf("got %v, want Invalid", err)
		}
	})
	t.Run("no vectors and no texts are nothing to do", func(t *testing.T) {
		v, encoder := open(t), name()
		noError(t, v.Keep(t.Context(), encoder, nil))
		if got := read(t, v, encoder, nil); len(got) != 0 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("what a caller changes later does not reach what is kept", func(t *testing.T) {
		v, encoder, one := open(t), name(), some(1, 8)
		noError(t, v.Keep(t.Context(), encoder, one))
		want := map[rebased.TextKey][]float32{rebased.NewTextKey("text 0"): slices.Clone(one[rebased.NewTextKey("text 0")])}
		one[rebased.NewTextKey("text 0")][0]++
		read(t, v, encoder, want)[rebased.NewTextKey("text 0")][1]++
		same(t, read(t, v, encoder, want), want)
	})
	t.Run("several may keep the first vectors of an encoder at once", func(t *testing.T) {
		v, encoder, all := open(t), name(), some(64, 8)
		done := make(chan error)
		for key, vector := range all {
			go func() { done <- v.Keep(t.Context(), encoder, map[rebased.TextKey][]float32{key: vector}) }()
		}
		for range all {
			noError(t, <-done)
		}
		same(t, read(t, v, encoder, all), all)
	})
	t.Run("a context that has ended is its error", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		v := open(t)
		if err := v.Keep(ctx, name(), some(1, 8)); !errors.Is(err, context.Canceled) {
			t.Errorf("Keep: %v", err)
		}
		if _, err := v.Vectors(ctx, name(), []rebased.TextKey{{}}); !errors.Is(err, context.Canceled) {
			t.Errorf("Vectors: %v", err)
		}
	})
}
