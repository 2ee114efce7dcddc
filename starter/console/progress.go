package console

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// LinesEvery is how often a progress that is no bar may speak within one phase.
const LinesEvery = 5 * time.Second

// Step is how far something has come.
type Step struct {
	Phase  string // what is being done, one word
	Done   int
	Total  int    // 0 = not known, or not counted
	Unit   string // of Done and Total, in the plural
	Detail string // one short line
}

// String gives the step as one line: "transform 12/30 shards: 1,200 rows".
func (s Step) String() string {
	line := s.Phase
	if s.Total > 0 {
		line += fmt.Sprintf(" %s/%s %s", Thousands(s.Done), Thousands(s.Total), s.Unit)
	}
	if s.Detail != "" {
		line += ": " + s.Detail
	}
	return OneLine(line)
}

// Progress shows steps while something runs.
type Progress interface {
	// Show tells how far it has come; telling the same again is cheap.
	Show(step Step)
	// Close ends the showing, so that what is written next stands on a line of its own.
	Close()
}

// Progress starts a progress on standard error: a bar on a terminal, elsewhere lines, at a change of phase and now and then between.
func (c *Console) Progress() Progress {
	if isTerminal(c.Err) {
		return &bar{out: c.Err}
	}
	return c.Lines()
}

// Lines starts a progress as lines, on a terminal too.
func (c *Console) Lines() Progress { return &lines{console: c} }

// lines is progress as lines of text.
type lines struct {
	console *Console
	last    Step
	spoke   time.Time
}

func (l *lines) Show(step Step) {
	now := l.console.Now()
	if step == l.last || step.Phase == l.last.Phase && now.Sub(l.spoke) < LinesEvery {
		return
	}
	l.last, l.spoke = step, now
	l.console.Notef("%s", step)
}

func (l *lines) Close() {}

// bar is progress as one line that a terminal redraws: a bar where the total is known, else a turning sign. It leaves nothing behind.
type bar struct {
	out   io.Writer
	shown *progressbar.ProgressBar
	last  Step
}

func (b *bar) Show(step Step) {
	if b.shown == nil || step.Phase != b.last.Phase || (step.Total > 0) != (b.last.Total > 0) {
		b.Close()
		b.shown = b.start(step.Total)
	}
	b.last = step
	if step.Total > 0 {
		b.shown.Describe(step.String())
		b.shown.ChangeMax(step.Total)
		_ = b.shown.Set(min(step.Done, step.Total)) // an unwritable terminal is no reason to stop
		return
	}
	b.shown.Describe(step.String())
	_ = b.shown.Add(1)
}

func (b *bar) start(total int) *progressbar.ProgressBar {
	if total == 0 {
		total = -1
	}
	return progressbar.NewOptions(total,
		progressbar.OptionSetWriter(b.out),
		progressbar.OptionSetPredictTime(total > 0),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSetWidth(30),
		progressbar.OptionSpinnerType(14),
		progressbar.OptionSetSpinnerChangeInterval(0), // turned by Show, not by a goroutine that outlives the bar
		progressbar.OptionThrottle(50*time.Millisecond),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionShowDescriptionAtLineEnd(),
	)
}

func (b *bar) Close() {
	if b.shown != nil {
		_ = b.shown.Clear()
	}
	b.shown = nil
}
