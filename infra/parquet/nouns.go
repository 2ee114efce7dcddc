package parquet

import (
	"slices"

	"github.com/rebased/rebased"
)

// The schemas of the nouns. Columns are called as the nouns' JSON fields; the id of a row is row_id in every file, so that files can be joined.

// RowSchema is the schema of a corpus part.
func RowSchema() *Schema[rebased.Row] {
	return &Schema[rebased.Row]{row(func(r *rebased.Row) *rebased.Row { return r })}
}

// CandidateSchema is the schema of retrieved rows.
func CandidateSchema() *Schema[rebased.Candidate] {
	type noun = rebased.Candidate
	return &Schema[noun]{slices.Concat(row(func(c *noun) *rebased.Row { return &c.Row }), []column[noun]{
		text("license", func(c *noun) *string { return &c.License }).recurring(),
		text("revision", func(c *noun) *string { return &c.Revision }).recurring(),
		integer("rank", func(c *noun) *int { return &c.Rank }),
		score("score", func(c *noun) *float32 { return &c.Total }),
		score("score_in", func(c *noun) *float32 { return &c.In }),
		score("score_out", func(c *noun) *float32 { return &c.Out }),
		score("score_data", func(c *noun) *float32 { return &c.Data }),
		text("in_column", func(c *noun) *string { return &c.InColumn }).recurring(),
		text("out_column", func(c *noun) *string { return &c.OutColumn }).recurring(),
	})}
}

// ExampleSchema is the schema of training rows, between the steps and as released.
func ExampleSchema() *Schema[rebased.Example] {
	type noun = rebased.Example
	return &Schema[noun]{slices.Concat([]column[noun]{
		text("input", func(e *noun) *string { return &e.Input }),
		text("output", func(e *noun) *string { return &e.Output }),
		text("answer", func(e *noun) *string { return &e.Answer }),
	}, lineage(func(e *noun) *rebased.Lineage { return &e.Lineage }), usage(func(e *noun) *rebased.Usage { return &e.Usage }), []column[noun]{
		lists("rejected", func(e *noun) *[]string { return &e.Rejected }),
	}, judged(func(e *noun) *rebased.Judgement { return &e.Judged }))}
}

// RejectSchema is the schema of rows that are not used.
func RejectSchema() *Schema[rebased.Reject] {
	type noun = rebased.Reject
	return &Schema[noun]{slices.Concat([]column[noun]{
		text("step", func(r *noun) *string { return &r.Step }).recurring(),
		text("reason", func(r *noun) *rebased.Reason { return &r.Reason }).recurring(),
		text("detail", func(r *noun) *string { return &r.Detail }),
		integer("attempts", func(r *noun) *int { return &r.Attempts }),
		text("input", func(r *noun) *string { return &r.Input }),
		text("output", func(r *noun) *string { return &r.Output }),
		text("of", func(r *noun) *rebased.RowID { return &r.Of }),
	}, lineage(func(r *noun) *rebased.Lineage { return &r.Lineage }), usage(func(r *noun) *rebased.Usage { return &r.Usage }), []column[noun]{
		double("cost_usd", func(r *noun) *float64 { return &r.CostUSD }),
	}, judged(func(r *noun) *rebased.Judgement { return &r.Judged }))}
}

// DatasetSchema is the schema of a corpus's list of datasets.
func DatasetSchema() *Schema[rebased.Dataset] {
	type noun = rebased.Dataset
	return &Schema[noun]{slices.Concat(dataset(func(d *noun) *rebased.DatasetID { return &d.DatasetID }), []column[noun]{
		text("description", func(d *noun) *string { return &d.Description }),
		text("license", func(d *noun) *string { return &d.License }).recurring(),
		text("revision", func(d *noun) *string { return &d.Revision }),
		text("etag", func(d *noun) *string { return &d.ETag }),
		integer("rows", func(d *noun) *int { return &d.Rows }),
	})}
}

func row[T any](at func(*T) *rebased.Row) []column[T] {
	return slices.Concat([]column[T]{
		text("row_id", func(t *T) *rebased.RowID { return &at(t).ID }),
	}, dataset(func(t *T) *rebased.DatasetID { return &at(t).Dataset }), []column[T]{
		cells("cells", func(t *T) *[]rebased.Cell { return &at(t).Cells }),
	})
}

func dataset[T any](at func(*T) *rebased.DatasetID) []column[T] {
	return []column[T]{
		text("dataset", func(t *T) *string { return &at(t).Name }).recurring(),
		text("config", func(t *T) *string { return &at(t).Config }).recurring(),
		text("split", func(t *T) *string { return &at(t).Split }).recurring(),
	}
}

func lineage[T any](at func(*T) *rebased.Lineage) []column[T] {
	return slices.Concat(dataset(func(t *T) *rebased.DatasetID { return &at(t).DatasetID }), []column[T]{
		text("row_id", func(t *T) *rebased.RowID { return &at(t).Row }),
		text("license", func(t *T) *string { return &at(t).License }).recurring(),
		text("revision", func(t *T) *string { return &at(t).Revision }).recurring(),
		integer("rank", func(t *T) *int { return &at(t).Rank }),
		score("score", func(t *T) *float32 { return &at(t).Score }),
		score("score_in", func(t *T) *float32 { return &at(t).ScoreIn }),
		score("score_out", func(t *T) *float32 { return &at(t).ScoreOut }),
		score("score_data", func(t *T) *float32 { return &at(t).ScoreData }),
		list("responses", func(t *T) *[]string { return &at(t).Responses }),
		text("teacher", func(t *T) *string { return &at(t).Teacher }).recurring(),
	})
}

func usage[T any](at func(*T) *rebased.Usage) []column[T] {
	return []column[T]{
		integer("usage_input", func(t *T) *int64 { return &at(t).InputTokens }),
		integer("usage_output", func(t *T) *int64 { return &at(t).OutputTokens }),
	}
}

// judged are the columns of rows that a judge was asked about.
func judged[T any](at func(*T) *rebased.Judgement) []column[T] {
	asked := func(t *T) bool { return *at(t) != rebased.Judgement{} }
	return []column[T]{
		score("judge_score", func(t *T) *float32 { return &at(t).Score }).where(asked),
		integer("judge_input", func(t *T) *int64 { return &at(t).Usage.InputTokens }).where(asked),
		integer("judge_output", func(t *T) *int64 { return &at(t).Usage.OutputTokens }).where(asked),
	}
}
