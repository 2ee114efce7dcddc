package activities

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/parquet"
	"github.com/rebased/rebased/infra/source"
)

func TestFilesToCompareWithAreReadInTheFormatsOfTrainingSets(t *testing.T) {
	objects := mem.NewObjects()
	var table bytes.Buffer
	rows := []rebased.Example{{Input: "in one", Output: "out one", Lineage: rebased.Lineage{Row: "r"}}, {Input: "in two", Output: "out\ntwo"}}
	if err := parquet.Examples(objects).Encode(&table, func(yield func([]rebased.Example, error) bool) { yield(rows, nil) }); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"rows.parquet": table.String(),
		"rows.csv":     "id,Input,output\n1,in one,out one\n2,in two,\"out\ntwo\"\n",
		"alpaca.jsonl": `{"instruction":"Do it.","input":"in one","output":"out one"}` + "\n" + `{"instruction":"Do it.","input":"in two","output":"out\ntwo"}`,
		"pairs.jsonl":  `{"prompt":"Do it.\n\nin one","completion":"out one"}` + "\n\n" + `{"prompt":"in two","completion":"out\ntwo"}` + "\n",
		"chat.jsonl": `{"messages":[{"role":"system","content":"Do it."},{"role":"user","content":"in one"},{"role":"assistant","content":"out one"}]}` + "\n" +
			`{"messages":[{"role":"user","content":"in two"},{"role":"assistant","content":"out\ntwo"},{"role":"user","content":"more"}]}` + "\n",
		"sharegpt.jsonl": `{"conversations":[{"from":"human","value":"in one"},{"from":"gpt","value":"out one"}]}` + "\n" +
			`{"conversations":[{"from":"system","value":"x"},{"from":"human","value":"in two"},{"from":"gpt","value":"out\ntwo"}]}` + "\n",
	} {
		key := rebased.UploadKey(strings.Repeat("0", 64))
		if _, err := objects.Put(t.Context(), key, []byte(body)); err != nil {
			t.Fatal(err)
		}
		g := given{versions: handoff.Versions{Objects: objects}, parquet: source.Parquet{}}
		var got []string
		for part, err := range g.file(t.Context(), rebased.BenchmarkRef(strings.Repeat("0", 64), name), "Do it.") {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, e := range part.Rows {
				got = append(got, fmt.Sprintf("%q %q", e.Input, e.Output))
				if e.Rank == 0 || e.Row != "" || part.Source != name {
					t.Errorf("%s: a row is called %q, %d of %q", name, e.Row, e.Rank, part.Source)
				}
			}
		}
		if want := []string{`"in one" "out one"`, `"in two" "out\ntwo"`}; !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}
