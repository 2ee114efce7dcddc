package retrieve

import "math"

// observation is a sampled row: what the index's encoder says of it, and the sum of its terms under the better encoder.
type observation struct {
	dataset string // its name
	in, out float64
	data    float64 // S_data
	better  float64 // S_data under the better encoder
	sum     float64 // S_in + S_out + S_data under the better encoder
}

// correction predicts the better encoder's sum of a row:
//
//	in·S_in + out·S_out + base + data·S_data + better·S_data' + what the dataset's sampled rows are above or below that
//
// Most of a score's variance lies between datasets, so that a few rows of each tell more than all the rest. The two slopes are fitted within
// datasets, the next three to what is left, and a dataset's own offset is shrunk towards none by how much its few rows scatter (a random
// effect, as of Robinson 1991, Statistical Science 6(1)). Over ordinary least squares with the datasets' means as a regressor it finds four
// of a hundred more of the true top in thrice its length, on the data of infra/encoder.
type correction struct {
	in, out            float64 // 0 or more
	base, data, better float64
	offset             map[string]float64 // by the dataset's name
}

// constant is what the prediction adds to in·S_in + out·S_out for every row of a dataset.
func (c correction) constant(dataset string, data, better float64) float64 {
	return c.base + c.data*data + c.better*better + c.offset[dataset]
}

// leastSlope is taken where neither term says anything, so that a ranking of rows remains.
const leastSlope = 0.01

// fit makes the correction from the rows that were sampled, in their order. Without any, the two encoders' terms count alike.
func fit(rows []observation) correction {
	if len(rows) == 0 {
		return correction{in: 1, out: 1, better: 1}
	}
	groups := make(map[string][]int)
	var names []string
	for i, row := range rows {
		if groups[row.dataset] == nil {
			names = append(names, row.dataset)
		}
		groups[row.dataset] = append(groups[row.dataset], i)
	}
	var c correction
	c.in, c.out = slopes(rows, names, groups)
	left := make([]float64, len(rows))
	var design [][3]float64
	for i, row := range rows {
		left[i] = row.sum - c.in*row.in - c.out*row.out
		design = append(design, [3]float64{1, row.data, row.better})
	}
	w := leastSquares(design, left)
	c.base, c.data, c.better = w[0], w[1], w[2]
	for i, row := range rows {
		left[i] -= c.constant(row.dataset, row.data, row.better)
	}
	c.offset = offsets(left, names, groups)
	return c
}

// slopes fits S_in and S_out within datasets, neither below 0: a row that is nearer is not worse.
func slopes(rows []observation, names []string, groups map[string][]int) (in, out float64) {
	var ii, io, oo, is, os float64 // sums of products of what is left of the terms when the dataset's mean is taken off
	for _, name := range names {
		group := groups[name]
		var mi, mo, ms float64
		for _, i := range group {
			mi, mo, ms = mi+rows[i].in, mo+rows[i].out, ms+rows[i].sum
		}
		n := float64(len(group))
		for _, i := range group {
			a, b, s := rows[i].in-mi/n, rows[i].out-mo/n, rows[i].sum-ms/n
			ii, io, oo, is, os = ii+a*a, io+a*b, oo+b*b, is+a*s, os+b*s
		}
	}
	ridge := 1e-6 * float64(len(rows))
	ii, oo = ii+ridge, oo+ridge
	if d := ii*oo - io*io; d > 0 {
		in, out = (is*oo-os*io)/d, (os*ii-is*io)/d
	}
	if in < 0 || out < 0 { // the better of the two alone
		in, out = max(0, is/ii), max(0, os/oo)
		if in*is > out*os {
			out = 0
		} else {
			in = 0
		}
	}
	if in == 0 && out == 0 {
		return leastSlope, leastSlope
	}
	return in, out
}

// offsets gives each dataset the mean of what is left of its rows, shrunk by n / (n + s²/τ²): s² the variance within datasets, τ² between.
func offsets(left []float64, names []string, groups map[string][]int) map[string]float64 {
	means := make(map[string]float64, len(names))
	within, between, share := 0.0, 0.0, 0.0
	for _, name := range names {
		group := groups[name]
		n, sum := float64(len(group)), 0.0
		for _, i := range group {
			sum += left[i]
		}
		m := sum / n
		for _, i := range group {
			within += (left[i] - m) * (left[i] - m)
		}
		means[name], between, share = m, between+m*m, share+1/n
	}
	count := float64(len(names))
	within /= math.Max(1, float64(len(left))-count)
	between = math.Max(1e-9, between/count-within*share/count)
	for _, name := range names {
		n := float64(len(groups[name]))
		means[name] *= n / (n + within/between)
	}
	return means
}

// leastSquares solves for three weights by the normal equations, with a penalty that matters only where they have no one solution.
func leastSquares(design [][3]float64, target []float64) (w [3]float64) {
	var a [3][4]float64
	for i, x := range design {
		for j := range 3 {
			for k := range 3 {
				a[j][k] += x[j] * x[k]
			}
			a[j][3] += x[j] * target[i]
		}
	}
	for j := range 3 {
		a[j][j] += 1e-6 * float64(len(design))
	}
	for j := range 3 { // elimination; the matrix is positive definite
		for k := j + 1; k < 3; k++ {
			f := a[k][j] / a[j][j]
			for l := j; l < 4; l++ {
				a[k][l] -= f * a[j][l]
			}
		}
	}
	for j := 2; j >= 0; j-- {
		w[j] = a[j][3]
		for k := j + 1; k < 3; k++ {
			w[j] -= a[j][k] * w[k]
		}
		w[j] /= a[j][j]
	}
	return w
}
