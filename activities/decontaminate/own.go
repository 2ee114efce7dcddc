package decontaminate

import (
	"crypto/sha256"

	"github.com/rebased/rebased"
)

// Own is what a task says itself: its instruction, what several of its examples have in common, its labels and its examples' answers. Every example
// made for the task says that too, and so does a benchmark of the same task; it makes no leak.
type Own struct {
	n      int
	pieces map[uint64]struct{} // of n words
	wholes map[string]struct{} // short texts
}

// Own gives what a task says itself, for looking into its examples.
func (s *Set) Own(task rebased.Task) *Own {
	own := &Own{n: s.n/2 + 1, pieces: map[uint64]struct{}{}, wholes: map[string]struct{}{}}
	seen := map[uint64]int{} // piece -> the last example that has it
	var w words
	each := func(text string, visit func(hash uint64)) {
		w.reset()
		w.add(text)
		w.grams(own.n, func(hash uint64, _, _ int) bool { visit(hash); return true })
	}
	each(task.Instruction, func(hash uint64) { own.pieces[hash] = struct{}{} })
	for i, e := range task.Examples {
		for _, text := range []string{e.Input, e.Output} {
			each(text, func(hash uint64) {
				if before, known := seen[hash]; known && before != i {
					own.pieces[hash] = struct{}{}
				}
				seen[hash] = i
			})
		}
		own.wholes[plain(e.Output)], own.wholes[plain(e.Answer)] = struct{}{}, struct{}{}
	}
	for _, label := range task.Transform.Constraints.Labels {
		own.wholes[plain(label)] = struct{}{}
	}
	return own
}

// said counts, for each place of a text's words, the words before it that are in pieces of the task's own.
func (o *Own) said(w *words) []int32 {
	sums := make([]int32, len(w.hashes)+1)
	at, until, found := o.n, 0, false
	w.grams(o.n, func(hash uint64, _, _ int) bool {
		if _, own := o.pieces[hash]; own {
			for i := max(until, at-o.n); i < at; i++ {
				sums[i+1] = 1
			}
			until, found = at, true
		}
		at++
		return true
	})
	if !found {
		return nil
	}
	for i := range w.hashes {
		sums[i+1] += sums[i]
	}
	return sums
}

// whole stands for all words of a text.
type whole [16]byte

func wholeOf(w *words) whole {
	sum := sha256.Sum256(w.text)
	return whole(sum[:])
}
