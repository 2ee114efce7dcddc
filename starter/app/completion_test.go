package app

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/workflows"
)

func TestShellsAreToldWhatThereIs(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	for _, version := range []string{"0123456789ab", "ba9876543210"} {
		w.put(rebased.ReleaseKey("squad", version), "")
	}
	for _, hostile := range []string{"$(touch x)", "a\x1b]0;title\x07", "a\nb"} {
		w.put(rebased.ReleaseKey("squad", hostile), "")
		w.temporal.Add("build/squad/"+hostile, workflows.BuildDatasetName)
	}
	w.temporal.Add("build/squad/1", workflows.BuildDatasetName).Show(nil, rebased.StateAwaitingApproval)
	w.temporal.Add("build/other/2", workflows.BuildDatasetName)
	w.temporal.Add("build/squad/3", workflows.BuildDatasetName).EndCanceled()
	w.want([]string{"schedule", "create", "--cron", "0 2 * * *", "-f", w.task()}, 0, "…", "…")
	for _, c := range []struct{ line, want string }{
		{"builds show ", "squad/3 other/2 squad/1"},
		{"builds show s", "squad/3 squad/1"},
		{"builds watch ", "other/2 squad/1"},
		{"builds approve ", "squad/1"},
		{"builds resume ", ""},
		{"builds show squad/1 ", ""},
		{"builds ls ", "squad other"},
		{"builds ls --state aw", "awaiting_approval"},
		{"versions show sq", "squad"},
		{"versions show squad@", "squad@0123456789ab squad@ba9876543210"},
		{"versions show Not/A/Name@", ""},
		{"versions diff squad@ba9876543210 squad@0", "squad@0123456789ab"},
		{"versions rollback squad ", "0123456789ab ba9876543210"},
		{"versions rollback squad@b", "squad@ba9876543210"},
		{"versions handoff squad@b", "squad@ba9876543210"},
		{"push squad@b", "squad@ba9876543210"},
		{"schedule backfill s", "squad"},
		{"export squad@b", "squad@ba9876543210"},
		{"corpus show ", "hub"},
		{"index h", "hub"},
		{"schedule pause ", "squad"},
	} {
		words := strings.Split(c.line, " ")
		status, stdout, _ := w.run(append([]string{"__complete"}, words...)...)
		got, _, _ := strings.Cut(strings.ReplaceAll(stdout, "\n", " "), ":")
		// FixedCompletions leave the choosing by what is typed to the shell's script.
		if got = strings.TrimSpace(got); strings.Contains(c.line, "--state") && strings.Contains(got, " "+c.want+" ") {
			got = c.want
		}
		if status != 0 || got != c.want {
			t.Errorf("%s: status %d, %q, want %q", c.line, status, got, c.want)
		}
	}
}

func TestAShellIsNotKeptWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var out, errs strings.Builder
		a := newApp(nil, strings.NewReader(""), &out, &errs)
		released := make(chan struct{})
		a.dial = func(context.Context, cluster.Options) (*cluster.Cluster, error) { // does not look at its context
			<-released
			return cluster.New(w.temporal, "localhost:7233", "default", 0), nil
		}
		status := a.run(t.Context(), []string{"__complete", "builds", "watch", ""})
		close(released)
		if status != 0 || !strings.HasPrefix(out.String(), ":") {
			t.Errorf("status %d, %s%s", status, &out, &errs)
		}
	})
}
