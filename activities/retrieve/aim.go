package retrieve

import (
	"context"
	"fmt"

	"github.com/rebased/rebased"
)

// aim is a task as vectors.
type aim struct {
	in   []float32 // mean of the examples' inputs
	out  []float32 // mean of the examples' targets
	data []float32 // the instruction
}

func (r *Ranker) encodeTask(ctx context.Context, task rebased.Task) (aim, error) {
	texts := []string{task.Instruction}
	for _, e := range task.Examples {
		texts = append(texts, e.Input)
	}
	for _, e := range task.Examples {
		texts = append(texts, e.Target())
	}
	vectors, err := r.encoder.Encode(ctx, texts)
	if err != nil {
		return aim{}, fmt.Errorf("encode the task's instruction and examples: %w", err)
	}
	if len(vectors) != len(texts) {
		return aim{}, fmt.Errorf("encoder %s gave %d vectors for %d texts", r.encoder.Identity(), len(vectors), len(texts))
	}
	n := len(task.Examples)
	return aim{data: vectors[0], in: mean(vectors[1 : 1+n]), out: mean(vectors[1+n:])}, nil
}

func mean(vectors [][]float32) []float32 {
	m := make([]float32, len(vectors[0]))
	for i := range m {
		sum := 0.0
		for _, v := range vectors {
			sum += float64(v[i])
		}
		m[i] = float32(sum / float64(len(vectors)))
	}
	return m
}

// dot sums in order in float64. A product of two float32 is exact there, so that the result is the same with and without fused
// multiply-add, that is, on every architecture.
func dot(a, b []float32) float64 {
	sum := 0.0
	for i, x := range a {
		sum += float64(x) * float64(b[i])
	}
	return sum
}
