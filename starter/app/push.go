package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/infra/hub"
	"github.com/rebased/rebased/starter/console"
)

// manifestFile is the file of a version that lists the others.
const manifestFile = "manifest.json"

func (a *app) pushCommand() *cobra.Command {
	var public bool
	var branch string
	cmd := &cobra.Command{
		Use:   "push TASK[@VERSION] hf://owner/name [--public] [--revision BRANCH]",
		Short: "Push a version to a dataset repository of the Hugging Face Hub",
		Long: `Push the files of a version, the latest when none is named, to a dataset repository of the Hugging Face Hub, by one commit that is
tagged TASK-VERSION. A repository that is missing is made, as a private one. Files of a version that was there before and that this one
has no more are removed; other files stay. A version that is there already is left as it is.

HF_TOKEN must be a token that may write there; HF_ENDPOINT names another server than https://huggingface.co.`,
		Args: arguments(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			task, version, err := versionRef(args[0])
			if err != nil {
				return err
			}
			repo, err := repoRef(args[1])
			if err != nil {
				return err
			}
			if branch != "" && !branchPattern.MatchString(branch) {
				return rebased.E(rebased.Invalid, "--revision %q is no branch that can be pushed to: use letters, digits and ._/-", branch)
			}
			bucket, err := a.bucket(cmd.Context())
			if err != nil {
				return err
			}
			return a.push(cmd.Context(), bucket, task, version, hub.Push{Repo: repo, Branch: branch, Public: public})
		},
	}
	cmd.Flags().BoolVar(&public, "public", false, "make the repository a public one; needed to push to one that is")
	cmd.Flags().StringVar(&branch, "revision", "", "the branch to push to, made from main where it is missing (default main)")
	return cmd
}

var (
	repoPattern   = regexp.MustCompile(`^hf://((?:[A-Za-z0-9][\w.-]{0,95})/(?:[A-Za-z0-9][\w.-]{0,95}))$`)
	branchPattern = regexp.MustCompile(`^[A-Za-z0-9][\w./-]{0,199}$`)
)

// repoRef is the repository that hf://owner/name names.
func repoRef(ref string) (string, error) {
	match := repoPattern.FindStringSubmatch(ref)
	if match == nil {
		return "", rebased.E(rebased.Invalid, "push to %q: name a dataset repository as hf://owner/name; a branch is named by --revision", ref)
	}
	return match[1], nil
}

// pushed is the result of a push.
type pushed struct {
	Task       string `json:"task"`
	Version    string `json:"version"`
	Repository string `json:"repository"`
	Revision   string `json:"revision"` // the branch
	Commit     string `json:"commit"`
	Tag        string `json:"tag"`
	Private    bool   `json:"private"`
	State      string `json:"state"` // pushed or unchanged
	Files      int    `json:"files"` // new ones or others than before
	Bytes      int64  `json:"bytes"`
	URL        string `json:"url"`
}

func (a *app) push(ctx context.Context, bucket store, task, version string, p hub.Push) error {
	if version == "" {
		latest, found, err := versionsOf(bucket).Latest(ctx, task)
		switch {
		case err != nil:
			return err
		case !found:
			return rebased.E(rebased.NotFound, "task %s has no released version: build it, or name a version as %s@VERSION", task, task)
		}
		version = latest.Version
	}
	manifest, err := versionsOf(bucket).Manifest(ctx, task, version)
	if err != nil {
		return err
	}
	if p.Files, err = uploadsOf(ctx, bucket, manifest, task, version); err != nil {
		return err
	}
	client, err := hub.New(hub.Config{Endpoint: a.getenv("HF_ENDPOINT"), Token: a.getenv("HF_TOKEN")})
	if err != nil {
		return err
	}
	p.Tag = task + "-" + version
	p.Message = fmt.Sprintf("%s %s: %s rows", task, version, console.Thousands(manifest.Counts.Train+manifest.Counts.Validation))
	p.Stale = staleBeside(manifest)
	progress := a.console.Progress()
	p.Progress = showUpload(progress)
	out, err := client.Push(ctx, p)
	progress.Close()
	if err != nil {
		if out.Begun {
			return failed{err}
		}
		return err
	}
	result := pushed{
		Task: task, Version: version, Repository: out.Repo, Revision: cmp.Or(p.Branch, "main"), Commit: out.Commit, Tag: p.Tag, Private: out.Private,
		State: "pushed", Files: out.Files, Bytes: out.Bytes, URL: out.URL,
	}
	if out.Unchanged {
		result.State = string(rebased.StateUnchanged)
	}
	return a.console.Result(result, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s@%s: %s, commit %.12s of %s, tag %s: %s\n", result.State, task, version, filesOf(result), result.Commit, result.Revision, p.Tag, result.URL)
	})
}

func filesOf(p pushed) string {
	if p.State != "pushed" {
		return "all files were there"
	}
	return fmt.Sprintf("%d files, %s bytes", p.Files, console.Thousands(int(p.Bytes)))
}

// showUpload shows how far an upload is, in KiB.
func showUpload(progress console.Progress) func(done, total int64) {
	var mu sync.Mutex
	return func(done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		progress.Show(console.Step{Phase: "push", Done: int(done >> 10), Total: int(total>>10) + 1, Unit: "KiB"})
	}
}

// uploadsOf are all files of a version, its manifest too, as the bucket has them.
func uploadsOf(ctx context.Context, bucket store, manifest handoff.Manifest, task, version string) ([]hub.Upload, error) {
	body, _, err := bucket.Get(ctx, rebased.VersionKey(task, version, manifestFile))
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	sum := sha256.Sum256(body)
	uploads := make([]hub.Upload, 0, len(manifest.Files)+1)
	for _, f := range append(manifest.Files, handoff.Entry{Name: manifestFile, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(body))}) {
		uploads = append(uploads, hub.Upload{Path: f.Name, Size: f.Size, SHA256: f.SHA256, Open: func(ctx context.Context) (io.ReadCloser, error) {
			return bucket.Open(ctx, rebased.VersionKey(task, version, f.Name))
		}})
	}
	return uploads, nil
}

// staleBeside names what the repository has of the version before, by that one's manifest. Files that no version brought stay, unless the card would show
// their rows as the version's: then the push is refused.
func staleBeside(now handoff.Manifest) func(context.Context, []hub.File, func(hub.File) ([]byte, error)) ([]string, error) {
	names := func(m handoff.Manifest) []string {
		all := make([]string, len(m.Files))
		for i, f := range m.Files {
			all[i] = f.Name
		}
		return all
	}
	return func(_ context.Context, there []hub.File, read func(hub.File) ([]byte, error)) ([]string, error) {
		var before handoff.Manifest
		if n := slices.IndexFunc(there, func(f hub.File) bool { return f.Path == manifestFile }); n >= 0 {
			body, err := read(there[n])
			if err != nil {
				return nil, err
			}
			if json.Unmarshal(body, &before) != nil || before.Format != handoff.Format {
				return nil, rebased.E(rebased.Invalid, "the repository has a manifest.json that is not of rebased: remove it, or name another repository")
			}
		}
		stale, ours := names(before), names(now)
		for _, f := range there {
			rows := strings.HasSuffix(f.Path, ".parquet") && path.Dir(f.Path) == "." && (strings.HasPrefix(f.Path, handoff.SplitTrain+"-") || strings.HasPrefix(f.Path, handoff.SplitValidation+"-"))
			if rows && !slices.Contains(stale, f.Path) && !slices.Contains(ours, f.Path) {
				return nil, rebased.E(rebased.Invalid, "the repository has %s, which no version brought and whose rows would be shown as the version's: remove it, or name another repository", f.Path)
			}
		}
		return stale, nil
	}
}
