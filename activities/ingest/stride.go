package ingest

// stride takes most of n rows, evenly: those with the numbers floor(k·n/most) for k = 0 … most-1.
type stride struct {
	n, most int
	row     int // the next one
	taken   int
}

// newStride takes all rows when most is 0.
func newStride(n, most int) *stride {
	if most == 0 || most > n {
		most = n
	}
	return &stride{n: n, most: most}
}

// next goes to the next row and says whether it is taken.
func (s *stride) next() bool {
	take := s.taken < s.most && s.row == s.taken*s.n/s.most
	if take {
		s.taken++
	}
	s.row++
	return take
}
