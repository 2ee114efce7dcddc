package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/decontaminate"
)

// leak is a row of a list that shares text with a benchmark.
type leak struct {
	place int
	of    decontaminate.Leak
}

// findLeaks looks into what the student would see of each row: its input, its output with the reasoning in it, its answer.
func findLeaks(set *decontaminate.Set, task rebased.Task, rows []rebased.Example) (found []leak) {
	if set == nil {
		return nil
	}
	own := set.Own(task)
	texts := make([]string, 3)
	for i := range rows {
		texts[0], texts[1], texts[2] = rows[i].Input, rows[i].Output, rows[i].Answer
		if of, leaks := set.FindBut(own, texts); leaks {
			found = append(found, leak{i, of})
		}
	}
	return found
}

// withoutLeaks takes rows out of a list and makes rejects of them.
func withoutLeaks(step string, rows []rebased.Example, leaks []leak) (clean []rebased.Example, rejects []rebased.Reject) {
	if len(leaks) == 0 {
		return rows, nil
	}
	clean = make([]rebased.Example, 0, len(rows)-len(leaks))
	for i := range rows {
		if len(leaks) == 0 || leaks[0].place != i {
			clean = append(clean, rows[i])
			continue
		}
		rejects = append(rejects, rows[i].Reject(step, rebased.ReasonLeaked, leakDetail(leaks[0].of)))
		leaks = leaks[1:]
	}
	return clean, rejects
}

const leakText = 200 // bytes of what is shared that a reject quotes

// leakDetail names the benchmark and its row; leakedFrom tells by it which benchmark a reject is about.
func leakDetail(of decontaminate.Leak) string {
	text := strings.Join(strings.Fields(of.Text), " ")
	if len(text) > leakText {
		text = strings.ToValidUTF8(text[:leakText], "") + "…"
	}
	return fmt.Sprintf("%srow %d: %s", leakBegin(of.File), of.Line, text)
}

func leakBegin(file string) string { return "benchmark " + file + ", " }

func leakedFrom(detail, file string) bool { return strings.HasPrefix(detail, leakBegin(file)+"row ") }

// leakedName is the object of a build that counts the rows which retrieval left out, by benchmark; there is none where none was.
const leakedName = "leaked.json"

// writeLeaked stores these counts.
func (b *Build) writeLeaked(ctx context.Context, ref BuildRef, counts map[string]int) error {
	if len(counts) == 0 {
		return nil
	}
	body, err := json.Marshal(counts)
	if err != nil {
		return fmt.Errorf("encode the counts of leaks: %w", err)
	}
	if _, err := b.Objects.Put(ctx, rebased.BuildKey(ref.Task, ref.Build, leakedName), body); err != nil {
		return fmt.Errorf("write the counts of leaks: %w", err)
	}
	return nil
}

func (b *Build) readLeaked(ctx context.Context, ref BuildRef) (counts map[string]int, err error) {
	body, _, err := b.Objects.Get(ctx, rebased.BuildKey(ref.Task, ref.Build, leakedName))
	if rebased.KindOf(err) == rebased.NotFound {
		return map[string]int{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the counts of leaks: %w", err)
	}
	if err := json.Unmarshal(body, &counts); err != nil {
		return nil, rebased.E(rebased.Invalid, "read the counts of leaks: %w", err)
	}
	return counts, nil
}
