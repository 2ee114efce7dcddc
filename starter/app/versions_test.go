package app

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/infra/parquet"
	"github.com/rebased/rebased/infra/taskfile"
)

// version stages a version of the task squad and gives its name; released says whether it is also released.
func (w *world) version(released bool, outputs ...string) string {
	w.t.Helper()
	return w.versionTo(rebased.Handoff{}, released, outputs...)
}

// versionTo stages a version that is handed to targets.
func (w *world) versionTo(to rebased.Handoff, released bool, outputs ...string) string {
	w.t.Helper()
	task := rebased.DefaultTask()
	task.Handoff = to
	task.Name, task.Corpus, task.Instruction = "squad", "hub", "Answer."
	task.Examples = []rebased.TaskExample{{Input: "a", Output: "b"}}
	frozen, err := taskfile.Encode(task)
	if err != nil {
		w.t.Fatal(err)
	}
	in := handoff.Input{
		Task: task, TaskFile: frozen, Revision: "r1", Encoder: "static", Endpoint: "http://localhost", Staging: "builds/squad/1/handoff",
		Retrieved: len(outputs) + 1, Steps: []handoff.StepCount{{Step: "dedupe", Rejected: map[rebased.Reason]int{rebased.ReasonDuplicate: 1}}},
	}
	var rows []rebased.Example
	for i, output := range outputs {
		rows = append(rows, rebased.Example{
			Input: "in" + string(rune('0'+i)), Output: output, Answer: output,
			Lineage: rebased.Lineage{DatasetID: rebased.DatasetID{Name: "o/d", Config: "c", Split: "train"}, Row: rebased.RowID("r" + string(rune('0'+i))), Teacher: "m"},
		})
	}
	in.Rows = handoff.Parts{Count: 1, Read: func(context.Context, int) ([]rebased.Example, error) { return rows, nil }}
	staged, err := versionsOf(w.bucket).Stage(w.ctx, in)
	if err != nil {
		w.t.Fatal(err)
	}
	if released {
		_, err := versionsOf(w.bucket).Release(w.ctx, handoff.ReleaseInput{
			Task: "squad", Version: staged.Version, Build: "b" + outputs[0], ApprovedBy: "ada", At: time.Date(2026, 11, 22, 2, len(outputs), 0, 0, time.UTC),
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return staged.Version
}

func TestVersionsAreListedTheLastReleasedFirst(t *testing.T) {
	w := newWorld(t)
	w.want(args("versions ls squad"), 0, "", "task squad has no version yet\n")
	first, second, staged := w.version(true, "x"), w.version(true, "x", "y"), w.version(false, "z")
	w.want(args("versions ls squad"), 0, `VERSION       RELEASED                       TRAIN  VALIDATION  BUILD
`+second+`  2026-11-22T02:02:00Z (latest)  2      0           bx
`+first+`  2026-11-22T02:01:00Z           1      0           bx
`+staged+`  no                             1      0           -
`, "")
	rejection := handoff.Rejection{Build: "by", By: "ada", Reason: "labels", At: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)}
	if err := versionsOf(w.bucket).Reject(w.ctx, "squad", staged, rejection); err != nil {
		t.Fatal(err)
	}
	if _, shown, _ := w.run("versions", "ls", "squad"); !strings.Contains(shown, staged+"  no, rejected by ada ") {
		t.Errorf("it does not say who rejected it:\n%s", shown)
	}
	_, stdout, _ := w.run("versions", "ls", "squad", "--json")
	if want := `{"task":"squad","version":"` + second + `","latest":true,"released":true,"released_at":"2026-11-22T02:02:00Z","build":"bx",` +
		`"approved_by":"ada","train":2,"validation":0,"uri":"s3://bucket/datasets/squad/` + second + `/"}` + "\n"; !strings.HasPrefix(stdout, want) {
		t.Errorf("got %swant %s", stdout, want)
	}
}

func TestAVersionIsShown(t *testing.T) {
	w := newWorld(t)
	w.want(args("versions show squad"), 2, "", "rebased: task squad has no released version: rebased versions ls squad lists all\n")
	name := w.version(true, "x", "y")
	for _, ref := range []string{"squad", "squad@" + name} {
		w.want([]string{"versions", "show", ref}, 0, `version      squad@`+name+`
released     2026-11-22T02:02:00Z (latest)
approved by  ada
build        bx
rows         2 train, 0 validation, of 3 retrieved
rejected     1 duplicate
…`, "")
	}
	w.want(args("versions show squad@000000000000"), 2, "", "rebased: task squad has no version 000000000000: rebased versions ls squad lists those there are\n")
}

func TestExportWritesAVersionInAnyFormat(t *testing.T) {
	w := newWorld(t)
	name := w.version(true, "x", "y")
	w.want([]string{"export", "squad@" + name, "--format", "alpaca"}, 0,
		`{"instruction":"Answer.","input":"in0","output":"x"}`+"\n"+`{"instruction":"Answer.","input":"in1","output":"y"}`+"\n", "")

	file := w.dir + "/out.parquet"
	w.want([]string{"export", "squad", "--format", "parquet", "-o", file}, 0, "wrote "+file+": …", "")
	want, _, err := w.bucket.Get(t.Context(), rebased.VersionKey("squad", name, "train-00000.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != string(want) {
		t.Errorf("the exported Parquet file differs from the version's: %d and %d bytes, %v", len(got), len(want), err)
	}
	w.want([]string{"export", "squad", "--format", "messages", "-o", file, "--json"}, 0, `{"task":"squad","split":"train","format":"messages","file":"`+file+`",…`, "")
	w.want([]string{"export", "squad", "--format", "messages", "-o", w.dir + "/none/out"}, 2, "", "rebased: write "+w.dir+"/none/out: no such file or directory\n")
	w.want([]string{"export", "squad", "--format", "messages", "--split", "validation"}, 2, "", `rebased: version `+name+` of task squad has no split "validation"`+"\n")
	w.want([]string{"export", "squad", "--format", "csv"}, 2, "", "rebased: --format must be one of …")
	if left, err := os.ReadDir(w.dir); err != nil || len(left) != 1 {
		t.Errorf("%d files are left, want the exported one: %v", len(left), left)
	}
}

func TestAVersionOfSeveralFilesIsExportedAsOne(t *testing.T) {
	w := newWorld(t)
	const rows = 20_001 // one more than a file has
	w.version(true, slices.Repeat([]string{"x"}, rows)...)
	w.want([]string{"export", "squad", "--format", "parquet", "-o", w.dir + "/out.parquet"}, 0, "wrote …", "")
	data, err := os.ReadFile(w.dir + "/out.parquet")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parquet.Decode(parquet.ExampleSchema(), "out.parquet", data)
	if err != nil || len(got) != rows {
		t.Fatalf("%d rows, %v", len(got), err)
	}
	for i, row := range got {
		if want := "in" + string(rune('0'+i)); row.Input != want {
			t.Fatalf("row %d is %q, want %q", i, row.Input, want)
		}
	}
	_, stdout, _ := w.run("export", "squad", "--format", "alpaca")
	if lines := strings.Count(stdout, "\n"); lines != rows {
		t.Errorf("%d lines", lines)
	}
}

func TestAnExportThatFailsLeavesNothing(t *testing.T) {
	w := newWorld(t)
	name := w.version(true, slices.Repeat([]string{"x"}, 20_001)...)
	key := rebased.VersionKey("squad", name, "train-00001.parquet")
	if _, err := w.bucket.Put(t.Context(), key, nil); err != nil {
		t.Fatal(err)
	}
	message := "rebased: " + key + " was changed: its SHA-256 is not the one of the manifest\n"
	for _, format := range []string{"parquet", "alpaca"} {
		w.want([]string{"export", "squad", "--format", format}, 2, "", message)
		w.want([]string{"export", "squad", "--format", format, "-o", w.dir + "/out"}, 2, "", message)
	}
	if left, err := os.ReadDir(w.dir); err != nil || len(left) != 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}
