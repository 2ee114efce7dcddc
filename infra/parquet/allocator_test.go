package parquet

import "testing"

func TestTheAllocatorBoundsWhatIsHeldAtOneTime(t *testing.T) {
	a := &allocator{left: 100}
	for range 10 {
		a.Free(a.Allocate(90))
	}
	b := a.Reallocate(80, a.Allocate(10))
	for name, over := range map[string]func(){
		"allocate": func() { a.Allocate(30) }, "reallocate": func() { a.Reallocate(120, b) }, "huge": func() { a.Allocate(1 << 40) },
	} {
		left := a.left
		if !panics(over) {
			t.Errorf("%s: was allowed with %d of 100 bytes left", name, left)
		}
		a.left = left
	}
}

func panics(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return false
}
