package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/dedupe"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/activities/judge"
	"github.com/rebased/rebased/activities/reason"
	"github.com/rebased/rebased/activities/transform"
)

// Handoff makes and releases versions.
type Handoff struct {
	*Build
	Tokenizers Tokenizers
	Publishers Publishers
	URI        string // of the store, s3://bucket[/prefix]
}

// StageInput is what a version is made of, and the counts that its manifest tells.
type StageInput struct {
	BuildRef
	Revision  string                            `json:"revision"` // of the corpus
	Encoder   string                            `json:"encoder"`
	Endpoint  string                            `json:"endpoint"`
	Retrieved int                               `json:"retrieved"`
	Skipped   map[string]int                    `json:"skipped"`
	Rejected  map[string]map[rebased.Reason]int `json:"rejected"` // by step
	Reasoned  bool                              `json:"reasoned"` // whether the reason step ran
	Judged    bool                              `json:"judged,omitempty"`
	Tokens    rebased.Usage                     `json:"tokens"`
	// StepTokens are Tokens by step. They are left out where they do not add up to Tokens: a build that an older program began does not know all.
	StepTokens map[string]rebased.Usage `json:"step_tokens,omitempty"`
	Parts      int                      `json:"parts"`             // files of deduplicated rows; 0 = 1, of a history recorded before there could be more
	Given      map[rebased.Reason]int   `json:"given,omitempty"`   // of those that dedupe rejected, the ones that repeat given rows
	Nothing    bool                     `json:"nothing,omitempty"` // a delta has no new row
}

// StageResult names the version.
type StageResult struct {
	Version  string `json:"version"`
	URI      string `json:"uri"`
	Released bool   `json:"released"` // it is the latest of the task already
	// Unstarted is the build that released it and whose hand-off to the task's workflow is not recorded; "" = there is none to start.
	Unstarted string `json:"unstarted,omitempty"`
	// Due are the targets of the task's hand-off that it was not handed to, or that did not get it; Undelivered says what went wrong, a sentence each.
	Due         []string `json:"due,omitempty"`
	Undelivered []string `json:"undelivered,omitempty"`
	// Closed are the task's gates that it does not pass, Warnings what a person should look at; a sentence each.
	Closed   []string `json:"closed,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	MaxDrop  float64  `json:"max_drop,omitempty"` // the task's gate, to be judged again at release
}

// Stage writes the version that the deduplicated rows make.
func (a *Handoff) Stage(ctx context.Context, in StageInput) (StageResult, error) {
	work, _, stop := heartbeat(ctx)
	defer stop()
	out, err := a.stage(work, in)
	return out, translate(ctx, err)
}

func (a *Handoff) stage(ctx context.Context, in StageInput) (StageResult, error) {
	task, file, err := a.task(ctx, in.BuildRef)
	if err != nil {
		return StageResult{}, err
	}
	if in.Nothing {
		return a.unchanged(ctx, in.Task)
	}
	steps := []string{transform.Step}
	if in.Reasoned {
		steps = append(steps, reason.Step)
	}
	if in.Judged {
		steps = append(steps, judge.Step)
	}
	steps = append(steps, dedupe.Step)
	spec := handoff.Input{
		Task: task, TaskFile: file, Revision: in.Revision, Encoder: in.Encoder, Endpoint: in.Endpoint, Retrieved: in.Retrieved,
		Skipped: in.Skipped, Given: in.Given, Tokens: in.Tokens, Staging: rebased.BuildKey(in.Task, in.Build, "staged"),
		Rows: handoff.Parts{Count: max(1, in.Parts), Read: func(ctx context.Context, part int) ([]rebased.Example, error) {
			return a.Examples.Read(ctx, in.key(folderDeduped, part))
		}},
		Removed: func(ctx context.Context, visit func(*rebased.Reject)) error {
			return eachPart(ctx, a.Objects, a.Rejects, in.BuildRef, folderRejects, dedupe.Step+"-", func(rows []rebased.Reject) bool {
				for i := range rows {
					visit(&rows[i])
				}
				return true
			})
		},
		Sources: func(ctx context.Context, wanted map[rebased.RowID]struct{}) (map[rebased.RowID]rebased.Candidate, error) {
			found := make(map[rebased.RowID]rebased.Candidate, len(wanted))
			err := eachPart(ctx, a.Objects, a.Candidates, in.BuildRef, folderRetrieved, "", func(rows []rebased.Candidate) bool {
				for _, c := range rows {
					if _, ok := wanted[c.ID]; ok {
						found[c.ID] = c
					}
				}
				return len(found) < len(wanted)
			})
			return found, err
		},
	}
	if name := task.Output.Tokenizer; name != "" {
		if spec.Tokenizer, err = a.Tokenizers.Open(ctx, name); err != nil {
			return StageResult{}, fmt.Errorf("output.tokenizer: %w", err)
		}
	}
	var known rebased.Usage
	for _, tokens := range in.StepTokens {
		known = known.Add(tokens)
	}
	for _, step := range steps {
		count := handoff.StepCount{Step: step, Rejected: in.Rejected[step]}
		if known == in.Tokens {
			count.Tokens = in.StepTokens[step]
		}
		spec.Steps = append(spec.Steps, count)
	}
	if spec.Benchmarks, err = a.benchmarks(ctx, in.BuildRef, task.Decontaminate); err != nil {
		return StageResult{}, err
	}
	staged, err := a.versions().Stage(ctx, spec)
	if err != nil {
		return StageResult{}, err
	}
	return StageResult{
		Version: staged.Version, URI: a.uri(in.Task, staged.Version), Released: staged.Released, Unstarted: staged.Unstarted,
		Due: staged.Due, Undelivered: staged.Undelivered, Closed: staged.Closed, Warnings: staged.Manifest.Quality.Warnings, MaxDrop: task.Gates.MaxDrop,
	}, nil
}

// benchmarks says what the rows were held against, and counts what was found.
func (a *Handoff) benchmarks(ctx context.Context, in BuildRef, d rebased.Decontaminate) ([]handoff.Benchmark, error) {
	set, err := a.Benchmarks.open(ctx, d)
	if err != nil || set == nil {
		return nil, err
	}
	corpus, err := a.readLeaked(ctx, in)
	if err != nil {
		return nil, err
	}
	all := make([]handoff.Benchmark, 0, len(d.Files))
	for i, file := range set.Files() {
		key, name, _ := rebased.ParseBenchmarkRef(d.Files[i]) // it was read under this reference
		all = append(all, handoff.Benchmark{Name: name, SHA256: path.Base(key), Rows: file.Rows, Pieces: file.Pieces, Corpus: corpus[name]})
	}
	for _, step := range []string{transform.Step, dedupe.Step} {
		err := eachPart(ctx, a.Objects, a.Rejects, in, folderRejects, step+"-", func(rejects []rebased.Reject) bool {
			for i := range rejects {
				if rejects[i].Reason != rebased.ReasonLeaked {
					continue
				}
				of := slices.IndexFunc(all, func(b handoff.Benchmark) bool { return leakedFrom(rejects[i].Detail, b.Name) })
				if of >= 0 {
					all[of].Examples++
				}
			}
			return true
		})
		if err != nil {
			return nil, fmt.Errorf("count the leaks: %w", err)
		}
	}
	return all, nil
}

func (a *Handoff) uri(task, version string) string {
	return strings.TrimSuffix(a.URI, "/") + "/" + rebased.VersionKey(task, version) + "/"
}

// unchanged names the latest version of a task, to which nothing is new.
func (a *Handoff) unchanged(ctx context.Context, task string) (StageResult, error) {
	latest, found, err := a.versions().Latest(ctx, task)
	if err == nil && !found {
		err = rebased.E(rebased.Invalid, "every row of task %s repeats one of dedupe.against, and no version of it was released", task)
	}
	if err != nil {
		return StageResult{}, err
	}
	return StageResult{Version: latest.Version, URI: a.uri(task, latest.Version), Released: true}, nil
}

func (a *Handoff) versions() handoff.Versions {
	return handoff.Versions{Objects: a.Objects, Examples: a.Examples}
}

// ReleaseInput says which version becomes the latest, and on whose word.
type ReleaseInput struct {
	Task    string    `json:"task"`
	Version string    `json:"version"`
	Build   string    `json:"build"`
	By      string    `json:"by"` // "" = no approval was asked for
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	Gates   []string  `json:"gates,omitempty"` // that it did not pass, as far as is known
	MaxDrop float64   `json:"max_drop,omitempty"`
	Handoff string    `json:"handoff"` // what became of the hand-off; "" = not yet
}

// ReleaseResult is released; unchanged when another build released the version meanwhile; or awaiting approval, for gates that do not pass against what
// is the latest version now.
type ReleaseResult struct {
	State  rebased.State `json:"state"`
	Closed []string      `json:"closed,omitempty"` // the gates, a sentence each
}

// Release makes a staged version the latest; called again with a hand-off, it adds that to the release record.
func (a *Handoff) Release(ctx context.Context, in ReleaseInput) (ReleaseResult, error) {
	out, err := a.versions().Release(ctx, handoff.ReleaseInput{
		Task: in.Task, Version: in.Version, Build: in.Build, ApprovedBy: in.By, Reason: in.Reason, At: in.At, Gates: in.Gates,
		MaxDrop: in.MaxDrop, Handoff: in.Handoff,
	})
	return ReleaseResult{State: out.State, Closed: out.Closed}, translate(ctx, err)
}

// RejectInput says that a version is not to be released, and on whose word.
type RejectInput struct {
	Task    string    `json:"task"`
	Version string    `json:"version"`
	Build   string    `json:"build"`
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
}

// Reject records that a staged version is not to be released.
func (a *Handoff) Reject(ctx context.Context, in RejectInput) error {
	return translate(ctx, a.versions().Reject(ctx, in.Task, in.Version, handoff.Rejection{Build: in.Build, By: in.By, Reason: in.Reason, At: in.At}))
}

// HandedOffInput says what became of the hand-off of a release.
type HandedOffInput struct {
	Task    string `json:"task"`
	Version string `json:"version"`
	Build   string `json:"build"` // that released the version
	Handoff string `json:"handoff"`
}

// HandedOff adds the hand-off to the release record.
func (a *Handoff) HandedOff(ctx context.Context, in HandedOffInput) error {
	return translate(ctx, a.versions().HandedOff(ctx, in.Task, in.Version, in.Build, in.Handoff))
}

// Record writes result.json into the build's folder.
func (a *Handoff) Record(ctx context.Context, result rebased.BuildResult) error {
	body, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return translate(ctx, fmt.Errorf("encode the result: %w", err))
	}
	_, err = a.Objects.Put(ctx, rebased.BuildKey(result.Task, result.Build, "result.json"), append(body, '\n'))
	return translate(ctx, err)
}
