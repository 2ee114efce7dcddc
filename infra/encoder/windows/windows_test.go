package windows_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index/indextest"
	"github.com/rebased/rebased/infra/encoder/windows"
	"github.com/rebased/rebased/infra/porttest"
)

// listening is an encoder that remembers what it was given.
type listening struct {
	rebased.Encoder
	mu    sync.Mutex
	texts []string
}

func (l *listening) Encode(ctx context.Context, texts []string) ([][]float32, error) {
	l.mu.Lock()
	l.texts = append(l.texts, texts...)
	l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return l.Encoder.Encode(ctx, texts)
}

func open(t *testing.T, inner rebased.Encoder, rule windows.Rule) *windows.Encoder {
	t.Helper()
	e, err := windows.New(inner, rule)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func inner(t *testing.T) *listening {
	t.Helper()
	return &listening{Encoder: indextest.Encoder{Size: 24}}
}

func TestConformance(t *testing.T) {
	porttest.Encoder(t, func(t *testing.T) rebased.Encoder {
		return open(t, inner(t), windows.Rule{Bytes: 10, Most: 3})
	})
}

func TestWindowsEndBehindWhiteSpaceAndLoseNothingUpToTheirMost(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		rule windows.Rule
		want []string
	}{
		"short":                     {"one two", windows.Rule{Bytes: 10, Most: 3}, []string{"one two"}},
		"as long as a window":       {"0123456789", windows.Rule{Bytes: 10, Most: 3}, []string{"0123456789"}},
		"at white space":            {"one two three four", windows.Rule{Bytes: 10, Most: 3}, []string{"one two ", "three four"}},
		"wide white space":          {"one two\u3000three", windows.Rule{Bytes: 12, Most: 3}, []string{"one two\u3000", "three"}},
		"white space in first half": {"a bcdefghijklmn", windows.Rule{Bytes: 10, Most: 3}, []string{"a bcdefghi", "jklmn"}},
		"between characters":        {"aéééééééé", windows.Rule{Bytes: 10, Most: 3}, []string{"aéééé", "éééé"}},
		"no text at all":            {strings.Repeat("\x80", 25), windows.Rule{Bytes: 10, Most: 2}, []string{strings.Repeat("\x80", 6), strings.Repeat("\x80", 6)}},
		"more than most":            {strings.Repeat("word ", 20), windows.Rule{Bytes: 10, Most: 3}, slices.Repeat([]string{"word word "}, 3)},
		"empty":                     {"", windows.Rule{Bytes: 10, Most: 3}, []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			l := inner(t)
			if _, err := open(t, l, c.rule).Encode(t.Context(), []string{c.text}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(l.texts, c.want) {
				t.Errorf("%q were encoded, want %q", l.texts, c.want)
			}
			for _, w := range l.texts {
				if len(w) > c.rule.Bytes || utf8.ValidString(c.text) && !utf8.ValidString(w) {
					t.Errorf("window %q", w)
				}
			}
		})
	}
}

func TestALongTextHasTheMeanOfItsWindowsByTheirBytes(t *testing.T) {
	plain := indextest.Encoder{Size: 24}
	e := open(t, plain, windows.Rule{Bytes: 10, Most: 3})
	got, err := e.Encode(t.Context(), []string{"before", "one two three", "--", "after"})
	if err != nil {
		t.Fatal(err)
	}
	parts, err := plain.Encode(t.Context(), []string{"one two ", "three", "before", "after"})
	if err != nil {
		t.Fatal(err)
	}
	want, squares := make([]float64, 24), 0.0
	for d := range want {
		want[d] = 8*float64(parts[0][d]) + 5*float64(parts[1][d])
		squares += want[d] * want[d]
	}
	for d := range want {
		if math.Abs(float64(got[1][d])-want[d]/math.Sqrt(squares)) > 1e-6 {
			t.Fatalf("dimension %d is %v, want %v", d, got[1][d], want[d]/math.Sqrt(squares))
		}
	}
	if !slices.Equal(got[0], parts[2]) || !slices.Equal(got[3], parts[3]) {
		t.Error("a short text has another vector than without windows")
	}
}

func TestManyLongTextsAreEncodedInSteps(t *testing.T) {
	texts := make([]string, 3000)
	for i := range texts {
		texts[i] = strings.Repeat(string(rune('a'+i%26))+" ", 12)
	}
	plain := open(t, indextest.Encoder{Size: 24}, windows.Rule{Bytes: 10, Most: 3})
	all, err := plain.Encode(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		alone, err := plain.Encode(t.Context(), []string{text})
		if err != nil || !slices.Equal(alone[0], all[i]) {
			t.Fatalf("text %d has another vector among others, or %v", i, err)
		}
	}
}

func TestTheRuleIsAPartOfTheIdentity(t *testing.T) {
	a, b := open(t, indextest.Encoder{Size: 24}, windows.Of(1000)), open(t, indextest.Encoder{Size: 24}, windows.Of(8000))
	if a.Identity() == b.Identity() || !strings.HasSuffix(a.Identity(), ":windows-16x1000") || !strings.HasSuffix(b.Identity(), ":windows-2x8000") {
		t.Errorf("%q and %q", a.Identity(), b.Identity())
	}
	if _, err := windows.New(indextest.Encoder{Size: 24}, windows.Rule{Bytes: 3, Most: 1}); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("windows of three bytes: %v", err)
	}
}
