package handoff

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
)

// TestTheSystemTurnIsTheTasks has a version made with each kind of system turn, and exported again.
func TestTheSystemTurnIsTheTasks(t *testing.T) {
	const messages, shareGPT = `{"messages":[`, `{"conversations":[`
	for name, test := range map[string]struct {
		system string
		want   map[string]string // by format
	}{
		"the instruction": {"", map[string]string{
			rebased.FormatMessages:         messages + `{"role":"system","content":"Answer."},{"role":"user","content":"Where?"},{"role":"assistant","content":"Here."}]}`,
			rebased.FormatShareGPT:         shareGPT + `{"from":"system","value":"Answer."},{"from":"human","value":"Where?"},{"from":"gpt","value":"Here."}]}`,
			rebased.FormatPreference:       `{"prompt":[{"role":"system","content":"Answer."},{"role":"user","content":"Where?"}],"chosen":[{"role":"assistant","content":"Here."}],"rejected":[{"role":"assistant","content":"There."}]}`,
			rebased.FormatPromptCompletion: `{"prompt":"Answer.\n\nWhere?\n\n","completion":"Here."}`,
			rebased.FormatAlpaca:           `{"instruction":"Answer.","input":"Where?","output":"Here."}`,
		}},
		"of its own": {"Be brief.", map[string]string{
			rebased.FormatMessages:         messages + `{"role":"system","content":"Be brief."},{"role":"user","content":"Answer.\n\nWhere?"},{"role":"assistant","content":"Here."}]}`,
			rebased.FormatShareGPT:         shareGPT + `{"from":"system","value":"Be brief."},{"from":"human","value":"Answer.\n\nWhere?"},{"from":"gpt","value":"Here."}]}`,
			rebased.FormatPreference:       `{"prompt":[{"role":"system","content":"Be brief."},{"role":"user","content":"Answer.\n\nWhere?"}],"chosen":[{"role":"assistant","content":"Here."}],"rejected":[{"role":"assistant","content":"There."}]}`,
			rebased.FormatPromptCompletion: `{"prompt":"Answer.\n\nWhere?\n\n","completion":"Here."}`,
			rebased.FormatAlpaca:           `{"instruction":"Answer.","input":"Where?","output":"Here."}`,
		}},
		"none": {rebased.SystemNone, map[string]string{
			rebased.FormatMessages:         messages + `{"role":"user","content":"Answer.\n\nWhere?"},{"role":"assistant","content":"Here."}]}`,
			rebased.FormatShareGPT:         shareGPT + `{"from":"human","value":"Answer.\n\nWhere?"},{"from":"gpt","value":"Here."}]}`,
			rebased.FormatPreference:       `{"prompt":[{"role":"user","content":"Answer.\n\nWhere?"}],"chosen":[{"role":"assistant","content":"Here."}],"rejected":[{"role":"assistant","content":"There."}]}`,
			rebased.FormatPromptCompletion: `{"prompt":"Answer.\n\nWhere?\n\n","completion":"Here."}`,
			rebased.FormatAlpaca:           `{"instruction":"Answer.","input":"Where?","output":"Here."}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			in := input()
			in.Task.Instruction = "Answer."
			in.Task.Output = rebased.Output{Formats: rebased.Formats(), System: test.system}
			in.Rows = parts([]rebased.Example{{Input: "Where?", Output: "Here.", Rejected: []string{"There."}}}, 1)
			in.Retrieved = 9 // of which eight are rejected
			v := versionsOn(mem.NewObjects())
			staged := stage(t, v, in)
			for format, want := range test.want {
				made, _, err := v.Objects.Get(t.Context(), rebased.VersionKey("capitals", staged.Version, "train."+format+".jsonl"))
				if err != nil || strings.TrimSuffix(string(made), "\n") != want {
					t.Errorf("%s: %v\n got %s\nwant %s", format, err, made, want)
				}
				var exported bytes.Buffer
				err = v.Export(t.Context(), ExportInput{Task: "capitals", Version: staged.Version, Format: format}, &exported)
				if err != nil || !bytes.Equal(exported.Bytes(), made) {
					t.Errorf("%s is exported otherwise: %v, %s", format, err, &exported)
				}
			}
		})
	}
}
