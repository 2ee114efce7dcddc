package handoff

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/dedupe"
)

// The splits of a version. The second is there when the task asks for it.
const (
	SplitTrain      = "train"
	SplitValidation = "validation"
)

// splits say which row is in which split.
//
// Rows that say nearly the same, as dedupe.Groups has them, are on one side: no row that validates was learned from. Of each answer, where answers are
// labels, validation has its share. Groups are taken in the order of their lowest hash of an input, as long as they fit in what is left of the
// shares of their answers; then those that do not fit but bring the split nearer to its shares. So the choice follows no order of rows and
// hardly changes from one version to the next, and the share is met as nearly as the groups allow. A share above zero gives at least one row to
// validation, as long as there are two groups.
//
// Inputs are near from a Jaccard similarity of 0.5 on. Where nearly all inputs share that much, as those of a template with little else do, the groups
// are too large for the share, and a higher similarity is asked for, as low as will do; a warning says which.
type splits struct {
	rows       int
	near       float64 // the similarity
	wanted     int     // rows of validation
	validation int     // rows that it has
	held       []bool  // for validation, by row; nil = none
}

// of is the split of the n-th row.
func (s splits) of(n int) string {
	if s.held != nil && s.held[n] {
		return SplitValidation
	}
	return SplitTrain
}

// size is how many rows a split has.
func (s splits) size(split string) int {
	if split == SplitValidation {
		return s.validation
	}
	return s.rows - s.validation
}

// off is by how many rows the share was missed.
func (s splits) off() int { return max(s.wanted-s.validation, s.validation-s.wanted) }

// met says that the share was met, or nearly.
func (s splits) met() bool { return s.validation > 0 && s.off() <= max(1, s.wanted/20) }

// warning says what a person should know of the split; "" = nothing.
func (s splits) warning() string {
	switch {
	case s.held == nil:
		return ""
	case !s.met():
		return fmt.Sprintf("validation has %d rows where output.validation asks for %d: rows of equal inputs are not parted", s.validation, s.wanted)
	case s.near > 1:
		return "the inputs are so much alike that only rows of equal inputs are kept on one side of the validation split"
	case s.near > nearest[0]:
		return fmt.Sprintf("the inputs are so much alike that rows are kept on one side of the validation split from a Jaccard similarity of %g on, in place of %g", s.near, nearest[0])
	}
	return ""
}

// nearest are the similarities that are tried, up to that of equal inputs alone.
var nearest = []float64{0.5, 0.6, 0.7, 0.8, 0.9, 2}

// splitter learns of the rows what their split depends on. It holds some 200 bytes a row.
type splitter struct {
	share   float64
	hashes  []uint64 // of the inputs
	answers map[string]int32
	names   []string // of the answers
	labels  []int32  // answer of each row; nil = answers are no labels
	counts  []int    // rows of each answer
	groups  *dedupe.Groups
	ahead   []rebased.Example // to be given to groups
	scratch *os.File
}

// aheadRows is how many rows are given to groups at once.
const aheadRows = 1000

// newSplitter gives nil for a share of 0, which needs to know nothing.
func newSplitter(share float64) *splitter {
	if share == 0 {
		return nil
	}
	s := &splitter{share: share, answers: map[string]int32{}, labels: []int32{}}
	s.groups = dedupe.NewGroups(func() (dedupe.Scratch, error) {
		file, err := os.CreateTemp("", "rebased-split-*")
		if err != nil {
			return nil, err
		}
		s.scratch = file
		return file, os.Remove(file.Name()) // so that a worker that is killed leaves nothing
	})
	return s
}

func (s *splitter) add(e *rebased.Example) error {
	if s == nil {
		return nil
	}
	s.hashes = append(s.hashes, hashOf(e.Input))
	s.label(strings.TrimSpace(e.Answer))
	s.ahead = append(s.ahead, rebased.Example{Input: e.Input, Lineage: rebased.Lineage{Row: e.Row}})
	if len(s.ahead) < aheadRows {
		return nil
	}
	return s.flush()
}

func (s *splitter) flush() error {
	err := s.groups.Add(s.ahead)
	clear(s.ahead)
	s.ahead = s.ahead[:0]
	return err
}

func (s *splitter) label(answer string) {
	if s.labels == nil {
		return
	}
	id, known := s.answers[answer]
	if !known {
		id = int32(len(s.names)) //nolint:gosec // at most MaxLabels
		s.answers[answer], s.names, s.counts = id, append(s.names, answer), append(s.counts, 0)
	}
	s.counts[id]++
	s.labels = append(s.labels, id)
	if len(answer) > rebased.LabelBytes || len(s.names) > rebased.MaxLabels {
		s.labels, s.answers, s.names, s.counts = nil, nil, nil, nil
	}
}

// close ends the scratch file.
func (s *splitter) close() error {
	if s == nil || s.scratch == nil {
		return nil
	}
	return s.scratch.Close()
}

// split decides, now that all rows were added.
func (s *splitter) split(ctx context.Context, rows int) (splits, error) {
	if s == nil || rows == 0 {
		return splits{rows: rows}, nil
	}
	if err := s.flush(); err != nil {
		return splits{}, err
	}
	var best splits
	strata, shares := s.strata(), s.shares()
	for _, near := range nearest {
		of, err := s.groups.Find(ctx, near)
		if err != nil {
			return splits{}, fmt.Errorf("group the rows that are nearly equal: %w", err)
		}
		c := &choice{splits: splits{rows: rows, near: near, held: make([]bool, rows)}, left: slices.Clone(shares), strata: strata, groups: groupsOf(of, s.hashes)}
		for _, n := range c.left {
			c.wanted += n
		}
		if c.choose(); best.held == nil || c.off() < best.off() {
			best = c.splits
		}
		if best.met() {
			break
		}
	}
	return best, nil
}

// strata gives the stratum of each row: its answer, or the one of all rare answers together, which comes last.
func (s *splitter) strata() []int32 {
	rest := int32(len(s.counts)) //nolint:gosec // at most MaxLabels
	strata := make([]int32, len(s.hashes))
	for row := range strata {
		if strata[row] = rest; s.labels != nil && !s.rare(s.labels[row]) {
			strata[row] = s.labels[row]
		}
	}
	return strata
}

// rare says that the share of an answer is less than a row.
func (s *splitter) rare(label int32) bool { return s.share*float64(s.counts[label]) < 1 }

// shares gives how many rows each stratum should have in validation: their sum is the share of all rows, rounded.
func (s *splitter) shares() []int {
	rows := len(s.hashes)
	exact := make([]float64, len(s.counts)+1)
	rest := rows
	for label, n := range s.counts {
		if !s.rare(int32(label)) { //nolint:gosec // at most MaxLabels
			exact[label] = s.share * float64(n)
			rest -= n
		}
	}
	exact[len(s.counts)] = s.share * float64(rest)
	shares, order := make([]int, len(exact)), make([]int, len(exact))
	left := min(rows, max(1, int(math.Round(s.share*float64(rows)))))
	for i, e := range exact {
		shares[i], order[i] = int(e+1e-9), i
		left -= shares[i]
	}
	name := func(i int) string { return append(s.names, "")[i] }
	slices.SortFunc(order, func(a, b int) int { // what was rounded off most comes first
		return cmp.Or(cmp.Compare(exact[b]-float64(shares[b]), exact[a]-float64(shares[a])), strings.Compare(name(a), name(b)))
	})
	for _, i := range order[:max(0, min(left, len(order)))] {
		shares[i]++
	}
	return shares
}

// group is rows that are not parted.
type group struct {
	hash uint64 // the lowest of its inputs
	rows []int32
}

// groupsOf gives the groups in the order in which they are taken.
func groupsOf(of []int32, hashes []uint64) []group {
	rows := make([]int32, len(of))
	for i := range rows {
		rows[i] = int32(i) //nolint:gosec // rows fit in 31 bits
	}
	slices.SortFunc(rows, func(a, b int32) int { return cmp.Or(cmp.Compare(of[a], of[b]), cmp.Compare(a, b)) })
	var groups []group
	for len(rows) > 0 {
		g := group{hash: hashes[rows[0]], rows: rows[:1]}
		for len(g.rows) < len(rows) && of[rows[len(g.rows)]] == of[rows[0]] {
			g.hash = min(g.hash, hashes[rows[len(g.rows)]])
			g.rows = rows[:len(g.rows)+1]
		}
		groups, rows = append(groups, g), rows[len(g.rows):]
	}
	slices.SortFunc(groups, func(a, b group) int { return cmp.Compare(a.hash, b.hash) })
	return groups
}

// choice takes groups for validation.
type choice struct {
	splits
	strata []int32 // by row
	left   []int   // rows that a stratum should still have; less than 0 = it has more
	groups []group
	own    []int32 // strata of the group looked at, sorted; reused
}

func (c *choice) choose() {
	for _, g := range c.groups {
		if c.spare(g) && c.gain(g) == len(g.rows) {
			c.take(g)
		}
	}
	var smallest *group
	for i, g := range c.groups {
		if c.held[g.rows[0]] || !c.spare(g) {
			continue
		}
		if c.gain(g) > 0 {
			c.take(g)
		} else if smallest == nil || len(g.rows) < len(smallest.rows) {
			smallest = &c.groups[i]
		}
	}
	if c.validation == 0 && smallest != nil {
		c.take(*smallest)
	}
}

// spare says that a group can go without leaving nothing to train on.
func (c *choice) spare(g group) bool { return c.validation+len(g.rows) < c.rows }

// gain is by how many rows a group brings the strata nearer to their shares: all of its rows where it fits.
func (c *choice) gain(g group) (gain int) {
	c.own = c.own[:0]
	for _, row := range g.rows {
		c.own = append(c.own, c.strata[row])
	}
	slices.Sort(c.own)
	for i := 0; i < len(c.own); {
		n := 1
		for i+n < len(c.own) && c.own[i+n] == c.own[i] {
			n++
		}
		left := c.left[c.own[i]]
		gain += max(left, -left) - max(left-n, n-left)
		i += n
	}
	return gain
}

func (c *choice) take(g group) {
	for _, row := range g.rows {
		c.held[row] = true
		c.left[c.strata[row]]--
	}
	c.validation += len(g.rows)
}

// hashOf is the same for inputs that differ in case and spaces only.
func hashOf(input string) uint64 {
	sum := sha256.Sum256([]byte(strings.Join(strings.Fields(strings.ToLower(input)), " ")))
	return binary.BigEndian.Uint64(sum[:])
}
