package shard

// table says where each point is. Slots are numbered in the order of writing and never change; a dead one stays until pack.
type table struct {
	dims    []int
	ids     []ID
	payload []span
	vectors [][]span // by vector of the collection, then by slot
	alive   bitset
	live    int
	bytes   int64 // what the live points take in the log
	slots   map[ID]uint32
	fields  map[string]*field
}

func newTable(dims []int) *table {
	return &table{
		dims:    dims,
		vectors: make([][]span, len(dims)),
		slots:   map[ID]uint32{},
		fields:  map[string]*field{},
	}
}

// put gives a point a new slot, in place of the one that it had. vectors has one span for each vector of the collection.
func (t *table) put(id ID, payload span, vectors []span) uint32 {
	t.kill(id)
	slot := uint32(len(t.ids)) //nolint:gosec // memory ends before 32 bits do
	t.ids = append(t.ids, id)
	t.payload = append(t.payload, payload)
	for i, v := range vectors {
		t.vectors[i] = append(t.vectors[i], v)
	}
	if int(slot/64) == len(t.alive) {
		t.alive = append(t.alive, 0)
	}
	t.alive.add(slot)
	t.slots[id] = slot
	t.live++
	t.bytes += t.size(slot)
	return slot
}

// kill takes a point out; one that is not there is no error.
func (t *table) kill(id ID) {
	slot, ok := t.slots[id]
	if !ok {
		return
	}
	delete(t.slots, id)
	t.alive.remove(slot)
	t.live--
	t.bytes -= t.size(slot)
}

// size is what a slot takes in the log.
func (t *table) size(slot uint32) int64 {
	n := entryBytes(len(t.dims)) + int(t.payload[slot].n)
	for i, dim := range t.dims {
		n += 4 * dim * int(t.vectors[i][slot].n)
	}
	return int64(n)
}

// oldestSegment is the lowest segment that a slot needs.
func (t *table) oldestSegment(slot uint32) uint32 {
	oldest := t.payload[slot].segment
	for i := range t.dims {
		if v := t.vectors[i][slot]; v.n > 0 {
			oldest = min(oldest, v.segment)
		}
	}
	return oldest
}

// pack gives a table with the same points without the dead slots.
func (t *table) pack() *table {
	packed := newTable(t.dims)
	packed.ids = make([]ID, 0, t.live)
	packed.payload = make([]span, 0, t.live)
	packed.alive = make(bitset, 0, len(newBitset(t.live)))
	packed.slots = make(map[ID]uint32, t.live)
	for i := range t.dims {
		packed.vectors[i] = make([]span, 0, t.live)
	}
	moved := make([]uint32, len(t.ids))
	vectors := make([]span, len(t.dims))
	for slot := range t.alive.all() {
		for i := range t.dims {
			vectors[i] = t.vectors[i][slot]
		}
		moved[slot] = packed.put(t.ids[slot], t.payload[slot], vectors)
	}
	for key, f := range t.fields {
		packed.fields[key] = f.pack(t.alive, moved)
	}
	return packed
}
