package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/decontaminate"
	"github.com/rebased/rebased/activities/dedupe"
)

// letter keeps what words are compared by.
func letter(r rune) rune {
	if unicode.In(r, unicode.L, unicode.M, unicode.N) {
		return r
	}
	return -1
}

// short makes so many rows of 20 to 60 words or, unspaced, of one word of as many syllables: every tenth is an edited copy of an earlier one.
func short(n int, unspaced bool) (rows []rebased.Example, of []int) {
	random := rand.New(rand.NewPCG(11, uint64(n))) //nolint:gosec // the same in every run
	const vocabulary, plantedEvery = 20_000, 10
	word := func() string { return "w" + strconv.FormatInt(int64(random.IntN(vocabulary)), 36) }
	between := " "
	if unspaced {
		between = ""
	}
	pieces := make([][]string, n)
	of = make([]int, n)
	for i := range n {
		if of[i] = -1; i%plantedEvery == plantedEvery-1 {
			from := random.IntN(i)
			for of[from] >= 0 {
				from = random.IntN(i)
			}
			of[i], pieces[i] = from, edited(random, pieces[from], share(random), word)
		} else {
			for range 20 + random.IntN(41) {
				pieces[i] = append(pieces[i], word())
			}
		}
		rows = append(rows, row(i, strings.Join(pieces[i], between), "ok"))
	}
	return rows, of
}

// minhash finds near-duplicates among 100,000 short rows, beside other programs where there is a Python.
func minhash(ctx context.Context) error {
	const many = 100_000
	fmt.Println("\nMinHash, 100,000 short rows, every tenth an edited copy: rows a second of processor, what is found of the pairs of a Jaccard similarity of 0.8 and more, what is removed below it; other programs have the first 20,000 rows")
	python, why := findPython(ctx)
	if why != nil {
		fmt.Println("no Python to compare with, its lines are left out:", why)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SHINGLES\tPROGRAM\tROWS A CPU SECOND\tTARGET\tRECALL\tTARGET\tREMOVED BELOW 0.8")
	var missed []error
	for _, c := range []struct {
		name     string
		unspaced bool
		target   float64
	}{{"trigrams of words", false, 27_000}, {"5-grams of characters", true, 14_000}} {
		rows, of := short(many, c.unspaced)
		wanted := map[rebased.RowID]bool{}
		for i, from := range of {
			if from >= 0 && jaccard(&rows[from], &rows[i]) >= threshold {
				wanted[rows[i].Row] = true
			}
		}
		b := inParts(rows)
		seconds, err := taking(func() error { return b.deduplicate(ctx, len(rows)) })
		if err != nil {
			return err
		}
		found := 0
		for _, r := range b.rejects {
			if wanted[r.Row] {
				found++
			}
		}
		speed, recall, below := many/seconds, ratio(found, len(wanted)), wrong(b, rows)
		fmt.Fprintf(table, "%s\trebased\t%.0f\t%.0f\t%.4f\t0.99\t%d\n", c.name, speed, c.target, recall, below)
		if speed < c.target || recall < 0.99 || below > 0 {
			missed = append(missed, fmt.Errorf("MinHash by %s: a target is missed", c.name))
		}
		if python == "" {
			continue
		}
		if err := beside(ctx, python, table, c.name, rows[:some], wanted, of, c.unspaced); err != nil {
			missed = append(missed, err)
		}
	}
	return errors.Join(append(missed, table.Flush())...)
}

// some is how many of the rows other programs are given: they are slow.
const some = 20_000

// beside has other programs do the same.
func beside(ctx context.Context, python string, table *tabwriter.Writer, name string, rows []rebased.Example, wanted map[rebased.RowID]bool, of []int, unspaced bool) error {
	texts, pairs := make([]string, len(rows)), [][2]int{}
	for i := range rows {
		texts[i] = rows[i].Input + " " + rows[i].Output
		if wanted[rows[i].Row] {
			pairs = append(pairs, [2]int{of[i], i})
		}
	}
	asked, err := json.Marshal(map[string]any{"texts": texts, "pairs": pairs, "characters": unspaced})
	if err != nil {
		return err
	}
	for _, program := range []string{"rensa", "datasketch"} {
		cmd := exec.CommandContext(ctx, python, "minhash.py", program)
		cmd.Dir, cmd.Stdin, cmd.Stderr = filepath.Dir(script()), strings.NewReader(string(asked)), os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%s: %w", program, err)
		}
		var said struct {
			Seconds float64 `json:"seconds"`
			Recall  float64 `json:"recall"`
		}
		if err := json.Unmarshal(out, &said); err != nil {
			return fmt.Errorf("%s: %w", program, err)
		}
		fmt.Fprintf(table, "%s\t%s\t%.0f\t\t%.4f\t\tnot looked at\n", name, program, float64(len(rows))/said.Seconds, said.Recall)
	}
	return nil
}

// script is where minhash.py is: go run starts in the folder of the module.
func script() string { return filepath.Join("bench", "data", "minhash.py") }

// findPython takes the interpreter of .venv, made where there is none, with what minhash.py needs.
func findPython(ctx context.Context) (string, error) {
	venv, err := filepath.Abs(filepath.Join("..", "..", ".venv"))
	if err != nil {
		return "", err
	}
	python := filepath.Join(venv, "bin", "python")
	if run(ctx, python, "-c", "import datasketch, rensa") == nil {
		return python, nil
	}
	if run(ctx, python, "-m", "pip", "--version") != nil {
		if err := run(ctx, "python3", "-m", "venv", "--clear", venv); err != nil {
			return "", err
		}
	}
	return python, run(ctx, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", filepath.Join(filepath.Dir(script()), "requirements.txt"))
}

func run(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %.500s", name, err, out)
	}
	return nil
}

// memory has a process of its own deduplicate a million rows, so that its peak is theirs alone.
func memory(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-million")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// oneMillion deduplicates a million rows that are made when they are read, as those of a bucket are.
func oneMillion(ctx context.Context) error {
	const many = 1_000_000
	b := &build{count: true, parts: func(n int) []rebased.Example {
		random := rand.New(rand.NewPCG(13, uint64(n))) //nolint:gosec // the same in every run
		rows := make([]rebased.Example, dedupe.PartRows)
		for i := range rows {
			var text strings.Builder
			for range 20 + random.IntN(41) {
				fmt.Fprintf(&text, "w%d ", random.IntN(20_000))
			}
			rows[i] = row(n*dedupe.PartRows+i, text.String(), "ok")
			if i > 0 && i%10 == 9 {
				rows[i].Input = rows[i-1].Input + "again" //nolint:gosec // i is not 0
			}
		}
		return rows
	}}
	seconds, err := taking(func() error { return b.deduplicate(ctx, many) })
	if err != nil {
		return err
	}
	peak, err := peakMemory()
	if err != nil {
		return err
	}
	fmt.Printf("\nA million rows: %d kept, %.0f s of processor with the making of the rows twice, at most %.0f MB in memory (target 1,074)\n", b.stayed, seconds, peak/1e6)
	if peak > 1<<30 {
		return errors.New("a million rows: over 1 GiB")
	}
	return nil
}

// peakMemory is the most that this process has had in memory, bytes.
func peakMemory() (float64, error) {
	body, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		if value, found := strings.CutPrefix(line, "VmHWM:"); found {
			kilobytes, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return 1024 * kilobytes, err
		}
	}
	return 0, errors.New("/proc/self/status has no VmHWM")
}

// leaks looks for benchmarks of 1.2 million words in 100 MB of text that has none of them.
func leaks(context.Context) error {
	random := rand.New(rand.NewPCG(17, 1))
	prose := func() string {
		var t strings.Builder
		for range 120 {
			fmt.Fprintf(&t, "w%d, ", random.IntN(20_000))
		}
		return t.String()
	}
	set := decontaminate.New(13, 64<<20)
	set.Begin("benchmark.jsonl")
	for i := range 10_000 {
		if err := set.Add(i+1, []string{prose()}); err != nil {
			return err
		}
	}
	texts, size := make([]string, 20_000), 0
	for i := range texts {
		texts[i] = prose()
		size += len(texts[i])
	}
	const rounds, target = 6, 20.0
	found := 0
	seconds, err := taking(func() error {
		for range rounds {
			for i := range texts {
				if _, hit := set.Find(texts[i : i+1]); hit {
					found++
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	speed := rounds * float64(size) / 1e6 / seconds
	fmt.Printf("\nDecontamination: %.0f MB of text a second of processor against %d pieces of 13 words (target %.0f); %d found where there are none\n", speed, set.Files()[0].Pieces, target, found)
	if speed < target || found > 0 {
		return errors.New("decontamination: a target is missed")
	}
	return nil
}
