// Package windows encodes texts of any length by encoders that take in only so much of one: the one place where long texts are cut.
//
// A text of at most Rule.Bytes bytes is encoded as it is. A longer one is cut into windows of at most Rule.Bytes bytes, behind the last white
// space of a window's second half, or between two characters where none stands there. Its vector is the mean of the windows' vectors, each
// weighted by its bytes, to unit length. Of a text of more than Rule.Most windows the rest takes no part.
package windows

import (
	"context"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rebased/rebased"
)

// Rule says how long texts are cut. It is a part of the encoder's identity.
type Rule struct {
	Bytes int // of a window: what the encoder takes in
	Most  int // windows of a text
}

// total is how many bytes of a text take part, whatever the encoder.
const total = 16_000

// Of is the rule for an encoder that takes in so many bytes: windows of that size, and as many as 16,000 bytes have.
func Of(bytes int) Rule { return Rule{Bytes: bytes, Most: max(1, total/bytes)} }

// step is how many windows are encoded at once, so that long texts do not pile up their windows' vectors.
const step = 1024

// Encoder cuts long texts for another one.
type Encoder struct {
	inner rebased.Encoder
	rule  Rule
}

var _ rebased.Encoder = (*Encoder)(nil)

// New makes an encoder that cuts by a rule what inner shall encode.
func New(inner rebased.Encoder, rule Rule) (*Encoder, error) {
	if rule.Bytes < 2*utf8.UTFMax || rule.Most < 1 {
		return nil, rebased.E(rebased.Invalid, "windows of %d bytes, %d of a text: must be at least %d bytes, and 1", rule.Bytes, rule.Most, 2*utf8.UTFMax)
	}
	return &Encoder{inner: inner, rule: rule}, nil
}

// Identity is that of the encoder inside, then the rule.
func (e *Encoder) Identity() string {
	return fmt.Sprintf("%s:windows-%dx%d", e.inner.Identity(), e.rule.Most, e.rule.Bytes)
}

// Dimensions is the length of every vector.
func (e *Encoder) Dimensions() int { return e.inner.Dimensions() }

// Encode gives one unit vector a text, in order; a text whose windows have no token gives the zero vector. Its errors are the inner encoder's.
func (e *Encoder) Encode(ctx context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	var windows []string
	var of []int // place of the text of each window
	encode := func() error {
		vectors, err := e.inner.Encode(ctx, windows)
		if err != nil {
			return err
		}
		if len(vectors) != len(windows) {
			return fmt.Errorf("encoder %s gave %d vectors for %d texts", e.inner.Identity(), len(vectors), len(windows))
		}
		join(out, vectors, windows, of)
		windows, of = windows[:0], of[:0]
		return nil
	}
	for i, text := range texts {
		for window, rest := e.rule.cut(text); ; window, rest = e.rule.cut(rest) {
			windows, of = append(windows, window), append(of, i)
			if rest == "" || count(of, i) == e.rule.Most {
				break
			}
		}
		if len(windows) >= step {
			if err := encode(); err != nil {
				return nil, err
			}
		}
	}
	if err := encode(); err != nil {
		return nil, err
	}
	return out, nil
}

// count says how many of the last places are i.
func count(of []int, i int) (n int) {
	for n < len(of) && of[len(of)-1-n] == i {
		n++
	}
	return n
}

// cut takes the first window of a text.
func (r Rule) cut(text string) (window, rest string) {
	if len(text) <= r.Bytes {
		return text, ""
	}
	end := r.Bytes
	for end > r.Bytes-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	if space := strings.LastIndexFunc(text[r.Bytes/2:end], unicode.IsSpace); space >= 0 {
		_, size := utf8.DecodeRuneInString(text[r.Bytes/2+space:])
		end = r.Bytes/2 + space + size
	}
	return text[:end], text[end:]
}

// join gives each text the vector of its only window, untouched, or the mean of its windows' vectors.
func join(out, vectors [][]float32, windows []string, of []int) {
	for from := 0; from < len(of); {
		to := from + 1
		for to < len(of) && of[to] == of[from] {
			to++
		}
		out[of[from]] = vectors[from]
		if to > from+1 {
			out[of[from]] = Mean(vectors[from:to], windows[from:to])
		}
		from = to
	}
}

// Mean is the vector of a text that was encoded in parts: the mean of their vectors, each weighted by its part's bytes, to unit length. It sums in
// order in float64, so that the same parts give the same bits.
func Mean(vectors [][]float32, parts []string) []float32 {
	sums := make([]float64, len(vectors[0]))
	for i, v := range vectors {
		weight := float64(len(parts[i]))
		for d, x := range v {
			sums[d] += weight * float64(x)
		}
	}
	squares := 0.0
	for _, s := range sums {
		squares += s * s
	}
	out := make([]float32, len(sums))
	if length := math.Sqrt(squares); length > 1e-12 {
		for d, s := range sums {
			out[d] = float32(s / length)
		}
	}
	return out
}
