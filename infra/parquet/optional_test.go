package parquet

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rebased/rebased"
)

func TestAColumnThatNoRowNeedsIsNotInTheFile(t *testing.T) {
	plain := []rebased.Example{{Input: "a", Output: "b"}, {Input: "c", Output: "d"}}
	judged, rejected := slices.Clone(plain), slices.Clone(plain)
	judged[1].Judged = rebased.Judgement{Score: 7.5, Usage: rebased.Usage{InputTokens: 3, OutputTokens: 1 << 40}}
	rejected[0].Rejected, rejected[1].Rejected = []string{}, []string{"x", "y\n"}
	for name, c := range map[string]struct {
		rows    []rebased.Example
		columns []string
	}{
		"plain":       {plain, nil},
		"judged":      {judged, []string{"judge_score", "judge_input", "judge_output"}},
		"rejected":    {rejected, []string{"rejected"}},
		"none of one": {[]rebased.Example{{Rejected: []string{}}}, []string{"rejected"}},
		"empty":       {nil, nil},
	} {
		data, err := Encode(ExampleSchema(), c.rows)
		if err != nil {
			t.Fatal(name, err)
		}
		var extra []string
		for _, column := range ExampleSchema().of(c.rows).columns {
			if column.has != nil {
				extra = append(extra, column.node.Name())
			}
		}
		if !slices.Equal(extra, c.columns) || bytes.Contains(data, []byte("judge_score")) != slices.Contains(c.columns, "judge_score") {
			t.Errorf("%s: the file has %q beside the columns of every file, want %q", name, extra, c.columns)
		}
		got, err := Decode(ExampleSchema(), name, data)
		if err != nil {
			t.Fatal(name, err)
		}
		for i := range got {
			if len(got[i].Responses) == 0 {
				got[i].Responses = nil
			}
		}
		if diff := cmp.Diff(c.rows, got); diff != "" { // an empty list of rejected outputs is not nil
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTheFirstPartOfAStreamSaysWhichColumnsThereAre(t *testing.T) {
	first := []rebased.Example{{Input: "a", Judged: rebased.Judgement{Score: 3}}}
	second := []rebased.Example{{Input: "b", Judged: rebased.Judgement{Score: 4}}}
	var out bytes.Buffer
	err := EncodeTo(&out, ExampleSchema(), func(yield func([]rebased.Example, error) bool) { _ = yield(first, nil) && yield(second, nil) })
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(ExampleSchema(), "stream", out.Bytes())
	if err == nil {
		err = EncodeTo(io.Discard, ExampleSchema(), func(yield func([]rebased.Example, error) bool) {
			_ = yield([]rebased.Example{{Input: "a"}}, nil) && yield(second, nil)
		})
		if rebased.KindOf(err) != rebased.Invalid {
			t.Errorf("a score that has no column is lost: %v", err)
		}
		err = nil
	}
	if err != nil || len(got) != 2 || got[0].Judged.Score != 3 || got[1].Judged.Score != 4 {
		t.Errorf("%+v, %v", got, err)
	}
}
