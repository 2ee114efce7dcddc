package handoff

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
)

// decided is when the releases of these tests are decided, if nothing else is said.
var decided = time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)

// versionsOn opens the versions of a bucket.
func versionsOn(objects rebased.Objects) Versions {
	return Versions{Objects: objects, Examples: mem.NewTable[rebased.Example](objects)}
}

// idTable stores nothing but the ids of rows, so that the golden version does not follow the columns of examples.
type idTable struct {
	rebased.Table[rebased.Example]
	objects rebased.Objects
}

func (t idTable) Write(ctx context.Context, key string, rows []rebased.Example) (rebased.File, error) {
	var body []byte
	for _, e := range rows {
		body = append(append(body, e.Row...), '\n')
	}
	_, err := t.objects.Put(ctx, key, body)
	return rebased.File{Key: key, SHA256: sha(string(body)), Size: int64(len(body)), Rows: len(rows)}, err
}

// parts gives rows in parts of at most so many.
func parts(rows []rebased.Example, most int) Parts {
	all := slices.Collect(slices.Chunk(rows, most))
	return Parts{Count: len(all), Read: func(ctx context.Context, part int) ([]rebased.Example, error) {
		return slices.Clone(all[part]), ctx.Err()
	}}
}

// words is a tokenizer whose tokens are what white space separates.
type words struct{ name string }

func (w words) Ref() TokenizerRef {
	return TokenizerRef{Name: cmp.Or(w.name, "hf://student/model"), SHA256: sha("words")}
}

func (words) Count(text string) int { return len(strings.Fields(text)) }

// input is a small version of the rows of examples, in three parts.
func input() Input {
	task := rebased.DefaultTask()
	task.Name, task.Corpus = "capitals", "hub"
	task.Instruction = "Answer the question.\nUse the context: <b>only</b> what it says.\n```\n# no heading\n```"
	task.Examples = []rebased.TaskExample{{Input: "Where is Vienna?", Output: "Austria"}}
	task.Transform.Teacher.Model = "rebased-demo-1"
	task.Output = rebased.Output{Formats: []string{"messages", "prompt-completion", "alpaca", "sharegpt"}, Validation: 0.25, License: "cc-by-4.0"}
	return Input{
		Task: task, TaskFile: []byte("name: capitals\n"), Revision: "0123456789ab", Encoder: "static/rebased-1/256", Endpoint: "http://127.0.0.1:4010/v1",
		Retrieved: 20, Skipped: map[string]int{"quota": 7},
		Steps: []StepCount{
			{Step: "transform", Rejected: map[rebased.Reason]int{rebased.ReasonUnusable: 2, rebased.ReasonRefused: 1, rebased.ReasonTooLong: 0}, Tokens: rebased.Usage{InputTokens: 4000, OutputTokens: 900}},
			{Step: "dedupe", Rejected: map[rebased.Reason]int{rebased.ReasonDuplicate: 3, rebased.ReasonConflict: 1, rebased.ReasonNearDuplicate: 1}},
		},
		Tokens: rebased.Usage{InputTokens: 4000, OutputTokens: 900}, Staging: "builds/capitals/b1/handoff",
		Rows: parts(examples(), 5), Tokenizer: words{},
	}
}

// examples are 12 rows of three datasets, with text of the kinds that break formats.
func examples() []rebased.Example {
	var rows []rebased.Example
	sources := []rebased.Lineage{
		{DatasetID: rebased.DatasetID{Name: "owner/qa_set", Config: "default", Split: "train"}, License: "mit"},
		{DatasetID: rebased.DatasetID{Name: "owner/qa_set", Config: "other", Split: "train"}, License: "mit"},
		{DatasetID: rebased.DatasetID{Name: "evil|<script>alert(1)</script>", Config: "c", Split: "train"}},
	}
	texts := []string{"Where is it?", "Ist <Österreich> & Co. \"groß\"?", "line\nbreak \u2028 and \ttab 東京 🙂", `{"json": "inside"}`}
	for i := range 12 {
		l := sources[i%len(sources)]
		l.Row, l.Rank, l.Score, l.Teacher = rebased.RowID(fmt.Sprintf("row-%02d", i)), i, 1/float32(i+1), "rebased-demo-1"
		l.Responses = []string{fmt.Sprintf("answer-%d", i)}
		rows = append(rows, rebased.Example{
			Input: fmt.Sprintf("%s (%d)", texts[i%len(texts)], i), Output: fmt.Sprintf("out %d", i), Answer: fmt.Sprintf("out %d", i), Lineage: l,
		})
	}
	return rows
}

func stage(t testing.TB, v Versions, in Input) Staged {
	t.Helper()
	staged, err := v.Stage(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return staged
}

// release gives what a build decides at a minute of the night.
func release(version, build string, minute int) ReleaseInput {
	return ReleaseInput{
		Task: "capitals", Version: version, Build: build, ApprovedBy: "Ada", Reason: "looks right", At: decided.Add(time.Duration(minute) * time.Minute),
	}
}

// contents reads every object under a prefix.
func contents(t testing.TB, objects rebased.Objects, prefix string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for object, err := range objects.List(context.Background(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := objects.Get(context.Background(), object.Key)
		if err != nil {
			t.Fatal(err)
		}
		all[object.Key] = string(body)
	}
	return all
}

func sha(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}
