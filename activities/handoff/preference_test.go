package handoff

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
)

// paired is the input of the small version with wrong answers of some rows.
func paired(wrong map[int][]string) Input {
	in := input()
	in.Task.Output.Formats = []string{rebased.FormatMessages, rebased.FormatPreference}
	rows := examples()
	for i := range rows {
		if rows[i].Rejected = wrong[i]; rows[i].Rejected == nil {
			rows[i].Rejected = []string{}
		}
	}
	in.Rows = parts(rows, 5)
	return in
}

func TestAPreferencePairIsALineOfTRLsConversationalFormat(t *testing.T) {
	v, in := versionsOn(mem.NewObjects()), paired(map[int][]string{3: {"no <b>", "nor\n\"that\""}})
	in.Task.Output.Validation = 0
	staged := stage(t, v, in)
	var out bytes.Buffer
	if err := v.Export(t.Context(), ExportInput{Task: "capitals", Version: staged.Version, Format: rebased.FormatPreference}, &out); err != nil {
		t.Fatal(err)
	}
	const prompt = `{"prompt":[{"role":"system","content":"Answer the question.\nUse the context: <b>only</b> what it says.\n` + "```" + `\n# no heading\n` + "```" + `"},` +
		`{"role":"user","content":"{\"json\": \"inside\"} (3)"}],"chosen":[{"role":"assistant","content":"out 3"}],`
	want := prompt + `"rejected":[{"role":"assistant","content":"no <b>"}]}` + "\n" + prompt + `"rejected":[{"role":"assistant","content":"nor\n\"that\""}]}` + "\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
	for _, f := range staged.Manifest.Files {
		if f.Name == "train.preference.jsonl" && (f.Rows != 2 || f.SHA256 != sha(want)) {
			t.Errorf("the manifest says %+v", f)
		}
	}
	if n := staged.Manifest.Counts.Preference; len(n) != 1 || n["train"] != 2 {
		t.Errorf("the manifest counts %v", n)
	}
}

func TestASplitWithoutPairsHasNoFileAndSaysSo(t *testing.T) {
	v := versionsOn(mem.NewObjects())
	staged := stage(t, v, paired(nil))
	for _, f := range staged.Manifest.Files {
		if strings.Contains(f.Name, "preference") {
			t.Errorf("there is a file %+v", f)
		}
	}
	if n := staged.Manifest.Counts.Preference; len(n) != 2 || n["train"]+n["validation"] != 0 {
		t.Errorf("the manifest counts %v", n)
	}
	if w := staged.Manifest.Quality.Warnings; len(w) != 1 || !strings.Contains(w[0], "no pair") {
		t.Errorf("warnings %q", w)
	}
	readme, _, err := v.Objects.Get(t.Context(), rebased.VersionKey("capitals", staged.Version, "README.md"))
	if err != nil || strings.Contains(string(readme), "preference.jsonl") || !strings.Contains(string(readme), "messages.jsonl") {
		t.Errorf("the card names a file that is not there: %s, %v", readme, err)
	}
	err = v.Export(t.Context(), ExportInput{Task: "capitals", Version: staged.Version, Format: rebased.FormatPreference}, &bytes.Buffer{})
	if rebased.KindOf(err) != rebased.NotFound || !strings.Contains(err.Error(), "no preference pair") {
		t.Errorf("export: %v", err)
	}
}

func TestAVersionMadeWithoutPairsSaysHowToHaveThem(t *testing.T) {
	v := versionsOn(mem.NewObjects())
	staged := stage(t, v, input())
	err := v.Export(t.Context(), ExportInput{Task: "capitals", Version: staged.Version, Format: rebased.FormatPreference}, &bytes.Buffer{})
	if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "add preference to output.formats") {
		t.Errorf("export: %v", err)
	}
}

func TestTheScoresOfAJudgeAreInTheQuality(t *testing.T) {
	in, rows := input(), examples()
	for i := range rows {
		rows[i].Judged.Score = []float32{1, 1.5, 9.25, 10}[i%4]
	}
	in.Rows = parts(rows, 5)
	staged := stage(t, versionsOn(mem.NewObjects()), in)
	q := staged.Manifest.Quality.Judge
	if q == nil || q.Mean != 5.44 || q.Scores != [10]int{6, 0, 0, 0, 0, 0, 0, 0, 3, 3} {
		t.Errorf("got %+v", q)
	}
	if q := stage(t, versionsOn(mem.NewObjects()), input()).Manifest.Quality.Judge; q != nil {
		t.Errorf("without a judge: %+v", q)
	}
}
