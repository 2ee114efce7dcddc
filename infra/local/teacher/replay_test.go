package teacher_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebased/rebased/infra/local/teacher"
)

func replaying(prompt string) request {
	r := asking(prompt)
	r.Model = teacher.ReplayModel
	return r
}

func TestReplayAnswersWithTheLineThatThePromptChooses(t *testing.T) {
	var lines []string
	for i := range 7 {
		lines = append(lines, fmt.Sprintf(`{"output": "out %d", "input": "in <%d>\n", "cost": 1}`, i, i))
	}
	c := serve(t, teacher.Config{Replay: writeFile(t, strings.Join(lines, "\n")+"\n\n")})
	for i := range 20 {
		prompt := transformPrompt(squad, fmt.Sprintf(`{"text": "row %d"}`, i))
		sum := sha256.Sum256([]byte(prompt))
		n := binary.BigEndian.Uint64(sum[:]) % 7
		r := c.ask(replaying(prompt))
		if want := fmt.Sprintf(`{"input":"in <%d>\n","output":"out %d"}`, n, n); r.content() != want || r.Model != "rebased-replay-teacher" {
			t.Fatalf("got %s by %s, want %s", r.content(), r.Model, want)
		}
	}
	if models := c.must("GET", "/v1/models", nil); models.Data[0].ID != "rebased-replay-teacher" {
		t.Errorf("models: %s", models.raw)
	}
}

func TestReplayCannotReason(t *testing.T) {
	c := serve(t, teacher.Config{Replay: writeFile(t, `{"input": "a", "output": "b"}`)})
	r := c.ask(replaying(reasonPrompt(squad, "a", "b")))
	if r.status != 400 || !strings.Contains(r.Error.Message, "a replayed teacher cannot reason") {
		t.Fatalf("got %d %s", r.status, r.raw)
	}
}

func TestReplayReadsRealRecordings(t *testing.T) {
	folder := os.Getenv("REBASED_TEST_DATA")
	if folder == "" {
		t.Skip("set REBASED_TEST_DATA to the folder of test data to run this")
	}
	recordings, err := filepath.Glob(filepath.Join(folder, "outputs", "*.jsonl"))
	if err != nil || len(recordings) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, path := range recordings {
		c := serve(t, teacher.Config{Replay: path})
		example(t, c.ask(replaying(transformPrompt(squad, warsaw))))
	}
}
