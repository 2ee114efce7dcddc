package app

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/rebased/rebased"
)

func TestVersionsAreCompared(t *testing.T) {
	w := newWorld(t)
	w.want(args("versions diff squad"), 2, "", "rebased: task squad has no released version: rebased versions ls squad lists all\n")
	first := w.version(true, "x")
	w.want(args("versions diff squad"), 2, "", "rebased: task squad has only one released version, "+first+": there is none to compare it with\n")
	second := w.version(true, "y", "z")
	w.put(rebased.BuildKey("squad", "by", "result.json"), rebased.BuildResult{CostUSD: 0.5})
	want := `versions           squad@` + first + ` -> squad@` + second + `
rows               1 -> 2: 1 added, 0 removed, 1 changed, 0 in another split, 0 kept
tokens             0 -> 0
paid by its build  - -> 0.5000 USD

DATASET  FROM  TO
o/d      1     2

changed
  o/d r0: in0 => y

added
  o/d r1: in1 => z
`
	for _, command := range []string{"versions diff squad", "versions diff squad@" + first, "versions diff squad@" + first + " squad@" + second} {
		w.want(args(command), 0, want, "")
	}
	w.want(args("versions diff squad squad@"+second), 2, "", "rebased: squad names no version: rebased versions ls squad lists them\n")
	w.want(args("versions diff squad -n -1"), 2, "", "rebased: -n must be between 0 and 1000, got -1…")
	_, out, _ := w.run("versions", "diff", "squad", "--json")
	var d versionsDiff
	if err := json.Unmarshal([]byte(out), &d); err != nil || d.Rows.Added != 1 || d.From.Version != first || d.PaidUSD[0] != nil || *d.PaidUSD[1] != 0.5 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAVersionIsRolledBack(t *testing.T) {
	w := newWorld(t)
	first := w.version(true, "x")
	second := w.version(true, "y", "z")
	w.want(args("versions rollback squad"), 2, "", "rebased: which version of squad? name it as squad@VERSION: …")
	w.want(args("versions rollback squad@"+second), 2, "", "rebased: version "+second+" of task squad is the latest already\n")
	*w.bucket.down = rebased.LatestKey("squad")
	w.want(args("versions rollback squad "+first), 1, "", "rebased: version "+second+" is marked as rolled back, "+first+" is not yet the latest, run the same again: …")
	*w.bucket.down = ""
	w.want(args("versions rollback squad "+first+" --by ada --reason labels"), 0, "squad@"+first+" is the latest version again, in place of "+second+"\n", "")
	latest, _, err := versionsOf(w.bucket).Latest(t.Context(), "squad")
	if err != nil || latest.Version != first || time.Since(latest.ReleasedAt) > time.Hour {
		t.Errorf("latest is %+v, %v", latest, err)
	}
	w.want(args("versions show squad"), 0, `version      squad@`+first+`
released     `+latest.ReleasedAt.Format(time.RFC3339)+` (latest)
approved by  ada
build        bx
…`, "")
	record, err := versionsOf(w.bucket).Record(t.Context(), "squad", second)
	if err != nil || len(record.RolledBack) != 2 || record.RolledBack[1].By != "ada" || record.RolledBack[1].Reason != "labels" {
		t.Errorf("got %+v, %v", record, err)
	}
}
