package ingest

import (
	"cmp"
	"slices"

	"github.com/rebased/rebased"
)

const (
	batchFiles = 100
	batchBytes = 64 << 20 // as stored
)

// Splits groups sources into dataset splits, ordered by dataset, the files of each by path: the unit of conversion, since stride and row ids run
// over a whole split. A file that is listed twice counts once.
func Splits(sources []rebased.Source) [][]rebased.Source {
	sorted := slices.Clone(sources)
	slices.SortStableFunc(sorted, func(a, b rebased.Source) int {
		return cmp.Or(compareIDs(a.DatasetID, b.DatasetID), cmp.Compare(a.Path, b.Path), cmp.Compare(a.SHA256, b.SHA256), cmp.Compare(a.ETag, b.ETag))
	})
	sorted = slices.CompactFunc(sorted, func(a, b rebased.Source) bool {
		return a.DatasetID == b.DatasetID && a.Path == b.Path && a.SHA256 == b.SHA256 && a.ETag == b.ETag
	})
	var splits [][]rebased.Source
	for i, source := range sorted {
		if i == 0 || source.DatasetID != sorted[i-1].DatasetID {
			splits = append(splits, nil)
		}
		last := &splits[len(splits)-1]
		*last = append(*last, source)
	}
	return splits
}

// Batch is a range of splits, [From, To), for one activity.
type Batch struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// Batches cuts a list of splits into ranges of bounded work. A split is never cut.
func Batches(splits [][]rebased.Source) []Batch {
	var batches []Batch
	var files int
	var bytes int64
	for i, split := range splits {
		if i == 0 || files >= batchFiles || bytes >= batchBytes {
			batches = append(batches, Batch{From: i})
			files, bytes = 0, 0
		}
		for _, s := range split {
			files, bytes = files+1, bytes+s.Size
		}
		batches[len(batches)-1].To = i + 1
	}
	return batches
}

func compareIDs(a, b rebased.DatasetID) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Config, b.Config), cmp.Compare(a.Split, b.Split))
}
