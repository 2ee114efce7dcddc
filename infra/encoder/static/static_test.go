package static_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/encoder/static"
	"github.com/rebased/rebased/infra/porttest"
)

func embedded(t testing.TB) *static.Encoder {
	t.Helper()
	e, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestConformance(t *testing.T) {
	e := embedded(t)
	porttest.Encoder(t, func(*testing.T) rebased.Encoder { return e })
}

func TestIdentityNamesModelDimensionsAndTheFilesHash(t *testing.T) {
	parts := strings.Split(embedded(t).Identity(), ":")
	if len(parts) != 4 || parts[0] != "static" || parts[1] != "rebased-minilm-v1" || parts[2] != "256" || len(parts[3]) != 8 {
		t.Errorf("identity is %q", embedded(t).Identity())
	}
}

// The vectors are those that fit/golden.py computes from the same model with other people's tokenizer.
func TestVectorsEqualTheScriptsInManyLanguages(t *testing.T) {
	texts, want := golden(t)
	if len(texts) != 1000 {
		t.Fatalf("testdata has %d texts, want 1000", len(texts))
	}
	got, err := embedded(t).Encode(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		if d := distance(got[i], want[i]); d > 1e-5 {
			t.Errorf("text %d %.80q: off by %g", i, text, d)
		}
	}
}

func golden(t testing.TB) (texts []string, vectors [][]float32) {
	t.Helper()
	packed, err := os.ReadFile("testdata/golden.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	for scan := bufio.NewScanner(lines); scan.Scan(); {
		var line struct {
			Text   string `json:"text"`
			Vector []byte `json:"vector"`
		}
		if err := json.Unmarshal(scan.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		v := make([]float32, len(line.Vector)/4)
		if _, err := binary.Decode(line.Vector, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
		texts, vectors = append(texts, line.Text), append(vectors, v)
	}
	return texts, vectors
}

// distance is the largest difference of two vectors in one dimension.
func distance(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var d float64
	for i := range a {
		d = max(d, math.Abs(float64(a[i])-float64(b[i])))
	}
	return d
}
