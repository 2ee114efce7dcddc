package handoff

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
)

// acting is text that would act in a page if it were not escaped.
const acting = `<script>alert(1)</script>"'<img src=x onerror=alert(2)>&lt;`

// reported is the report of some rows.
func reported(t *testing.T, change func(in *Input, rows []rebased.Example)) string {
	t.Helper()
	in, rows := input(), examples()
	change(&in, rows)
	in.Rows = parts(rows, 5)
	objects := mem.NewObjects()
	staged, err := versionsOn(objects).Stage(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := objects.Get(t.Context(), rebased.VersionKey(in.Task.Name, staged.Version, reportName))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestNothingInAReportActsOrLoads(t *testing.T) {
	page := reported(t, func(in *Input, rows []rebased.Example) {
		in.Task.Instruction, in.Revision, in.Task.Corpus, in.Tokenizer = acting, acting, acting, words{acting}
		in.Skipped = map[string]int{acting: 3}
		in.Steps = []StepCount{{Step: acting, Rejected: map[rebased.Reason]int{acting: in.Retrieved - len(rows)}}}
		for i := range rows {
			rows[i].Input, rows[i].Output, rows[i].Answer = acting+fmt.Sprint(i), acting, "<b>"+`"yes"`
			rows[i].Name, rows[i].License, rows[i].Teacher = "o/"+acting, acting, acting
		}
		in.Sources = func(_ context.Context, wanted map[rebased.RowID]struct{}) (map[rebased.RowID]rebased.Candidate, error) {
			found := map[rebased.RowID]rebased.Candidate{}
			for id := range wanted {
				found[id] = rebased.Candidate{Row: rebased.Row{Cells: []rebased.Cell{{Column: acting, Text: acting}}}}
			}
			return found, nil
		}
	})
	lower := strings.ToLower(page)
	for _, bad := range []string{"<script", "<img", "<b>", "javascript:", "http-equiv=\"refresh", "@import", "url("} {
		if strings.Contains(lower, bad) {
			t.Errorf("%q stands in the page", bad)
		}
	}
	if !strings.Contains(page, "default-src 'none'") || strings.Contains(strings.ReplaceAll(lower, `xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"`, ""), "http:") {
		t.Error("the page refers to another place, or may")
	}
}

func TestTheChartsOfAReportAreWellFormed(t *testing.T) {
	page := reported(t, func(_ *Input, rows []rebased.Example) {
		for i := range rows {
			rows[i].Answer, rows[i].Name = []string{"<yes>", "no & more"}[i%2], "owner/a<b"
		}
	})
	svgs := strings.Split(page, "<svg")[1:]
	if len(svgs) != 9 {
		t.Errorf("%d charts, want funnel, answers, two of lengths, three of tokens, scores and sources", len(svgs))
	}
	for _, svg := range svgs {
		body, _, _ := strings.Cut(svg, "</svg>")
		decoder := xml.NewDecoder(strings.NewReader("<svg" + body + "</svg>"))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in <svg%.300s", err, body)
			}
		}
	}
	if !strings.Contains(page, "&lt;yes&gt;") || !strings.Contains(page, "no &amp; more") {
		t.Error("the answers are not labels of a chart")
	}
}

func TestAReportShowsRowsBesideTheRowsTheyWereMadeOf(t *testing.T) {
	asked := 0
	page := reported(t, func(in *Input, rows []rebased.Example) {
		rows[3].Input = strings.Repeat("ä", 3000)
		in.Sources = func(_ context.Context, wanted map[rebased.RowID]struct{}) (map[rebased.RowID]rebased.Candidate, error) {
			asked = len(wanted)
			return map[rebased.RowID]rebased.Candidate{rows[0].Row: {Row: rebased.Row{Cells: []rebased.Cell{{Column: "passage", Text: "what it was made of"}}}}}, nil
		}
	})
	if asked != len(examples()) || strings.Count(page, "<section") != min(reportRows, len(examples())) {
		t.Errorf("%d source rows were asked for, %d rows shown", asked, strings.Count(page, "<section"))
	}
	if !strings.Contains(page, "<dt>passage</dt><dd>what it was made of</dd>") || !strings.Contains(page, "not known") {
		t.Error("the source rows are not shown")
	}
	if strings.Contains(page, strings.Repeat("ä", reportText+1)) || !strings.Contains(page, strings.Repeat("ä", reportText)+"…") {
		t.Error("a long text is not cut")
	}
}

func TestTheSampleOfAReportDoesNotFollowTheOrderOfTheRows(t *testing.T) {
	var a, b pick
	for i := range 500 {
		a.offer(&rebased.Example{Lineage: rebased.Lineage{Row: rebased.RowID(fmt.Sprint(i))}})
		b.offer(&rebased.Example{Lineage: rebased.Lineage{Row: rebased.RowID(fmt.Sprint(499 - i))}})
	}
	if len(a.rows) != reportRows || len(b.rows) != reportRows {
		t.Fatalf("%d and %d rows", len(a.rows), len(b.rows))
	}
	for i := range a.rows {
		if a.rows[i].Row != b.rows[i].Row {
			t.Errorf("place %d: %s and %s", i, a.rows[i].Row, b.rows[i].Row)
		}
	}
}
