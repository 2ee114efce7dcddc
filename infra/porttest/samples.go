package porttest

import "github.com/rebased/rebased"

// SampleRows are rows with cells of several scripts, empty cells and repeated columns.
func SampleRows() []rebased.Row {
	id := rebased.DatasetID{Name: "owner/qa", Config: "default", Split: "train"}
	other := rebased.DatasetID{Name: "größe", Config: "データ", Split: "test"}
	cells := [][]rebased.Cell{
		{{Column: "question", Text: "What river runs through Warsaw?"}, {Column: "answers.text", Text: "Vistula"}},
		{{Column: "question", Text: "Какая река?"}, {Column: "answers.text", Text: ""}, {Column: "answers.text", Text: "Висла\n🙂\x00"}},
		{},
	}
	return []rebased.Row{
		{ID: rebased.NewRowID(id, cells[0], 0), Dataset: id, Cells: cells[0]},
		{ID: rebased.NewRowID(other, cells[1], 0), Dataset: other, Cells: cells[1]},
		{ID: rebased.NewRowID(id, cells[2], 7), Dataset: id, Cells: cells[2]},
	}
}

// SampleCandidates are the sample rows as retrieval ranks them.
func SampleCandidates() []rebased.Candidate {
	var out []rebased.Candidate
	for i, row := range SampleRows() {
		at := float32(i) / 8
		out = append(out, rebased.Candidate{
			Row: row,
			Scores: rebased.Scores{
				Total: 0.75 - at, In: 0.5 - at, Out: 1 - at, Data: -at, InColumn: "question", OutColumn: "answers.text",
			},
			Rank: i, License: "cc-by-4.0", Revision: "5d0ff6c7",
		})
	}
	return out
}

// SampleExamples are examples with and without reasoning and stored answers.
func SampleExamples() []rebased.Example {
	candidates := SampleCandidates()
	first, second := rebased.LineageOf(candidates[0]), rebased.LineageOf(candidates[1])
	first.Responses, first.Teacher = []string{"responses/aa/1", "responses/bb/2"}, "teacher-1"
	return []rebased.Example{
		{
			Input: "Question: What river runs through Warsaw?", Output: "It stands on the Vistula. The answer is Vistula.",
			Answer: "Vistula", Lineage: first, Usage: rebased.Usage{InputTokens: 812, OutputTokens: 1 << 33},
		},
		{Input: "Какая река?", Output: "Висла", Answer: "Висла", Lineage: second},
	}
}

// SampleRejects are rejects of several steps.
func SampleRejects() []rebased.Reject {
	candidates := SampleCandidates()
	first, second := rebased.LineageOf(candidates[0]), rebased.LineageOf(candidates[2])
	first.Responses, first.Teacher = []string{"responses/aa/1"}, "teacher-1"
	return []rebased.Reject{
		{
			Lineage: first, Step: "dedupe", Reason: rebased.ReasonNearDuplicate, Detail: "jaccard 0.91", Attempts: 1,
			Input: "in", Output: "out", Of: candidates[1].ID, Usage: rebased.Usage{InputTokens: 3, OutputTokens: 4},
		},
		{Lineage: second, Step: "transform", Reason: rebased.ReasonUnusable, Detail: "no JSON object", Attempts: 3},
	}
}

// SampleDatasets are datasets with and without what is not always known.
func SampleDatasets() []rebased.Dataset {
	return []rebased.Dataset{
		{
			DatasetID:   rebased.DatasetID{Name: "owner/qa", Config: "default", Split: "train"},
			Description: "Questions about\nrivers.", License: "cc-by-4.0", Revision: "5d0ff6c7", ETag: `"9a0364b9"`, Rows: 1000,
		},
		{DatasetID: rebased.DatasetID{Name: "größe", Config: "データ", Split: "test"}},
	}
}
