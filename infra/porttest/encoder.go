package porttest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
)

// Encoder holds every promise of rebased.Encoder as a test. Each test gets an encoder of its own from open.
func Encoder(t *testing.T, open func(t *testing.T) rebased.Encoder) {
	t.Run("IdentityNamesTheDimensionsAndStaysTheSame", func(t *testing.T) {
		a, b := open(t), open(t)
		if a.Identity() == "" || a.Identity() != b.Identity() {
			t.Errorf("identities are %q and %q, want one that is equal", a.Identity(), b.Identity())
		}
		if !slices.Contains(strings.Split(a.Identity(), ":"), fmt.Sprint(a.Dimensions())) {
			t.Errorf("identity %q does not name %d dimensions", a.Identity(), a.Dimensions())
		}
	})
	t.Run("VectorsHaveUnitLength", func(t *testing.T) {
		e := open(t)
		for i, v := range encodeAll(t, e, encoderTexts()) {
			if n := vectorLength(v); math.Abs(n-1) > 1e-5 {
				t.Errorf("vector of %.40q has length %v", encoderTexts()[i], n)
			}
		}
	})
	t.Run("VectorsHaveTheDimensionsThatItSays", func(t *testing.T) {
		e := open(t)
		if e.Dimensions() < 1 {
			t.Fatalf("%d dimensions", e.Dimensions())
		}
		for _, v := range encodeAll(t, e, append(encoderTexts(), "")) {
			if len(v) != e.Dimensions() {
				t.Errorf("vector has %d dimensions, the encoder says %d", len(v), e.Dimensions())
			}
		}
	})
	t.Run("SameTextGivesTheSameVector", func(t *testing.T) {
		e := open(t)
		first, second := encodeAll(t, e, encoderTexts()), encodeAll(t, e, encoderTexts())
		for i := range first {
			if !slices.Equal(first[i], second[i]) {
				t.Errorf("%.40q was encoded twice to different vectors", encoderTexts()[i])
			}
		}
	})
	t.Run("OtherTextGivesAnotherVector", func(t *testing.T) {
		v := encodeAll(t, open(t), []string{"a cat sleeps", "interest rates rise"})
		if slices.Equal(v[0], v[1]) {
			t.Error("two texts have one vector")
		}
	})
	t.Run("OrderAndNeighboursDoNotMatter", func(t *testing.T) {
		e := open(t)
		texts := encoderTexts()
		together := encodeAll(t, e, texts)
		backwards := slices.Clone(texts)
		slices.Reverse(backwards)
		reversed := encodeAll(t, e, backwards)
		for i, text := range texts {
			alone := encodeAll(t, e, []string{text})[0]
			for _, other := range [][]float32{together[i], reversed[len(texts)-1-i]} {
				if vectorDistance(alone, other) > 1e-5 {
					t.Errorf("%.40q has another vector alone than in a batch", text)
				}
			}
		}
	})
	t.Run("EmptyTextGivesTheZeroVector", func(t *testing.T) {
		v := encodeAll(t, open(t), []string{"before", "", "after"})
		if vectorLength(v[1]) != 0 {
			t.Errorf("the empty text's vector has length %v", vectorLength(v[1]))
		}
		if vectorLength(v[0]) == 0 || vectorLength(v[2]) == 0 {
			t.Error("the empty text's neighbours have no vectors")
		}
	})
	t.Run("NoTextsGiveNoVectors", func(t *testing.T) {
		if v := encodeAll(t, open(t), nil); len(v) != 0 {
			t.Errorf("%d vectors for no texts", len(v))
		}
	})
	t.Run("CancelledContextIsAnError", func(t *testing.T) {
		e := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := e.Encode(ctx, encoderTexts()); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v, want the context's", err)
		}
	})
	t.Run("SeveralGoroutinesMayUseIt", func(t *testing.T) {
		e := open(t)
		want := encodeAll(t, e, encoderTexts())
		t.Run("at once", func(t *testing.T) {
			for range 4 {
				t.Run("", func(t *testing.T) {
					t.Parallel()
					for i, v := range encodeAll(t, e, encoderTexts()) {
						if vectorDistance(v, want[i]) > 1e-5 {
							t.Errorf("%.40q has another vector when goroutines share the encoder", encoderTexts()[i])
						}
					}
				})
			}
		})
	})
}

// encoderTexts are more than any adapter is likely to send or compute at once, ragged in length and script.
func encoderTexts() []string {
	texts := []string{"x", "The river runs through the old town.", "Wer schrieb den Brief?", "река", "川は古い町を流れる", "3.14", strings.Repeat("long text ", 2000)}
	for i := range 300 {
		texts = append(texts, fmt.Sprintf("row %d of a table, %s", i, strings.Repeat("cell ", i%7)))
	}
	return texts
}

func encodeAll(t *testing.T, e rebased.Encoder, texts []string) [][]float32 {
	t.Helper()
	v, err := e.Encode(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	if len(v) != len(texts) {
		t.Fatalf("%d vectors for %d texts", len(v), len(texts))
	}
	return v
}

func vectorLength(v []float32) float64 {
	var squares float64
	for _, x := range v {
		squares += float64(x) * float64(x)
	}
	return math.Sqrt(squares)
}

func vectorDistance(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var d float64
	for i := range a {
		d = max(d, math.Abs(float64(a[i])-float64(b[i])))
	}
	return d
}
