package parquet

import "github.com/apache/arrow/go/v17/arrow/memory"

// allocator bounds what the vendor's reader has allocated at one time: sizes that it reads from a damaged file are not to be trusted. It panics
// when they are over the limit, which Decode turns into an error.
type allocator struct {
	memory.GoAllocator
	left int64 // bytes
}

var _ memory.Allocator = (*allocator)(nil)

func (a *allocator) take(n int) {
	if a.left -= int64(n); a.left < 0 {
		panic(errTooLarge)
	}
}

// Allocate implements memory.Allocator.
func (a *allocator) Allocate(size int) []byte {
	a.take(size)
	return a.GoAllocator.Allocate(size)
}

// Reallocate implements memory.Allocator.
func (a *allocator) Reallocate(size int, b []byte) []byte {
	a.take(max(size, cap(b)) - cap(b))
	return a.GoAllocator.Reallocate(size, b)
}

// Free implements memory.Allocator.
func (a *allocator) Free(b []byte) { a.left += int64(cap(b)) }
