package patient_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index/indextest"
	"github.com/rebased/rebased/infra/encoder/patient"
	"github.com/rebased/rebased/infra/encoder/windows"
	"github.com/rebased/rebased/infra/porttest"
)

// moody is a server whose requests fail as told.
type moody struct {
	indextest.Encoder
	fail func(request int, texts []string) error

	mu            sync.Mutex
	requests      int
	running, most int
}

func (m *moody) Encode(ctx context.Context, texts []string) ([][]float32, error) {
	m.mu.Lock()
	request := m.requests
	m.requests++
	m.running++
	m.most = max(m.most, m.running)
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.running--
		m.mu.Unlock()
	}()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.fail != nil {
		if err := m.fail(request, texts); err != nil {
			return nil, err
		}
	}
	return m.Encoder.Encode(ctx, texts)
}

func newMoody(fail func(request int, texts []string) error) *moody {
	return &moody{Encoder: indextest.Encoder{Size: 24}, fail: fail}
}

// clock notes the pauses that it is asked for, and takes none.
type clock struct{ pauses []time.Duration }

func (c *clock) wait(ctx context.Context, d time.Duration) error {
	c.pauses = append(c.pauses, d)
	return ctx.Err()
}

func TestConformance(t *testing.T) {
	porttest.Encoder(t, func(*testing.T) rebased.Encoder { return patient.New(newMoody(nil), nil) })
}

func failing(times int, kind rebased.Kind, after time.Duration) func(int, []string) error {
	return func(request int, _ []string) error {
		if request < times {
			return &rebased.Error{Kind: kind, Op: "encode", RetryAfter: after, Err: errors.New("not now")}
		}
		return nil
	}
}

func TestARequestIsTriedAgainAsLongAsItsErrorAllows(t *testing.T) {
	for name, c := range map[string]struct {
		times    int
		kind     rebased.Kind
		after    time.Duration
		requests int
		want     rebased.Kind
	}{
		"throttled once":             {1, rebased.Throttled, 7 * time.Second, 2, ""},
		"throttled without a time":   {9, rebased.Throttled, 0, 10, ""},
		"throttled for too long":     {99, rebased.Throttled, 50 * time.Second, 7, rebased.Throttled},
		"throttled for an hour":      {1, rebased.Throttled, time.Hour, 1, rebased.Throttled},
		"down for a moment":          {5, rebased.Unavailable, 0, 6, ""},
		"down":                       {99, rebased.Unavailable, 0, 7, rebased.Unavailable},
		"down, back in a quarter":    {1, rebased.Unavailable, 15 * time.Minute, 1, rebased.Unavailable},
		"the key is wrong":           {99, rebased.Unauthorized, 0, 1, rebased.Unauthorized},
		"the quota is spent":         {99, rebased.Exhausted, 0, 1, rebased.Exhausted},
		"the one text is refused":    {99, rebased.Invalid, 0, 1, rebased.Invalid},
		"the model is not there":     {99, rebased.NotFound, 0, 1, rebased.NotFound},
		"an error that has no kind":  {99, "", 0, 1, ""},
		"nothing is wrong":           {0, "", 0, 1, ""},
		"throttled, then other text": {2, rebased.Throttled, time.Second, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inner, clock := newMoody(failing(c.times, c.kind, c.after)), new(clock)
			v, err := patient.New(inner, clock.wait).Encode(t.Context(), []string{"a text"})
			if inner.requests != c.requests || rebased.KindOf(err) != c.want || (err == nil) != (v != nil) {
				t.Errorf("%d requests, want %d; error %v, want kind %q", inner.requests, c.requests, err, c.want)
			}
			if (err == nil) != (c.times < c.requests) {
				t.Errorf("error %v", err)
			}
			for i, pause := range clock.pauses {
				if pause < c.after || c.after == 0 && pause > min(30*time.Second, 500*time.Millisecond<<i) {
					t.Errorf("pause %d is %v where %v was asked for", i, pause, c.after)
				}
			}
		})
	}
}

func TestTextsThatAreRefusedTogetherAreSentInHalves(t *testing.T) {
	inner := newMoody(func(_ int, texts []string) error {
		if len(texts) > 32 {
			return rebased.E(rebased.Invalid, "batch size %d > maximum 32", len(texts))
		}
		return nil
	})
	texts := make([]string, 600)
	for i := range texts {
		texts[i] = fmt.Sprint("text ", i)
	}
	got, err := patient.New(inner, nil).Encode(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := inner.Encoder.Encode(t.Context(), texts)
	if !slices.EqualFunc(got, want, slices.Equal[[]float32]) {
		t.Error("vectors are not those of the texts in their order")
	}
	inner.fail = func(_ int, texts []string) error {
		if slices.Contains(texts, "text 77") {
			return rebased.E(rebased.Invalid, "text 77 is not wanted")
		}
		return nil
	}
	inner.requests = 0
	if _, err := patient.New(inner, nil).Encode(t.Context(), texts); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "77") || inner.requests > 40 {
		t.Errorf("%d requests, %v", inner.requests, err)
	}
}

// narrow is a server whose model reads so many digits of a text: it gives a kind of error for more.
func narrow(digits int, kind rebased.Kind) func(int, []string) error {
	return func(_ int, texts []string) error {
		for _, text := range texts {
			if n := strings.Count(text, "7"); n > digits {
				return rebased.E(kind, "input of %d tokens, the model reads %d", n, digits)
			}
		}
		return nil
	}
}

func TestATextThatIsRefusedAloneIsEncodedInHalves(t *testing.T) {
	long := strings.Repeat("7", 400) + " é " + strings.Repeat("ö7", 200)
	for _, kind := range []rebased.Kind{rebased.Invalid, rebased.Unavailable} { // some servers call it a fault of their own
		inner, clock := newMoody(narrow(350, kind)), new(clock)
		texts := []string{"before", long, "after"}
		got, err := patient.New(inner, clock.wait).Encode(t.Context(), texts)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		plain, _ := inner.Encoder.Encode(t.Context(), []string{"before", "after", long[:len(long)/2], long[len(long)/2:]})
		parts := []string{long[:len(long)/2], long[len(long)/2:]}
		first, _ := inner.Encoder.Encode(t.Context(), []string{parts[0][:len(parts[0])/2], parts[0][len(parts[0])/2:]})
		halves := windows.Mean(first, []string{parts[0][:len(parts[0])/2], parts[0][len(parts[0])/2:]})
		want := windows.Mean([][]float32{halves, plain[3]}, parts)
		if !slices.Equal(got[0], plain[0]) || !slices.Equal(got[2], plain[1]) || !slices.Equal(got[1], want) {
			t.Errorf("%s: the vectors are not those of the texts, and of the halves for the long one", kind)
		}
		if len(clock.pauses) > 20 {
			t.Errorf("%s: %d pauses", kind, len(clock.pauses))
		}
	}
}

func TestACharacterIsNeverCut(t *testing.T) {
	for shift := range 4 {
		inner := newMoody(func(_ int, texts []string) error {
			for _, text := range texts {
				if !utf8.ValidString(text) {
					t.Errorf("%q was sent", text)
				}
			}
			if len(texts[0]) > 70 {
				return rebased.E(rebased.Invalid, "too long")
			}
			return nil
		})
		if _, err := patient.New(inner, nil).Encode(t.Context(), []string{strings.Repeat("x", shift) + strings.Repeat("€😀", 100)}); err != nil {
			t.Error(err)
		}
	}
}

func TestATextThatIsRefusedInAllItsPartsEndsWithItsBeginAndSize(t *testing.T) {
	text := strings.Repeat("base64==", 125)
	for _, kind := range []rebased.Kind{rebased.Invalid, rebased.Unavailable} {
		inner := newMoody(func(_ int, texts []string) error {
			if strings.Contains(strings.Join(texts, ""), "64") {
				return rebased.E(kind, "no")
			}
			return nil
		})
		_, err := patient.New(inner, new(clock).wait).Encode(t.Context(), []string{"a text", text})
		want := `a text of 1000 bytes, "` + text[:60] + `"…, cut to 64 bytes and less: no`
		if rebased.KindOf(err) != kind || fmt.Sprint(err) != want || inner.requests > 40 {
			t.Errorf("%d requests, %v, want %s", inner.requests, err, want)
		}
	}
}

func TestAServerThatIsDownIsNotAskedForParts(t *testing.T) {
	inner := newMoody(failing(99, rebased.Unavailable, 0))
	_, err := patient.New(inner, new(clock).wait).Encode(t.Context(), []string{strings.Repeat("text ", 200), "another"})
	if rebased.KindOf(err) != rebased.Unavailable || inner.requests != 7 {
		t.Errorf("%d requests, %v", inner.requests, err)
	}
}

func TestRequestsAreBoundedInSizeAndNumber(t *testing.T) {
	var gate sync.WaitGroup
	gate.Add(8) // as many as may be under way
	inner := newMoody(func(request int, texts []string) error {
		bytes := 0
		for _, text := range texts {
			bytes += len(text)
		}
		if len(texts) > 256 || bytes > 200_000 {
			t.Errorf("a request of %d texts, %d bytes", len(texts), bytes)
		}
		if request < 8 {
			gate.Done()
			gate.Wait()
		}
		return nil
	})
	e := patient.New(inner, nil)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if _, err := e.Encode(t.Context(), slices.Repeat([]string{strings.Repeat("word ", 2000)}, 300)); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if inner.most > 8 {
		t.Errorf("%d requests were under way at once, want at most 8", inner.most)
	}
}

func TestCancelEndsAWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	inner := newMoody(failing(99, rebased.Throttled, 30*time.Second))
	e := patient.New(inner, func(ctx context.Context, _ time.Duration) error { cancel(); <-ctx.Done(); return ctx.Err() })
	if _, err := e.Encode(ctx, []string{"a"}); !errors.Is(err, context.Canceled) || inner.requests != 1 {
		t.Errorf("%d requests, %v", inner.requests, err)
	}
}
