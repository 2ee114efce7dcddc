package ingest

// stride takes at most max of n rows, evenly: those with the numbers floor(k·n/max) for k = 0 … max-1.
type stride struct {
	n, max int
	row    int // the next one
	taken  int
}

// newStride takes all rows when max is 0.
func newStride(n, max int) *stride {
	if max == 0 || max > n {
		max = n
	}
	return &stride{n: n, max: max}
}

// next goes to the next row and says whether it is taken.
func (s *stride) next() bool {
	take := s.taken < s.max && s.row == s.taken*s.n/s.max
	if take {
		s.taken++
	}
	s.row++
	return take
}
