package dedupe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
)

// bucket is a Store in memory.
type bucket map[string][]byte

func (b bucket) Write(_ context.Context, name string, body []byte) error {
	b[name] = slices.Clone(body)
	return nil
}

func (b bucket) Open(_ context.Context, name string) (io.ReadCloser, error) {
	body, ok := b[name]
	if !ok {
		return nil, rebased.E(rebased.NotFound, "%s is not there", name)
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

// sharded does what the workers of a build do: so many parts a chunk, so many ranges.
func sharded(t testing.TB, c Config, given []Given, rows []rebased.Example, part, chunk, ranges, inMemory int) Result {
	t.Helper()
	files := &memory{parts: slices.Collect(slices.Chunk(rows, part)), open: temporary(t)}
	p := Prints{Store: bucket{}, Ranges: ranges}
	for first := 0; first < len(files.parts); first += chunk {
		own := c
		own.Parts = min(chunk, len(files.parts)-first)
		chunks, err := Print(t.Context(), own, p, p.Chunks, func(ctx context.Context, n int) ([]rebased.Example, error) { return files.Read(ctx, first+n) })
		if err != nil || chunks != 1 {
			t.Fatal(chunks, err)
		}
		p.Chunks += chunks
	}
	own := c
	own.Given = sequence(given)
	chunks, err := Print(t.Context(), own, p, p.Chunks, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Chunks += chunks
	for rng := range ranges {
		if err := Group(t.Context(), c, p, rng); err != nil {
			t.Fatal(err)
		}
	}
	files.reads = 0
	c.Parts, c.Prints, c.InMemory = len(files.parts), &p, inMemory
	if err := Rows(t.Context(), c, files); err != nil {
		t.Fatal(err)
	}
	if files.reads > len(files.parts) {
		t.Errorf("%d parts were read %d times by the one that judges", len(files.parts), files.reads)
	}
	return files.Result
}

func TestTheResultIsTheSameHoweverTheWorkIsSharded(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 8)) //nolint:gosec // test data
		c := everyRule(seed)
		if seed == 4 {
			c.Semantic, c.Encoder = nil, nil
		}
		if seed == 5 {
			c.MinHash = 0
		}
		given, rows := givenOf(planted(seed, 700, 3, 30))
		want := run(t, c, given, rows, 100)
		for _, inMemory := range []int{1, 0} {
			part, chunk, ranges := 1+rng.IntN(200), 1+rng.IntN(5), 1+rng.IntN(40)
			if got := sharded(t, c, given, rows, part, chunk, ranges, inMemory); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("seed %d, parts of %d rows, %d a chunk, %d ranges: %d kept, %d in one go", seed, part, chunk, ranges, len(got.Kept), len(want.Kept))
			}
		}
		if len(want.Rejects) < 30 {
			t.Errorf("seed %d: only %d rows removed", seed, len(want.Rejects))
		}
	}
}

func TestAFileThatBreaksOffIsAnError(t *testing.T) {
	rows := planted(1, 60, 3, 20)
	store := bucket{}
	p := Prints{Store: store, Ranges: 2}
	files := &memory{parts: [][]rebased.Example{rows}, open: temporary(t)}
	c := Config{Dedupe: defaults, Parts: 1}
	var err error
	if p.Chunks, err = Print(t.Context(), c, p, 0, files.Read); err != nil {
		t.Fatal(err)
	}
	for rng := range p.Ranges {
		if err := Group(t.Context(), c, p, rng); err != nil {
			t.Fatal(err)
		}
	}
	c.Prints = &p
	for name, body := range store {
		if strings.HasPrefix(name, "keys") {
			continue
		}
		store[name] = body[:len(body)-1]
		if err := Rows(t.Context(), c, files); err == nil {
			t.Errorf("%s breaks off and nobody tells", name)
		}
		store[name] = body
	}
}
