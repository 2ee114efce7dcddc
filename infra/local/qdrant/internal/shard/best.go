package shard

import "slices"

// scored is a slot with its score.
type scored struct {
	score float32
	id    ID
	slot  uint32
}

// compare orders the better one first: higher score, then lower id.
func (a scored) compare(b scored) int {
	switch {
	case a.score > b.score:
		return -1
	case a.score < b.score:
		return 1
	}
	return a.id.Compare(b.id)
}

// best keeps the first k of all that it is offered: a heap with the worst one kept on top.
type best struct {
	k    int
	kept []scored
}

func (b *best) offer(s scored) {
	if len(b.kept) < b.k {
		b.kept = append(b.kept, s)
		b.up(len(b.kept) - 1)
	} else if b.k > 0 && s.compare(b.kept[0]) < 0 {
		b.kept[0] = s
		b.down(0)
	}
}

func (b *best) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if b.kept[i].compare(b.kept[parent]) <= 0 {
			return
		}
		b.kept[i], b.kept[parent] = b.kept[parent], b.kept[i]
		i = parent
	}
}

func (b *best) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(b.kept) {
			return
		}
		if child+1 < len(b.kept) && b.kept[child+1].compare(b.kept[child]) > 0 {
			child++
		}
		if b.kept[child].compare(b.kept[i]) <= 0 {
			return
		}
		b.kept[i], b.kept[child] = b.kept[child], b.kept[i]
		i = child
	}
}

// sorted gives what was kept, the best one first. The heap is spent by it.
func (b *best) sorted() []scored {
	slices.SortFunc(b.kept, scored.compare)
	return b.kept
}
