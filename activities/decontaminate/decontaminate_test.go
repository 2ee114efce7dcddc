package decontaminate_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/decontaminate"
	"github.com/rebased/rebased/infra/porttest"
)

const context = "The Denver Broncos defeated the Carolina Panthers 24-10 to earn their third Super Bowl title, at Levi's Stadium in Santa Clara."

func set(t testing.TB, n int, records ...[]string) *decontaminate.Set {
	t.Helper()
	s := decontaminate.New(n, 1<<20)
	s.Begin("dev.jsonl")
	for i, texts := range records {
		if err := s.Add(i+1, texts); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestARowLeaksWhenItSharesTextWithABenchmark(t *testing.T) {
	bench := set(t, 13,
		[]string{context, "Which team won Super Bowl fifty in 2016?", "Denver Broncos"},
		[]string{"Who wrote Emma?", "Austen"},
		[]string{"True"},
		[]string{"not ( True ) and ( True ) is", "False"},
		[]string{"2 + 2 * 3 - 1 - 4 ="},
		[]string{"丹佛野马队击败卡罗来纳黑豹队获得第三个超级碗冠军", "丹佛"},
	)
	for name, c := range map[string]struct {
		text string
		line int // 0 = no leak
		says string
	}{
		"the same text":                     {context, 1, "the denver broncos defeated the carolina panthers 2410 to earn their third super"},
		"13 words of it, other punctuation": {`He said: "Broncos defeated the carolina PANTHERS, 24-10, to earn their\n third Super Bowl title"!`, 1, "broncos defeated the carolina panthers 2410 to earn theirn third super bowl title"},
		"12 words of it":                    {"and defeated the Carolina Panthers 24-10 to earn their third Super Bowl title of all", 0, ""},
		"a short text":                      {"  which team won super bowl\nfifty in 2016? ", 1, "which team won super bowl\nfifty in 2016?"},
		"a short text and more":             {"Which team won Super Bowl fifty in 2016? Denver", 0, ""},
		"the longest of a record":           {"Who wrote Emma?", 2, "Who wrote Emma?"},
		"an answer":                         {"Denver Broncos", 0, ""},
		"a word":                            {"True", 0, ""},
		"logic":                             {"not ( True ) and ( True ) is", 4, "not ( True ) and ( True ) is"},
		"other logic":                       {"not ( False ) and ( True ) is", 0, ""},
		"signs count in short texts":        {"2 * 2 + 3 - 1 - 4 =", 0, ""},
		"characters of a script":            {"据报道，丹佛野马队击败卡罗来纳黑豹队。", 6, "丹 佛 野 马 队 击 败 卡 罗 来 纳 黑 豹"},
		"nothing":                           {"", 0, ""},
		"punctuation":                       {"… ! ?", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.ReplaceAll(c.text, `their\n`, "their\n")
			c.says = strings.ReplaceAll(c.says, "theirn", "their")
			leak, found := bench.Find([]string{"no leak here", text})
			if found != (c.line > 0) || leak.Line != c.line || leak.Text != c.says {
				t.Errorf("got %v %+v, want line %d %q", found, leak, c.line, c.says)
			}
			if found && leak.File != "dev.jsonl" {
				t.Errorf("file %q", leak.File)
			}
		})
	}
}

func TestALeakNamesItsFileAndRecord(t *testing.T) {
	s := decontaminate.New(5, 1<<20)
	for _, file := range []string{"a.jsonl", "b.csv"} {
		s.Begin(file)
		for line := 1; line <= 3; line++ {
			if err := s.Add(line, []string{fmt.Sprintf("these are the five words and more of %s in line %d", file, line)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	leak, _ := s.Find([]string{"but bcsv in line 2"}) // four words
	if leak != (decontaminate.Leak{}) {
		t.Errorf("four words leak: %+v", leak)
	}
	leak, _ = s.Find([]string{"of b.csv in line 2"})
	if want := (decontaminate.Leak{File: "b.csv", Line: 2, Text: "of bcsv in line 2"}); leak != want {
		t.Errorf("got %+v, want %+v", leak, want)
	}
	leak, _ = s.Find([]string{"these are the five words"})
	if leak.File != "a.jsonl" || leak.Line != 1 {
		t.Errorf("got %+v, want the record that had it first", leak)
	}
}

// TestFindAgreesWithAPlainSearch compares with a search of strings in strings.
func TestFindAgreesWithAPlainSearch(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	text := func(words int) string {
		var b strings.Builder
		for range words {
			fmt.Fprintf(&b, "%c ", 'a'+random.IntN(3))
		}
		return b.String()
	}
	const n = 6
	for range 30 {
		var bench []string
		s := decontaminate.New(n, 1<<20)
		s.Begin("f")
		for i := range 20 {
			bench = append(bench, " "+text(n+random.IntN(30)))
			if err := s.Add(i, bench[i:]); err != nil {
				t.Fatal(err)
			}
		}
		for range 200 {
			row := text(n + random.IntN(3))
			want := false
			for i := 0; i+2*n <= len(row); i += 2 {
				for _, b := range bench {
					want = want || strings.Contains(b, " "+row[i:i+2*n])
				}
			}
			if _, got := s.Find([]string{row}); got != want {
				t.Fatalf("%q in %q: got %v, want %v", row, bench, got, want)
			}
		}
	}
}

func TestBenchmarksAreBounded(t *testing.T) {
	s := decontaminate.New(13, 1<<20)
	s.Begin("f")
	var err error
	random := rand.New(rand.NewPCG(1, 1))
	for i := 0; i < 100 && err == nil; i++ {
		var b strings.Builder
		for range 20_000 {
			fmt.Fprintf(&b, "w%d ", random.Uint32())
		}
		err = s.Add(i, []string{b.String()})
	}
	if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "decontaminate.files") {
		t.Errorf("got %v, want Invalid", err)
	}
}

func FuzzFindTakesAnyText(f *testing.F) {
	bench := set(f, 5, []string{context})
	f.Add("the denver broncos defeated the\xff")
	f.Fuzz(func(t *testing.T, text string) {
		if _, found := bench.Find([]string{text + " \n" + context}); !found {
			t.Errorf("%q hides a leak", text)
		}
	})
}

// BenchmarkFind goes through prose that shares nothing with a benchmark of 10,000 records: rows of the corpus, and examples of a task that say what the
// task says too. It reports MB of text a CPU second.
func BenchmarkFind(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	prose := func(words int) string {
		var t strings.Builder
		for range words {
			fmt.Fprintf(&t, "w%d, ", random.IntN(20_000))
		}
		return t.String()
	}
	s := decontaminate.New(13, 64<<20)
	s.Begin("f")
	for i := range 10_000 {
		if err := s.Add(i, []string{prose(120)}); err != nil {
			b.Fatal(err)
		}
	}
	rules := prose(30)
	own := s.Own(rebased.Task{Instruction: rules})
	for name, c := range map[string]struct {
		own   *decontaminate.Own
		begin string
	}{"rows": {nil, ""}, "examples": {own, rules}} {
		b.Run(name, func(b *testing.B) {
			rows, bytes := make([]string, 1000), 0
			for i := range rows {
				rows[i] = c.begin + prose(120)
				bytes += len(rows[i])
			}
			start := porttest.ProcessorTime(b)
			for b.Loop() {
				for i := range rows {
					if _, found := s.FindBut(c.own, rows[i:i+1]); found {
						b.Fatal("a leak")
					}
				}
			}
			b.ReportMetric(float64(bytes*b.N)/1e6/(porttest.ProcessorTime(b)-start).Seconds(), "MB/cpu-s")
		})
	}
}
