package activities

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/dedupe"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/activities/ingest"
)

// given reads what the rows of a build must not repeat: the versions and files of dedupe.against.
type given struct {
	versions handoff.Versions
	parquet  ingest.Format
}

// pin names the versions that a task means today in place of those that it leaves open, and, for a delta that names none, all released versions of
// the task itself. Each version and file that is named is found to be there.
func (g given) pin(ctx context.Context, task *rebased.Task) error {
	var refs []string
	own := false
	for i, ref := range task.Dedupe.Against {
		at := fmt.Sprintf("dedupe.against[%d]", i)
		name, version, ok := rebased.ParseVersionRef(ref)
		switch {
		case !ok:
			if err := g.check(ctx, ref, task.Instruction); err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
			refs = append(refs, ref)
			continue
		case version != "":
			if _, err := g.versions.Manifest(ctx, name, version); err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
			refs = append(refs, ref)
		case name == task.Name: // of a delta: all its versions, below
			continue
		default:
			whole, err := g.latest(ctx, name)
			if err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
			refs = append(refs, whole...)
		}
		own = own || name == task.Name
	}
	if task.Output.Delta() && !own {
		released, err := g.versions.Released(ctx, task.Name)
		if err != nil {
			return err
		}
		for i, version := range released {
			if _, err := g.versions.Manifest(ctx, task.Name, version); err != nil {
				return rebased.E(rebased.KindOf(err), "output.mode: delta: version %s was released and cannot be compared with: %w: "+
					"name those that can be, as %s@VERSION, in dedupe.against", version, err, task.Name)
			}
			refs = slices.Insert(refs, i, rebased.VersionRef(task.Name, version))
		}
	}
	seen := map[string]bool{}
	task.Dedupe.Against = slices.DeleteFunc(refs, func(ref string) bool {
		again := seen[ref]
		seen[ref] = true
		return again
	})
	return nil
}

// latest names the released version of a task, and those that it is a delta to.
func (g given) latest(ctx context.Context, task string) (refs []string, err error) {
	latest, found, err := g.versions.Latest(ctx, task)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, rebased.E(rebased.NotFound, "task %s has no released version: build it first, or remove it here", task)
	}
	manifest, err := g.versions.Manifest(ctx, task, latest.Version)
	for _, version := range append(manifest.DeltaTo, latest.Version) {
		refs = append(refs, rebased.VersionRef(task, version))
	}
	return refs, err
}

// check reads a file to its end.
func (g given) check(ctx context.Context, ref, instruction string) error {
	rows := 0
	for part, err := range g.file(ctx, ref, instruction) {
		if err != nil {
			return err
		}
		rows += len(part.Rows)
	}
	if rows == 0 {
		_, name, _ := rebased.ParseBenchmarkRef(ref)
		return rebased.E(rebased.Invalid, "%s holds no row: remove it", name)
	}
	return nil
}

// rows gives all given rows, at most dedupe.PartRows at a time.
func (g given) rows(ctx context.Context, task rebased.Task) iter.Seq2[dedupe.Given, error] {
	return func(yield func(dedupe.Given, error) bool) {
		for _, ref := range task.Dedupe.Against {
			parts := g.file(ctx, ref, task.Instruction)
			if name, version, ok := rebased.ParseVersionRef(ref); ok {
				parts = g.version(ctx, name, version)
			}
			for part, err := range parts {
				if err != nil {
					err = fmt.Errorf("dedupe.against: %w", err)
				}
				if !yield(part, err) || err != nil {
					return
				}
			}
		}
	}
}

func (g given) version(ctx context.Context, task, version string) iter.Seq2[dedupe.Given, error] {
	return func(yield func(dedupe.Given, error) bool) {
		for rows, err := range g.versions.Rows(ctx, task, version) {
			if err != nil {
				yield(dedupe.Given{}, err)
				return
			}
			for part := range slices.Chunk(rows, dedupe.PartRows) {
				if !yield(dedupe.Given{Source: rebased.VersionRef(task, version), Rows: part}, nil) {
					return
				}
			}
		}
	}
}

// file reads the rows of an uploaded file; each is called by its line. What cannot be read is an error, since it could hide a repeat.
func (g given) file(ctx context.Context, ref, instruction string) iter.Seq2[dedupe.Given, error] {
	return func(yield func(dedupe.Given, error) bool) {
		key, name, ok := rebased.ParseBenchmarkRef(ref)
		if !ok {
			yield(dedupe.Given{}, rebased.E(rebased.Invalid, "%q was not uploaded: start the task with the command line, which uploads it", ref))
			return
		}
		body, _, err := g.versions.Objects.Get(ctx, key)
		if err != nil {
			yield(dedupe.Given{}, fmt.Errorf("read %s: %w", name, err))
			return
		}
		records := g.records(ctx, name, body)
		if strings.HasSuffix(name, ".jsonl") {
			records = lines(name, body)
		}
		part := dedupe.Given{Source: name}
		for e, err := range records {
			if err != nil {
				yield(dedupe.Given{}, err)
				return
			}
			e.Input = strings.TrimPrefix(e.Input, instruction+"\n\n") // of format prompt-completion
			if part.Rows = append(part.Rows, e); len(part.Rows) == dedupe.PartRows {
				if !yield(part, ctx.Err()) {
					return
				}
				part.Rows = nil
			}
		}
		if len(part.Rows) > 0 {
			yield(part, ctx.Err())
		}
	}
}

// line is a row in one of the formats that trainers read.
type line struct {
	Input         *string `json:"input"`
	Output        *string `json:"output"`
	Prompt        *string `json:"prompt"`
	Completion    *string `json:"completion"`
	Messages      []turn  `json:"messages"`
	Conversations []turn  `json:"conversations"`
}

// turn is one of a conversation, in messages or in ShareGPT's form.
type turn struct {
	Role    string `json:"role"`
	Content string `json:"content"`
	From    string `json:"from"`
	Value   string `json:"value"`
}

// row gives the input and output of a line; ok is false when it has none. Of a conversation they are the first turn of the user and the one after it.
func (l line) row() (e rebased.Example, ok bool) {
	switch {
	case l.Input != nil && l.Output != nil:
		return rebased.Example{Input: *l.Input, Output: *l.Output}, true
	case l.Prompt != nil && l.Completion != nil:
		return rebased.Example{Input: *l.Prompt, Output: *l.Completion}, true
	}
	for i := range len(l.Messages) - 1 {
		if l.Messages[i].Role == "user" {
			return rebased.Example{Input: l.Messages[i].Content, Output: l.Messages[i+1].Content}, true
		}
	}
	for i := range len(l.Conversations) - 1 {
		if l.Conversations[i].From == "human" {
			return rebased.Example{Input: l.Conversations[i].Value, Output: l.Conversations[i+1].Value}, true
		}
	}
	return e, false
}

// lines reads JSONL.
func lines(name string, body []byte) iter.Seq2[rebased.Example, error] {
	return func(yield func(rebased.Example, error) bool) {
		reader := bufio.NewReader(bytes.NewReader(body))
		for number := 1; ; number++ {
			text, err := reader.ReadBytes('\n')
			if len(bytes.TrimSpace(text)) > 0 {
				var l line
				if err := json.Unmarshal(text, &l); err != nil {
					yield(rebased.Example{}, rebased.E(rebased.Invalid, "%s:%d: %w", name, number, err))
					return
				}
				e, ok := l.row()
				if e.Rank = number; !ok {
					yield(e, rowless(name, number))
					return
				}
				if !yield(e, nil) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
		}
	}
}

func rowless(name string, number int) error {
	return rebased.E(rebased.Invalid, "%s:%d: has no input and output: columns input and output, prompt and completion, or in JSONL messages or conversations are wanted", name, number)
}

// records reads CSV and Parquet.
func (g given) records(ctx context.Context, name string, body []byte) iter.Seq2[rebased.Example, error] {
	return func(yield func(rebased.Example, error) bool) {
		records, err := ingest.ReadFile(ctx, name, body, g.parquet, ingest.DefaultLimits())
		if err != nil {
			yield(rebased.Example{}, err)
			return
		}
		for record, err := range records {
			switch {
			case err != nil:
				yield(rebased.Example{}, rebased.E(rebased.Invalid, "%s: %w", name, err))
				return
			case record.Bad != "":
				yield(rebased.Example{}, rebased.E(rebased.Invalid, "%s:%d: %s", name, record.Line, record.Bad))
				return
			case record.Cells == nil:
				continue // a note
			}
			e, ok := rowOf(record.Cells)
			if e.Rank = record.Line; !ok {
				yield(e, rowless(name, record.Line))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// rowOf takes the columns of a row. An empty cell is none, so that a row with one of the two columns is a row.
func rowOf(cells *ingest.RowCells) (rebased.Example, bool) {
	var l line
	for _, cell := range cells.Cells() {
		text := strings.Clone(cell.Text)
		switch strings.ToLower(cell.Column) {
		case "input":
			l.Input = &text
		case "output":
			l.Output = &text
		case "prompt":
			l.Prompt = &text
		case "completion":
			l.Completion = &text
		}
	}
	empty := ""
	if l.Input != nil && l.Output == nil {
		l.Output = &empty
	}
	return l.row()
}
