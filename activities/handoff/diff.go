package handoff

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/rebased/rebased"
)

// VersionRef names a version of a task.
type VersionRef struct {
	Task    string `json:"task"`
	Version string `json:"version"`
}

// Diff is what is other in a version than in another one; its JSON form is a contract. A row is known by the corpus row that it was made of.
type Diff struct {
	From    VersionRef    `json:"from"`
	To      VersionRef    `json:"to"`
	Rows    RowChanges    `json:"rows"`
	Samples []RowChange   `json:"samples"` // the first rows of each kind, in the order of their version
	Sources []Change      `json:"sources"` // datasets that give more or fewer rows, the largest change first
	Reasons []Change      `json:"rejected"`
	Values  []ValueChange `json:"values"` // of the manifest: what the versions were made from and with
	Tokens  [2]int64      `json:"tokens"` // of the answers used, in and out together, from and to
	Quality [2]Quality    `json:"quality"`
}

// RowChanges counts the rows of both versions.
type RowChanges struct {
	From    int `json:"from"`
	To      int `json:"to"`
	Added   int `json:"added"`
	Removed int `json:"removed"`
	Changed int `json:"changed"` // other input or output of the same corpus row
	Moved   int `json:"moved"`   // the same, in another split
	Kept    int `json:"kept"`
}

// RowChange is one row that is not the same.
type RowChange struct {
	Change  string        `json:"change"` // added, removed, changed or moved
	Dataset string        `json:"dataset"`
	Row     rebased.RowID `json:"row_id"`
	Split   string        `json:"split"` // in the later version, or where it was
	Input   string        `json:"input"`
	Output  string        `json:"output"`
}

// Kinds of a RowChange.
const (
	RowAdded   = "added"
	RowRemoved = "removed"
	RowChanged = "changed"
	RowMoved   = "moved"
)

// Change is a number that is another one.
type Change struct {
	Name string `json:"name"`
	From int    `json:"from"`
	To   int    `json:"to"`
}

// ValueChange is a value that is another one.
type ValueChange struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
}

// place is what is known of a row of the earlier version while the later one is read.
type place struct {
	content [sha256.Size / 2]byte
	split   string
	met     bool
}

// Diff compares two versions, with the rows of one Parquet file in memory at a time and some 100 bytes of each row of the first. samples is how many
// rows of each kind are told. Errors are those of Manifest.
func (v Versions) Diff(ctx context.Context, from, to VersionRef, samples int) (Diff, error) {
	was, err := v.Manifest(ctx, from.Task, from.Version)
	if err != nil {
		return Diff{}, err
	}
	is, err := v.Manifest(ctx, to.Task, to.Version)
	if err != nil {
		return Diff{}, err
	}
	out := Diff{
		From: from, To: to, Samples: []RowChange{}, Sources: changesOf(rowsBySource(was), rowsBySource(is)),
		Reasons: changesOf(was.Counts.Rejected, is.Counts.Rejected), Values: valuesOf(was, is),
		Tokens:  [2]int64{was.Tokens.InputTokens + was.Tokens.OutputTokens, is.Tokens.InputTokens + is.Tokens.OutputTokens},
		Quality: [2]Quality{was.Quality, is.Quality},
	}
	known := make(map[rebased.RowID]*place, was.Counts.Train+was.Counts.Validation)
	err = v.eachRow(ctx, from, was, func(split string, e *rebased.Example) {
		known[e.Row] = &place{content: contentOf(e), split: split}
		out.Rows.From++
	})
	if err != nil {
		return Diff{}, err
	}
	told := map[string]int{}
	tell := func(change, split string, e *rebased.Example) {
		if told[change]++; told[change] <= samples {
			out.Samples = append(out.Samples, RowChange{Change: change, Dataset: e.Name, Row: e.Row, Split: split, Input: e.Input, Output: e.Output})
		}
	}
	err = v.eachRow(ctx, to, is, func(split string, e *rebased.Example) {
		out.Rows.To++
		p := known[e.Row]
		switch {
		case p == nil:
			out.Rows.Added++
			tell(RowAdded, split, e)
			return
		case p.content != contentOf(e):
			out.Rows.Changed++
			tell(RowChanged, split, e)
		case p.split != split:
			out.Rows.Moved++
			tell(RowMoved, split, e)
		default:
			out.Rows.Kept++
		}
		p.met = true
	})
	if err != nil {
		return Diff{}, err
	}
	for _, p := range known {
		if !p.met {
			out.Rows.Removed++
		}
	}
	if out.Rows.Removed == 0 || samples == 0 {
		return out, nil
	}
	err = v.eachRow(ctx, from, was, func(split string, e *rebased.Example) {
		if !known[e.Row].met {
			tell(RowRemoved, split, e)
		}
	})
	return out, err
}

// eachRow visits the rows of a version, split by split.
func (v Versions) eachRow(ctx context.Context, ref VersionRef, m Manifest, visit func(split string, e *rebased.Example)) error {
	for _, split := range []string{SplitTrain, SplitValidation} {
		in := ExportInput{Task: ref.Task, Version: ref.Version, Split: split}
		for rows, err := range v.tables(ctx, in, m.tables(split)) {
			if err != nil {
				return err
			}
			for i := range rows {
				visit(split, &rows[i])
			}
		}
	}
	return nil
}

func contentOf(e *rebased.Example) (half [sha256.Size / 2]byte) {
	sum := sha256.Sum256([]byte(e.Input + "\x00" + e.Output))
	copy(half[:], sum[:])
	return half
}

func rowsBySource(m Manifest) map[string]int {
	rows := map[string]int{}
	for _, s := range m.Sources {
		rows[s.Dataset] += s.Rows
	}
	return rows
}

// changesOf lists what differs, the largest difference first.
func changesOf[K ~string](from, to map[K]int) []Change {
	out := []Change{}
	for name, n := range from {
		if to[name] != n {
			out = append(out, Change{Name: string(name), From: n, To: to[name]})
		}
	}
	for name, n := range to {
		if _, known := from[name]; !known && n != 0 {
			out = append(out, Change{Name: string(name), To: n})
		}
	}
	size := func(c Change) int { return max(c.To-c.From, c.From-c.To) }
	slices.SortFunc(out, func(a, b Change) int { return cmp.Or(cmp.Compare(size(b), size(a)), strings.Compare(a.Name, b.Name)) })
	return out
}

// valuesOf lists what the manifests say otherwise of what the versions were made from.
func valuesOf(from, to Manifest) []ValueChange {
	task := func(m Manifest) string {
		for _, f := range m.Files {
			if f.Name == taskName {
				return f.SHA256
			}
		}
		return ""
	}
	out := []ValueChange{}
	for _, value := range []ValueChange{
		{"corpus", from.Corpus.Name + " " + from.Corpus.Revision, to.Corpus.Name + " " + to.Corpus.Revision},
		{"encoder", from.Encoder, to.Encoder},
		{"teacher", from.Teacher.Endpoint + " " + from.Teacher.Model, to.Teacher.Endpoint + " " + to.Teacher.Model},
		{"instruction", from.Instruction, to.Instruction},
		{"system", from.System, to.System},
		{"license", from.License, to.License},
		{"task.yaml", task(from), task(to)},
	} {
		if value.From != value.To {
			out = append(out, value)
		}
	}
	return out
}
