package retrieve

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// sampled makes observations of a known law with a little noise.
func sampled(datasets, rows int, in, out float64) []observation {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // made-up rows
	var all []observation
	for d := range datasets {
		data, better, own := random.Float64(), random.Float64(), random.NormFloat64()/5
		for range rows {
			o := observation{dataset: fmt.Sprint("set", d), in: random.Float64(), out: random.Float64(), data: data, better: better}
			o.sum = in*o.in + out*o.out + 0.3 + 0.1*data + 0.9*better + own + random.NormFloat64()/50
			all = append(all, o)
		}
	}
	return all
}

func TestTheCorrectionFindsTheLawBehindTheSample(t *testing.T) {
	rows := sampled(200, 8, 0.7, 0.4)
	c := fit(rows)
	if math.Abs(c.in-0.7) > 0.02 || math.Abs(c.out-0.4) > 0.02 || math.Abs(c.better-0.9) > 0.15 {
		t.Errorf("fitted %.3f, %.3f and %.3f, want .7, .4 and .9", c.in, c.out, c.better)
	}
	for _, row := range rows {
		if got := c.in*row.in + c.out*row.out + c.constant(row.dataset, row.data, row.better); math.Abs(got-row.sum) > 0.12 {
			t.Fatalf("predicted %.3f for %.3f", got, row.sum)
		}
	}
}

func TestFewRowsMoveADatasetLessThanMany(t *testing.T) {
	rows := sampled(40, 8, 0.7, 0.4)
	odd := func(name string, n int) {
		for range n {
			rows = append(rows, observation{dataset: name, in: 0.5, out: 0.5, data: 0.5, better: 0.5, sum: 2.5})
		}
	}
	odd("once", 1)
	odd("often", 8)
	c := fit(rows)
	if !(c.offset["once"] > 0 && c.offset["often"] > c.offset["once"]) {
		t.Errorf("offsets %.3f after one row and %.3f after eight", c.offset["once"], c.offset["often"])
	}
	if c.offset["unseen"] != 0 {
		t.Error("a dataset without a sampled row has an offset")
	}
}

func TestSlopesAreNeverBelowZero(t *testing.T) {
	for _, law := range [][2]float64{{-0.5, 0.4}, {0.4, -0.5}, {-1, -1}, {0, 0}} {
		c := fit(sampled(30, 6, law[0], law[1]))
		if c.in < 0 || c.out < 0 || c.in+c.out == 0 || (law[0] > 0) != (c.in > 0.1) || (law[1] > 0) != (c.out > 0.1) {
			t.Errorf("law %v: slopes %.3f and %.3f", law, c.in, c.out)
		}
	}
}

func TestTheCorrectionIsFiniteWhateverTheSample(t *testing.T) {
	same := observation{dataset: "a", in: 0.5, out: 0.5, data: 0.5, better: 0.5, sum: 1}
	for name, rows := range map[string][]observation{"none": nil, "one": {same}, "equal ones": {same, same, same}, "all nothing": {{dataset: "a"}, {dataset: "b"}}} {
		c := fit(rows)
		for _, x := range []float64{c.in, c.out, c.constant("a", 0.5, 0.5), c.constant("b", 0.1, 0.9)} {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				t.Errorf("%s: %+v", name, c)
			}
		}
	}
}
