package handoff

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rebased/rebased"
)

// ReleaseInput is the decision to make a version the latest.
type ReleaseInput struct {
	Task       string
	Version    string
	Build      string
	ApprovedBy string // "" = no approval was asked for
	Reason     string
	At         time.Time // when it was decided; the same in every attempt
	Gates      []string  // those that the version did not pass and that the decision knows of, a sentence each
	MaxDrop    float64   // the gate of that name; 0 = none
	Handoff    string    // what became of the hand-off to the training pipeline; "" = not yet
}

// Latest points at the released version of a task: the content of latest.json.
type Latest struct {
	Task           string    `json:"task"`
	Version        string    `json:"version"`
	Manifest       string    `json:"manifest"` // key in the bucket
	ManifestSHA256 string    `json:"manifest_sha256"`
	Build          string    `json:"build"`
	ReleasedAt     time.Time `json:"released_at"`
	Previous       string    `json:"previous"` // the version that it took the place of; "" = it is the first
}

// Record tells how a version was released: the content of releases/<version>.json.
type Record struct {
	Task           string    `json:"task"`
	Version        string    `json:"version"`
	Manifest       string    `json:"manifest"` // key in the bucket
	ManifestSHA256 string    `json:"manifest_sha256"`
	Releases       []Release `json:"releases"` // one a build that released this version, in the order of time
	// RolledBack are the decisions to put an earlier version in this one's place.
	RolledBack []Rollback `json:"rolled_back,omitempty"`
	// Collected says that the version's files were removed; nil = they are there.
	Collected *Collected `json:"collected,omitempty"`
	// Rejected are the decisions not to release this version. A record may hold these alone.
	Rejected []Rejection `json:"rejected,omitempty"`
	// Deliveries tell what became of the hand-off, by target.
	Deliveries map[string]Delivery `json:"deliveries,omitempty"`
}

// Rejection is a decision not to release a version.
type Rejection struct {
	Build  string    `json:"build"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Rollback is a decision that a version is not to be used any more.
type Rollback struct {
	To     string    `json:"to"` // the version that takes its place
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// refused tells how the version was last put aside, in a sentence; "" = it was not, or was released again since.
func (r Record) refused() string {
	var at time.Time
	said := ""
	put := func(verb, by, reason string, when time.Time) {
		if when.After(at) {
			at, said = when, fmt.Sprintf("this version was %s by %s on %s: %s", verb, by, when.Format(time.DateOnly), cmp.Or(reason, "no reason given"))
		}
	}
	for _, b := range r.RolledBack {
		put("rolled back", b.By, b.Reason, b.At)
	}
	for _, n := range r.Rejected {
		put("rejected", n.By, n.Reason, n.At)
	}
	if n := len(r.Releases); n > 0 && r.Releases[n-1].ReleasedAt.After(at) {
		return ""
	}
	return said
}

// Release is one decision of a Record.
type Release struct {
	Build      string    `json:"build"`
	ApprovedBy string    `json:"approved_by"`
	Reason     string    `json:"reason"`
	ReleasedAt time.Time `json:"released_at"`
	Gates      []string  `json:"gates,omitempty"` // that the version did not pass when it was released all the same
	// Before is the version that was the latest then, and how many fewer rows this one has.
	Before  *Before `json:"before,omitempty"`
	Handoff string  `json:"handoff"` // the workflow's id and run; "" = there is none
}

// Before compares a version with the one that it takes the place of.
type Before struct {
	Version string  `json:"version"`
	Rows    int     `json:"rows"`
	Drop    float64 `json:"drop"` // share of these rows that is missing, to four digits; less than 0 = there are more
}

// Released is what came of a release.
type Released struct {
	State rebased.State
	// Closed are the gates that hold the release, of State awaiting approval, a sentence each: those known of before, and what the comparison with the
	// version that is the latest now adds.
	Closed []string
}

// maxRounds bounds how often a release that loses against others reads again. Each round lost is another release won.
const maxRounds = 16

// Release makes a version the latest of its task and records the decision. It gives released, superseded, or unchanged when another build released the
// same version before: then nothing is written. It is idempotent, and a second call with the hand-off's result adds that to the record.
//
// What compares with the version before is judged here, against what is the latest now. Where gates.max_drop does not pass for a reason that the decision
// does not know of, the release waits for another: the state is awaiting approval, and nothing is written. The record keeps the comparison.
//
// The record is written first and latest.json, by compare-and-swap, last: what is latest always has a complete version and a record, and a
// release that is killed leaves the old version or the new one.
//
// Of two releases, the one decided later is the latest at the end, whichever comes through first: the loser of the swap reads what the winner
// wrote, then takes its place if it was decided later, else leaves it. Both are recorded, and a release that was never the latest
// is superseded. So a late retry of an old release does not bring its version back either.
//
// Errors: NotFound when there is no such version; Conflict when other releases won every round.
func (v Versions) Release(ctx context.Context, in ReleaseInput) (Released, error) {
	if in.Build == "" || in.At.IsZero() {
		return Released{}, rebased.E(rebased.Invalid, "release of %s version %s: the build and the time of the decision are required", in.Task, in.Version)
	}
	manifest, sum, err := v.manifest(ctx, in.Task, in.Version)
	if err != nil {
		return Released{}, err
	}
	next := Latest{
		Task: in.Task, Version: in.Version, Manifest: rebased.VersionKey(in.Task, in.Version, manifestName), ManifestSHA256: sum,
		Build: in.Build, ReleasedAt: in.At.UTC(),
	}
	now, found, err := v.Latest(ctx, in.Task)
	if err != nil {
		return Released{}, err
	}
	if found && now.Version == in.Version && now.Build != in.Build {
		return Released{State: rebased.StateUnchanged}, nil
	}
	first := !found || now.Version == in.Version || !now.ReleasedAt.Before(next.ReleasedAt) // or a retry, whose record is there, or not the latest in the end
	before, err := v.before(ctx, in, manifest, now, first)
	if err != nil {
		return Released{}, err
	}
	if held := in.judge(manifest, before); held != nil {
		return Released{State: rebased.StateAwaitingApproval, Closed: held}, nil
	}
	if err := v.record(ctx, in, next, before); err != nil {
		return Released{}, err
	}
	state, err := v.advance(ctx, next)
	return Released{State: state}, err
}

// before compares a version with the latest; nil when there is none. A latest version that cannot be read any more is compared with where a gate asks for
// that only.
func (v Versions) before(ctx context.Context, in ReleaseInput, m Manifest, latest Latest, first bool) (*Before, error) {
	if first {
		return nil, nil //nolint:nilnil // a first version is compared with none
	}
	was, err := v.Manifest(ctx, in.Task, latest.Version)
	switch kind := rebased.KindOf(err); {
	case err == nil:
		rows := was.rows()
		return &Before{Version: latest.Version, Rows: rows, Drop: share(rows-m.rows(), rows)}, nil
	case in.MaxDrop == 0 && (kind == rebased.NotFound || kind == rebased.Invalid):
		return nil, nil //nolint:nilnil // see above
	}
	return nil, fmt.Errorf("compare with the latest version: %w", err)
}

// judge gives the gates that hold a release, nil when none does that the decision does not know of. What it knew of the comparison with another
// version before does not count any more.
func (in *ReleaseInput) judge(m Manifest, before *Before) (held []string) {
	if in.MaxDrop == 0 {
		return nil
	}
	known := in.Gates
	in.Gates = slices.DeleteFunc(slices.Clone(known), func(gate string) bool { return strings.HasPrefix(gate, dropGate) })
	rows := 0
	if before != nil {
		rows = before.Rows
	}
	drop := dropped(in.MaxDrop, m.rows(), rows)
	if drop == "" {
		if before == nil { // a retry, or a first version: the gates stay as they were told
			in.Gates = known
		}
		return nil
	}
	in.Gates = append(in.Gates, drop)
	if slices.Contains(known, drop) {
		return nil
	}
	return in.Gates
}

// advance switches latest.json unless it holds this release or a later one.
func (v Versions) advance(ctx context.Context, next Latest) (rebased.State, error) {
	state := rebased.StateReleased
	err := v.swap(ctx, rebased.LatestKey(next.Task), func(there []byte) ([]byte, error) {
		next.Previous = ""
		if there == nil {
			return encodeJSON(next), nil
		}
		now, err := decodeLatest(next.Task, there)
		switch {
		case err != nil:
			return nil, err
		case now.Version == next.Version:
			if now.Build != next.Build {
				state = rebased.StateUnchanged
			}
			return nil, nil
		case cmp.Or(now.ReleasedAt.Compare(next.ReleasedAt), strings.Compare(now.Build, next.Build)) >= 0:
			if now.Previous != next.Version { // else it was the latest in between
				state = rebased.StateSuperseded
			}
			return nil, nil
		}
		next.Previous = now.Version
		return encodeJSON(next), nil
	})
	return state, err
}

// record enters the release into the version's record, in place of what the same build wrote before.
func (v Versions) record(ctx context.Context, in ReleaseInput, next Latest, before *Before) error {
	key := rebased.ReleaseKey(in.Task, in.Version)
	own := Release{Build: in.Build, ApprovedBy: in.ApprovedBy, Reason: in.Reason, ReleasedAt: next.ReleasedAt, Gates: in.Gates, Before: before, Handoff: in.Handoff}
	return v.swap(ctx, key, func(there []byte) ([]byte, error) {
		record := Record{Task: in.Task, Version: in.Version, Manifest: next.Manifest, ManifestSHA256: next.ManifestSHA256}
		if there != nil {
			if err := json.Unmarshal(there, &record); err != nil {
				return nil, rebased.E(rebased.Invalid, "%s: %w", key, err)
			}
		}
		i := slices.IndexFunc(record.Releases, func(r Release) bool { return r.Build == in.Build })
		switch {
		case record.Collected != nil && !own.Made():
			return nil, v.missing(ctx, in.Task, in.Version)
		case i < 0:
			record.Releases = append(record.Releases, own)
			record.Collected = nil // the build has made it anew
		case own.Handoff == "": // a retry of the first call knows less
			return nil, nil
		default:
			record.Releases[i].Handoff = own.Handoff
		}
		slices.SortFunc(record.Releases, func(a, b Release) int {
			return cmp.Or(a.ReleasedAt.Compare(b.ReleasedAt), strings.Compare(a.Build, b.Build))
		})
		return encodeJSON(record), nil
	})
}

// swap replaces an object by compare-and-swap: change is shown what is there, nil when nothing is, and gives what shall be, nil to leave it.
func (v Versions) swap(ctx context.Context, key string, change func(there []byte) ([]byte, error)) error {
	for range maxRounds {
		there, etag, err := v.Objects.Get(ctx, key)
		absent := rebased.KindOf(err) == rebased.NotFound
		if err != nil && !absent {
			return fmt.Errorf("read %s: %w", key, err)
		}
		if absent {
			there = nil
		}
		body, err := change(there)
		if err != nil || body == nil {
			return err
		}
		if absent {
			_, err = v.Objects.PutIfAbsent(ctx, key, body)
		} else {
			_, err = v.Objects.PutIfMatch(ctx, key, etag, body)
		}
		if rebased.KindOf(err) != rebased.Conflict {
			return err
		}
	}
	return rebased.E(rebased.Conflict, "%s: others changed it %d times in a row while this was to be written", key, maxRounds)
}

// Latest reads which version of a task is released; found is false when none is.
func (v Versions) Latest(ctx context.Context, task string) (latest Latest, found bool, err error) {
	body, _, err := v.Objects.Get(ctx, rebased.LatestKey(task))
	if rebased.KindOf(err) == rebased.NotFound {
		return Latest{}, false, nil
	}
	if err != nil {
		return Latest{}, false, fmt.Errorf("read the latest version of %s: %w", task, err)
	}
	latest, err = decodeLatest(task, body)
	return latest, err == nil, err
}

func decodeLatest(task string, body []byte) (latest Latest, err error) {
	if err := json.Unmarshal(body, &latest); err != nil {
		return Latest{}, rebased.E(rebased.Invalid, "%s: %w", rebased.LatestKey(task), err)
	}
	return latest, nil
}

// Released lists the versions of a task that were released and not collected since, in the order of their first release.
func (v Versions) Released(ctx context.Context, task string) ([]string, error) {
	type release struct {
		version string
		at      time.Time
	}
	var all []release
	prefix := strings.TrimSuffix(rebased.ReleaseKey(task, ""), ".json")
	for object, err := range v.Objects.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list the releases of %s: %w", task, err)
		}
		version, ok := strings.CutSuffix(strings.TrimPrefix(object.Key, prefix), ".json")
		if !ok {
			continue
		}
		record, err := v.Record(ctx, task, version)
		if err != nil {
			return nil, err
		}
		if len(record.Releases) > 0 && record.Collected == nil {
			all = append(all, release{version, record.Releases[0].ReleasedAt})
		}
	}
	slices.SortFunc(all, func(a, b release) int { return cmp.Or(a.at.Compare(b.at), strings.Compare(a.version, b.version)) })
	versions := make([]string, len(all))
	for i, r := range all {
		versions[i] = r.version
	}
	return versions, nil
}

// Record reads how a version was released. Error: NotFound when it was not.
func (v Versions) Record(ctx context.Context, task, version string) (Record, error) {
	key := rebased.ReleaseKey(task, version)
	body, _, err := v.Objects.Get(ctx, key)
	if err != nil {
		return Record{}, fmt.Errorf("read the release of %s version %s: %w", task, version, err)
	}
	var record Record
	if err := json.Unmarshal(body, &record); err != nil {
		return Record{}, rebased.E(rebased.Invalid, "%s: %w", key, err)
	}
	return record, nil
}

// HandedOff records the hand-off of a version to its build's release.
func (v Versions) HandedOff(ctx context.Context, task, version, build, handoff string) error {
	key := rebased.ReleaseKey(task, version)
	return v.swap(ctx, key, func(there []byte) ([]byte, error) {
		var record Record
		if err := json.Unmarshal(there, &record); err != nil {
			return nil, rebased.E(rebased.Invalid, "%s: %w", key, err)
		}
		for i := range record.Releases {
			if r := &record.Releases[i]; r.Build == build && r.Handoff != handoff {
				r.Handoff = handoff
				return encodeJSON(record), nil
			}
		}
		return nil, nil
	})
}
