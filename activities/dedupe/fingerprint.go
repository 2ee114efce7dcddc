package dedupe

import (
	"context"
	"crypto/sha256"
	"runtime"
	"sync"

	"github.com/rebased/rebased"
)

// digest stands for a normalised text: long enough that two texts never share one.
type digest [16]byte

func digestOf(text string) digest {
	sum := sha256.Sum256([]byte(text))
	return digest(sum[:])
}

// fingerprint is a row and all that it is compared by.
type fingerprint struct {
	example       *rebased.Example
	input, output digest
	length        int      // bytes of the compared text
	shingles      []uint64 // sorted; nil when near-duplicates stay
	bands         []uint32 // one hash a band of its signature
}

// fingerprints computes one for each example, on every processor.
func fingerprints(ctx context.Context, settings rebased.Dedupe, examples []rebased.Example) ([]*fingerprint, error) {
	prints := make([]*fingerprint, len(examples))
	workers := runtime.GOMAXPROCS(0)
	maker := printMaker{near: settings.MinHash > 0, hasher: newHasher(), banding: newBanding(settings.MinHash)}
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			maker := maker // its scratch space is this goroutine's own
			maker.normaliser = newNormaliser()
			from, to := len(examples)*w/workers, len(examples)*(w+1)/workers
			for i := from; i < to; i++ {
				if i%256 == 0 && ctx.Err() != nil {
					return
				}
				prints[i] = maker.print(&examples[i])
			}
		})
	}
	group.Wait()
	return prints, ctx.Err()
}

// printMaker computes fingerprints one after the other.
type printMaker struct {
	near       bool
	hasher     *hasher
	banding    banding
	normaliser *normaliser
	scratch    []uint64
}

func (m *printMaker) print(e *rebased.Example) *fingerprint {
	input, output := m.normaliser.text(e.Input), m.normaliser.text(e.Output)
	f := &fingerprint{example: e, input: digestOf(input), output: digestOf(output), length: len(input) + len(output)}
	if m.near {
		f.shingles, m.scratch = shingles(compared(input, output), m.scratch)
		f.bands = m.banding.keys(m.hasher.sign(f.shingles))
	}
	return f
}

// compared joins what near-duplicates are compared by.
func compared(input, output string) string {
	if input == "" || output == "" {
		return input + output
	}
	return input + " " + output
}
