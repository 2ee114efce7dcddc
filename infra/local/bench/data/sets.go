package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/decontaminate"
)

// sets goes through what a teacher answered for real tasks, as it is and with repeats and leaks planted in it.
func sets(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(os.Getenv("REBASED_TEST_DATA"), "outputs", "*.jsonl"))
	if err != nil || len(files) == 0 || os.Getenv("REBASED_TEST_DATA") == "" {
		fmt.Println("\nREBASED_TEST_DATA names no folder with outputs/: the table of real sets is left out")
		return err
	}
	fmt.Println("\nReal sets: what is removed of them, what is found of 200 planted repeats (edits of 1 to 10 %; those of a Jaccard similarity of 0.8 and more) and of 50 planted leaks")
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SET\tROWS\tEQUAL\tNEAR\tCONFLICT\tKEPT\tREPEATS FOUND\tLEAKS FOUND\tWRONGLY REMOVED\tANSWER IN INPUT\tMOST FREQUENT ANSWER\tIN THE VERSION")
	var all planted
	for _, file := range files {
		rows, err := read(file)
		if err != nil {
			return err
		}
		found, line, err := set(ctx, rows)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		all = all.and(found)
		fmt.Fprintln(table, strings.TrimSuffix(filepath.Base(file), ".jsonl")+"\t"+line)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Printf("all: repeats %d of %d, recall %.4f (target 0.98); leaks %d of %d, recall %.4f (target 0.98); wrong %d (target 0)\n",
		all.repeatsFound, all.repeats, ratio(all.repeatsFound, all.repeats), all.leaksFound, all.leaks, ratio(all.leaksFound, all.leaks), all.wrong)
	if ratio(all.repeatsFound, all.repeats) < 0.98 || ratio(all.leaksFound, all.leaks) < 0.98 || all.wrong > 0 {
		return errors.New("real sets: a target is missed")
	}
	return nil
}

// planted is how much of what was planted was found, and what was removed without being a repeat or a leak.
type planted struct{ repeats, repeatsFound, leaks, leaksFound, wrong int }

func (p planted) and(q planted) planted {
	return planted{p.repeats + q.repeats, p.repeatsFound + q.repeatsFound, p.leaks + q.leaks, p.leaksFound + q.leaksFound, p.wrong + q.wrong}
}

func read(path string) (rows []rebased.Example, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var line struct {
			Input  string `json:"input"`
			Output string `json:"output"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		rows = append(rows, row(len(rows), line.Input, line.Output))
	}
	return rows, lines.Err()
}

// set gives the line of one set.
func set(ctx context.Context, rows []rebased.Example) (found planted, line string, err error) {
	b := inParts(rows)
	if err := b.deduplicate(ctx, len(rows)); err != nil {
		return found, "", err
	}
	if found, err = repeats(ctx, rows, b.kept); err != nil {
		return found, "", err
	}
	leaked, err := leaksOf(rows)
	if err != nil {
		return found, "", err
	}
	found = found.and(leaked).and(planted{wrong: wrong(b, rows)})
	removed := map[rebased.Reason]int{}
	for _, r := range b.rejects {
		removed[r.Reason]++
	}
	before, after := qualities(rows), qualities(b.kept)
	return found, fmt.Sprintf("%d\t%d\t%d\t%d\t%d\t%d of %d\t%d of %d\t%d\t%.1f %% to %.1f %%\t%.25q %.1f %%\t%.25q %.1f %%", len(rows), removed[rebased.ReasonDuplicate],
		removed[rebased.ReasonNearDuplicate], removed[rebased.ReasonConflict], len(b.kept), found.repeatsFound, found.repeats, found.leaksFound, found.leaks, found.wrong,
		100*before.inInput, 100*after.inInput, before.label, 100*before.share, after.label, 100*after.share), nil
}

// repeats plants edited copies of kept rows behind the rows and counts which of them go.
func repeats(ctx context.Context, rows, kept []rebased.Example) (found planted, err error) {
	random := rand.New(rand.NewPCG(7, uint64(len(kept)))) //nolint:gosec // the same in every run
	all := append([]rebased.Example(nil), rows...)
	copies := map[rebased.RowID]bool{}
	for range 200 {
		of := kept[random.IntN(len(kept))]
		words := strings.Fields(of.Input)
		text := edited(random, words, share(random), func() string { return words[random.IntN(len(words))] })
		again := row(len(all), strings.Join(text, " "), of.Output)
		all = append(all, again)
		copies[again.Row] = jaccard(&of, &again) >= threshold
	}
	b := inParts(all)
	if err := b.deduplicate(ctx, len(all)); err != nil {
		return found, err
	}
	for _, near := range copies {
		if near {
			found.repeats++
		}
	}
	for _, r := range b.rejects {
		if copies[r.Row] {
			found.repeatsFound++
		}
	}
	found.wrong = wrong(b, all)
	return found, nil
}

// wrong counts the near-duplicates that are none.
func wrong(b *build, rows []rebased.Example) (n int) {
	byID := make(map[rebased.RowID]*rebased.Example, len(rows))
	for i := range rows {
		byID[rows[i].Row] = &rows[i]
	}
	for _, r := range b.rejects {
		if r.Reason == rebased.ReasonNearDuplicate && jaccard(byID[r.Row], byID[r.Of]) < threshold {
			n++
		}
	}
	return n
}

// leaksOf takes the inputs of fifty rows for a benchmark, and looks for it in rows that quote them and in all others.
func leaksOf(rows []rebased.Example) (found planted, err error) {
	const ngram = 13
	random := rand.New(rand.NewPCG(8, uint64(len(rows)))) //nolint:gosec // the same in every run
	set := decontaminate.New(ngram, 8<<20)
	set.Begin("benchmark.jsonl")
	known, quoting := map[string]bool{}, map[int]bool{}
	for line, at := range random.Perm(len(rows))[:50] {
		record := []string{rows[at].Input, rows[at].Answer}
		if err := set.Add(line+1, record); err != nil {
			return found, err
		}
		for _, text := range record {
			grams(text, ngram, func(gram string) { known[gram] = true })
			known[plain(text)] = true
		}
		quoting[at] = true
	}
	for i := range rows {
		said, long := strings.ToUpper(rows[i].Input), false
		shares := known[plain(rows[i].Input)]
		grams(rows[i].Input, ngram, func(gram string) { shares, long = shares || known[gram], true })
		if long { // a shorter text leaks as a whole only
			said = "The row says: " + said
		}
		_, hit := set.Find([]string{said})
		if quoting[i] {
			found.leaks++
		}
		if quoting[i] && hit {
			found.leaksFound++
		}
		if hit && !shares {
			found.wrong++
		}
	}
	return found, nil
}

// plain is a text as short ones are compared.
func plain(text string) string { return strings.Join(strings.Fields(strings.ToLower(text)), " ") }

// grams visits n words in a row, of letters and digits alone.
func grams(text string, n int, visit func(string)) {
	var words []string
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		if word = strings.Map(letter, word); word != "" {
			words = append(words, word)
		}
	}
	for i := 0; i+n <= len(words); i++ {
		visit(strings.Join(words[i:i+n], " "))
	}
}

type quality struct {
	inInput float64
	label   string
	share   float64
}

func qualities(rows []rebased.Example) (q quality) {
	labels := map[string]int{}
	in := 0
	for _, e := range rows {
		if strings.Contains(e.Input, e.Answer) {
			in++
		}
		labels[strings.TrimSpace(e.Answer)]++
	}
	most := 0
	for label, n := range labels {
		if n > most || n == most && label < q.label {
			q.label, most = label, n
		}
	}
	q.inInput, q.share = ratio(in, len(rows)), ratio(most, len(rows))
	return q
}

func ratio(part, of int) float64 { return float64(part) / float64(max(1, of)) }
