package llm

import "crypto/sha256"

// places says in which segment an answer stands. It is held of every answer of a scope, so an entry is small: of the key it has the first half
// of a hash, which no two keys share.
type places map[[16]byte]int32

func short(key Key) [16]byte {
	sum := sha256.Sum256([]byte(key))
	return [16]byte(sum[:])
}

// find gives the number of the segment.
func (p places) find(key Key) (segment int, known bool) {
	n, known := p[short(key)]
	return int(n), known
}

// learn enters an answer. The first segment that has it stays.
func (p places) learn(key Key, segment int) {
	k := short(key)
	if _, known := p[k]; !known {
		p[k] = int32(segment) //nolint:gosec // segments fit in 31 bits
	}
}

// forget takes an answer out that does not stand in a segment any more.
func (p places) forget(key Key, segment int) {
	if k := short(key); p[k] == int32(segment) { //nolint:gosec // see learn
		delete(p, k)
	}
}
