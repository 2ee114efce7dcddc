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
)

// importRows is how many generated rows are imported from a file of each format.
const importRows = 200_000

// makeFiles writes the rows of a file of JSON lines as Parquet and CSV too.
const makeFiles = `import sys, pyarrow.csv, pyarrow.json, pyarrow.parquet
table = pyarrow.json.read_json(sys.argv[1])
pyarrow.parquet.write_table(table, sys.argv[2])
pyarrow.csv.write_csv(table, sys.argv[3])`

// conversion is what reading a file and writing it as Parquet took, as both programs print it.
type conversion struct {
	Rows   int     `json:"rows"`
	CPU    float64 `json:"convert_cpu_s"`
	Upload float64 `json:"upload_cpu_s"`
	Wall   float64 `json:"convert_s"`
	PeakMB float64 `json:"peak_mb"`
}

// imports converts files with the code of an import (bench/convert) and with pyarrow (retrieval/import.py): a process each for every file.
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
		var ours, table, cells conversion
		err := errors.Join(
			decoded(exec.CommandContext(ctx, convert, file), &ours),
			decoded(exec.CommandContext(ctx, m.python.path, script, file), &table),
			decoded(exec.CommandContext(ctx, m.python.path, script, "--cells", file), &cells),
		)
		if err != nil {
			return err
		}
		if ours.Rows != importRows || table.Rows != importRows {
			return fmt.Errorf("%s: %d rows imported, pyarrow read %d", file, ours.Rows, table.Rows)
		}
		rate := func(c conversion) float64 { return float64(c.Rows) / c.CPU }
		m.add(figure{
			name: fmt.Sprintf("import %s %s, rows a CPU second in %% of pyarrow's", thousands(importRows), filepath.Ext(file)), unit: inPercent,
			value: 100 * rate(ours) / rate(table), target: 100, worker: spent{CPU: ours.CPU, Peak: ours.PeakMB * 1e6}, servers: spent{CPU: table.CPU, Peak: table.PeakMB * 1e6},
		})
		m.add(figure{
			name: "  of pyarrow's that writes a corpus's columns", unit: inPercent, value: 100 * rate(ours) / rate(cells), target: 100,
			servers: spent{CPU: cells.CPU, Peak: cells.PeakMB * 1e6},
		})
	}
	return nil
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
