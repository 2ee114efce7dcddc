package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/retrieve"
	"github.com/rebased/rebased/infra/taskfile"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/console"
	"github.com/rebased/rebased/workflows"
)

// Bounds of a preview.
const (
	previewUsual = 10
	previewMost  = 100
	shownSets    = 15 // datasets with bars of their own
	shownPassed  = 10
)

func (a *app) previewCommand() *cobra.Command {
	var file string
	var explain, answers bool
	var rows int
	cmd := &cobra.Command{
		Use:   "preview -f task.yaml [-n 10] [--transform]",
		Short: "Show what a build would retrieve and ask",
		Long: `Show what a build would retrieve and ask: the best rows with the terms of their score and the cells that decided them, which rows were
passed over and why, the curve of scores, the share of each dataset, and the prompts. No version is made. With --transform the teacher answers about
the rows shown; the answers are stored, and a build has them for nothing. With --explain only every value of the task in force is printed.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := a.readTask(cmd, file)
			switch {
			case err != nil:
				return err
			case explain:
				return a.explain(t)
			case rows < 1 || rows > previewMost:
				return misuse(cmd, fmt.Errorf("-n must be between 1 and %d, got %d", previewMost, rows))
			}
			return a.preview(cmd.Context(), t, rows, answers)
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().BoolVar(&explain, "explain", false, "print every value in force, and nothing else")
	cmd.Flags().BoolVar(&answers, "transform", false, "have the teacher answer about the rows shown")
	cmd.Flags().IntVarP(&rows, "rows", "n", previewUsual, "rows to show")
	return cmd
}

// explain prints every value of a task in force.
func (a *app) explain(t taskFile) error {
	encoded, err := taskfile.Encode(t.task)
	if err != nil {
		return err
	}
	return a.console.Result(t.task, func(w io.Writer) { _, _ = w.Write(encoded) })
}

// attended waits for the result of a workflow that was started.
func attended[T any](ctx context.Context, temporal *cluster.Cluster, id string) (result T, err error) {
	result, err = cluster.Attend[T](ctx, temporal, id)
	if ctx.Err() != nil {
		return result, ctx.Err()
	}
	return result, afterStart(err)
}

func (a *app) preview(ctx context.Context, t taskFile, rows int, answers bool) error {
	bucket, temporal, err := a.reach(ctx, a.connectToWorker)
	if err != nil {
		return err
	}
	defer temporal.Close()
	key, err := t.submit(ctx, bucket)
	if err != nil {
		return err
	}
	id := workflows.PreviewID(t.task.Name, newBuild(time.Now()))
	if err := temporal.StartPreview(ctx, id, workflows.PreviewInput{Task: t.task.Name, TaskKey: key, Rows: rows, Answers: answers}); err != nil {
		return err
	}
	result, err := attended[activities.PreviewResult](ctx, temporal, id)
	if err != nil {
		return err
	}
	shown, err := readPreview(ctx, bucket, result.Key)
	if err != nil {
		return afterStart(err)
	}
	return a.console.Result(shown, func(w io.Writer) { writePreview(w, shown, a.console.Width()) })
}

func readPreview(ctx context.Context, bucket store, key string) (shown activities.Preview, err error) {
	body, _, err := bucket.Get(ctx, key)
	if err != nil {
		return shown, fmt.Errorf("read what the worker has found: %w", err)
	}
	if err := json.Unmarshal(body, &shown); err != nil {
		return shown, fmt.Errorf("read %s: %w", key, err)
	}
	return shown, nil
}

// writePreview draws a preview for a terminal of so many characters.
func writePreview(w io.Writer, p activities.Preview, width int) {
	fmt.Fprintf(w, "%s: %s rows of %s datasets from %s, revision %s, by %s, mode %s\n", p.Task, console.Thousands(p.Rows), console.Thousands(len(p.Datasets)),
		p.Corpus, p.Revision, console.OneLine(p.Encoder), p.Mode)
	if answers := len(p.Answer.Examples); answers > 0 {
		const shown = 3
		compared := make([]string, min(shown, answers))
		for i := range compared {
			compared[i] = fmt.Sprintf("%.60q", p.Answer.Examples[i])
		}
		fmt.Fprintf(w, "answers are compared as %s: %s; those of the examples are %s\n", p.Answer.Type, p.Answer.Why, strings.Join(compared, ", "))
	}
	if skipped := byCount(p.Skipped); skipped != "" {
		fmt.Fprintf(w, "passed over: %s\n", skipped)
	}
	if p.Rows == 0 {
		fmt.Fprintln(w, "no row is left: allow more datasets or licenses, or a lower min_score")
		return
	}
	fmt.Fprintln(w, "\nscore by rank")
	console.Curve(w, p.Curve, p.Rows, width)
	fmt.Fprintln(w, "\nrows by dataset")
	var sets []console.Bar
	rest := console.Bar{}
	for i, d := range p.Datasets {
		if i < shownSets {
			sets = append(sets, console.Bar{Name: d.Name, Count: d.Rows})
		} else {
			rest.Count += d.Rows
		}
	}
	if rest.Count > 0 {
		rest.Name = fmt.Sprintf("%d others", len(p.Datasets)-shownSets)
		sets = append(sets, rest)
	}
	console.Bars(w, sets, p.Rows, width)
	writePassed(w, p.Passed, width)
	for i, row := range p.Top {
		heading, prompt := prompts(p.Top, i)
		writePreviewRow(w, row, heading, prompt, width)
	}
}

func writePassed(w io.Writer, passed []retrieve.Passed, width int) {
	if len(passed) == 0 {
		return
	}
	fmt.Fprintln(w, "\npassed over among the rows below")
	for i, row := range passed {
		if i == shownPassed {
			fmt.Fprintf(w, "… and %d more\n", len(passed)-i)
			break
		}
		why := row.Reason
		switch {
		case row.Leak != nil:
			why = fmt.Sprintf("%s, as %s:%d says: %s", row.Reason, row.Leak.File, row.Leak.Line, row.Leak.Text)
		case row.Of != "":
			why = fmt.Sprintf("%s of %s", row.Reason, row.Of)
		}
		fmt.Fprintln(w, console.Cut(fmt.Sprintf("%.4f  %s %s: %s", row.Score, row.Dataset, row.Row, why), width))
	}
}

// prompts gives what is to be shown of a row's prompt: all of the first one, of the others what differs from it.
func prompts(rows []activities.PreviewRow, i int) (heading, text string) {
	first, text := rows[0].Prompt, rows[i].Prompt
	if i == 0 {
		return "prompt", text
	}
	same := 0
	for at := range len(text) {
		if at >= len(first) || text[at] != first[at] {
			break
		}
		if text[at] == '\n' {
			same = at + 1
		}
	}
	end := 0 // what is equal at the end, from a line's begin
	for at := 1; at <= len(text)-same && at <= len(first)-same && text[len(text)-at] == first[len(first)-at]; at++ {
		if text[len(text)-at] == '\n' {
			end = at
		}
	}
	return "prompt, as the first one but for", text[same : len(text)-end]
}

func writePreviewRow(w io.Writer, row activities.PreviewRow, heading, prompt string, width int) {
	fmt.Fprintf(w, "\n#%d  %.4f  %s\n", row.Rank+1, row.Total, console.Cut(row.Dataset.String(), width-16))
	license := row.License
	if license == "" {
		license = "unknown"
	}
	fmt.Fprintf(w, "    row %s, license %s\n", row.ID, console.Cut(license, width-60))
	fmt.Fprintln(w, console.Cut(fmt.Sprintf("    S_in   %+.3f  %s", row.In, cell(row.Candidate, row.InColumn)), width))
	fmt.Fprintln(w, console.Cut(fmt.Sprintf("    S_out  %+.3f  %s", row.Out, cell(row.Candidate, row.OutColumn)), width))
	fmt.Fprintf(w, "    S_data %+.3f  instruction and description\n", row.Data)
	fmt.Fprintf(w, "    %s\n%s", heading, console.Indented(prompt, "    | "))
	switch {
	case row.Rejected != "":
		fmt.Fprintln(w, console.Cut(fmt.Sprintf("    rejected as %s: %s", row.Rejected, row.Detail), width))
	case row.Output != "":
		fmt.Fprintf(w, "    input\n%s    output\n%s", console.Indented(row.Input, "    > "), console.Indented(row.Output, "    > "))
	}
}

// cell shows the cell of a column.
func cell(c rebased.Candidate, column string) string {
	for _, cell := range c.Cells {
		if cell.Column == column {
			return column + ": " + strings.TrimSpace(cell.Text)
		}
	}
	return column
}
