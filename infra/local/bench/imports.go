package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// importRows is how many generated rows are imported from a file of each format.
const importRows = 200_000

// importTurns is how often each program converts a file; medians are shown.
const importTurns = 3

// makeFiles writes the rows of a file of JSON lines as Parquet and CSV too.
const makeFiles = `import sys, pyarrow.csv, pyarrow.json, pyarrow.parquet
table = pyarrow.json.read_json(sys.argv[1])
pyarrow.parquet.write_table(table, sys.argv[2])
pyarrow.csv.write_csv(table, sys.argv[3])`

// conversion is what reading a file and writing it as Parquet took, as both programs print it.
type conversion struct {
	Rows   int     `json:"rows"`
	CPU    float64 `json:"convert_cpu_s"`
	Wall   float64 `json:"convert_s"`
	PeakMB float64 `json:"peak_mb"`
}

// imports converts files with the code of an import (bench/convert) and with pyarrow (retrieval/import.py), a process each for every file and turn. What is
// compared is pyarrow that makes the columns of a corpus, since that is the work to be done; how it fares with the columns as they are stands beside, without
// a target. Both write Zstandard, each at its fastest level.
func (m *measurement) imports(ctx context.Context) error {
	if m.python == nil {
		return nil
	}
	dir := filepath.Join(m.dir, "imports")
	if err := generate(dir, 1, importRows, ""); err != nil {
		return err
	}
	lines := filepath.Join(dir, "soak--set00", "default.jsonl")
	parquet, csv := filepath.Join(dir, "default.parquet"), filepath.Join(dir, "default.csv")
	convert := filepath.Join(dir, "convert")
	err := errors.Join(
		m.python.run(ctx, "-c", makeFiles, lines, parquet, csv),
		run(exec.CommandContext(ctx, "go", "build", "-o", convert, "./bench/convert")), // beside this program
	)
	if err != nil {
		return err
	}
	script := filepath.Join(m.python.scripts, "import.py")
	for _, file := range []string{lines, csv, parquet} {
		var ours, cells, table conversions
		for range importTurns { // in turns, so that what else the machine does falls on all
			var failed [3]error
			ours, failed[0] = ours.run(exec.CommandContext(ctx, convert, file))
			cells, failed[1] = cells.run(exec.CommandContext(ctx, m.python.path, script, "--cells", file))
			table, failed[2] = table.run(exec.CommandContext(ctx, m.python.path, script, file))
			if err := errors.Join(failed[:]...); err != nil {
				return err
			}
		}
		name := fmt.Sprintf("import %s %s, rows a second in %% of pyarrow's with the same columns", thousands(importRows), filepath.Ext(file))
		m.add(figure{
			name: name, unit: inPercent, value: 100 * cells.wall() / ours.wall(), target: 100,
			worker: spent{CPU: ours.cpu(), Peak: ours.peak()}, servers: spent{CPU: cells.cpu(), Peak: cells.peak()},
		})
		m.add(figure{name: "  rows a CPU second", unit: inPercent, value: 100 * cells.cpu() / ours.cpu(), target: 100})
		m.add(figure{
			name: "  rows a second in % of pyarrow's, columns as they were read", unit: inPercent, value: 100 * table.wall() / ours.wall(),
			servers: spent{CPU: table.cpu(), Peak: table.peak()},
		})
		m.add(figure{name: "  rows a CPU second", unit: inPercent, value: 100 * table.cpu() / ours.cpu()})
	}
	return nil
}

// conversions are the turns of one program.
type conversions []conversion

func (c conversions) run(cmd *exec.Cmd) (conversions, error) {
	var turn conversion
	if err := decoded(cmd, &turn); err != nil {
		return nil, err
	}
	if turn.Rows != importRows {
		return nil, fmt.Errorf("%s: %d rows of %d", cmd, turn.Rows, importRows)
	}
	return append(c, turn), nil
}

func (c conversions) over(of func(conversion) float64) (all []float64) {
	for _, turn := range c {
		all = append(all, of(turn))
	}
	return all
}

func (c conversions) cpu() float64 {
	return median(c.over(func(turn conversion) float64 { return turn.CPU }))
}
func (c conversions) wall() float64 {
	return median(c.over(func(turn conversion) float64 { return turn.Wall }))
}
func (c conversions) peak() float64 {
	return 1e6 * slices.Max(c.over(func(turn conversion) float64 { return turn.PeakMB }))
}

// decoded runs a program and decodes the JSON object that it prints.
func decoded(cmd *exec.Cmd, into any) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", cmd, err)
	}
	if err := json.NewDecoder(&out).Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", cmd, err)
	}
	return nil
}
