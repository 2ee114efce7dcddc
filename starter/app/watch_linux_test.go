package app

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/workflows"
)

// terminal is a pseudo terminal with a screen behind it that knows the control sequences which a watching may use, and no others.
type terminal struct {
	t      *testing.T
	master *os.File
	slave  *os.File // the program's end
	frames chan frameSeen
	left   chan string // what was written after the screen was left, at the end
}

// endOfTest is what a test writes when the command has ended.
const endOfTest = "\x1b[0z"

// frameSeen is the screen at the end of a frame.
type frameSeen struct {
	lines   []string
	colours bool
}

func (f frameSeen) String() string { return strings.Join(f.lines, "\n") }

func newTerminal(t *testing.T, width, height int) *terminal {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminal: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := &terminal{t: t, master: master, slave: slave, frames: make(chan frameSeen), left: make(chan string, 1)}
	out.resize(width, height)
	t.Cleanup(func() { master.Close() })
	go out.read()
	return out
}

func (v *terminal) resize(width, height int) {
	size := &unix.Winsize{Col: uint16(width), Row: uint16(height)}
	if err := unix.IoctlSetWinsize(int(v.master.Fd()), unix.TIOCSWINSZ, size); err != nil {
		v.t.Fatal(err)
	}
}

// read plays what is written on a screen.
func (v *terminal) read() {
	var (
		screen       []string
		row          int
		after        strings.Builder // what stands outside of the screen
		on, coloured bool
		rest         []byte
		buffer       [4096]byte
	)
	for {
		n, err := v.master.Read(buffer[:])
		rest = append(rest, buffer[:n]...)
		for len(rest) > 0 {
			sequence, text, wait := cut(rest)
			if wait {
				break
			}
			rest = rest[len(sequence)+len(text):]
			switch sequence {
			case "\x1b[?1049h":
				on = true
			case "\x1b[?1049l":
				on = false
			case "\x1b[H":
				row = 0
			case "\x1b[K":
				if row == len(screen) {
					screen = append(screen, "")
				}
			case "\x1b[J":
				screen = screen[:min(row, len(screen))]
			case "\r\n":
				row++
			case "\x1b[?2026h":
				screen, coloured = nil, false
			case "\x1b[?2026l":
				v.frames <- frameSeen{append([]string{}, screen...), coloured}
			case endOfTest:
				close(v.frames)
				v.left <- after.String()
				return
			case "", "\x1b[?25l", "\x1b[?25h":
			default:
				if !strings.HasSuffix(sequence, "m") {
					v.t.Errorf("a control sequence that is not agreed on: %q", sequence)
				}
				coloured = true
			}
			if !on {
				after.WriteString(text)
				continue
			}
			for len(screen) <= row && text != "" {
				screen = append(screen, "")
			}
			if text != "" {
				screen[row] += text
			}
		}
		if err != nil {
			v.t.Errorf("read the terminal: %v", err)
			close(v.frames)
			return
		}
	}
}

// cut takes the next control sequence or text off; wait is true when more must come first.
func cut(b []byte) (sequence, text string, wait bool) {
	switch {
	case b[0] == '\r':
		return "\r\n", "", len(b) < 2
	case b[0] != 0x1b:
		end := bytes.IndexAny(b, "\x1b\r")
		if end < 0 {
			end = len(b)
			for end > 0 && !utf8.Valid(b[:end]) {
				end--
			}
		}
		return "", string(b[:end]), end == 0
	}
	for i := 2; i < len(b); i++ {
		if b[i] >= '@' && b[i] <= '~' {
			return string(b[:i+1]), "", false
		}
	}
	return "", "", true
}

// until waits for a frame that holds all texts.
func (v *terminal) until(texts ...string) frameSeen {
	v.t.Helper()
	var last frameSeen
	patience := time.After(20 * time.Second) // of a test that fails
	for more := true; more; {
		select {
		case f, ok := <-v.frames:
			if more = ok; !ok {
				continue
			}
			last = f
			if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(f.String(), text) }) {
				return f
			}
		case <-patience:
			more = false
		}
	}
	v.t.Fatalf("no frame had all of %q, the last was\n%s", texts, last)
	return last
}

// rest reads to the end and gives what was written after the screen was left.
func (v *terminal) rest() string {
	for range v.frames { //nolint:revive // to its end
	}
	return <-v.left
}

// watch runs a command with the terminal as its standard input and error, to its end.
func (w *world) watch(v *terminal, environ []string, line ...string) (ended chan int, stdout *strings.Builder) {
	stdout, ended = &strings.Builder{}, make(chan int, 1)
	a := newApp(append([]string{"REBASED_STORE=s3://bucket"}, environ...), v.slave, stdout, v.slave)
	a.dial = func(context.Context, cluster.Options) (*cluster.Cluster, error) {
		return cluster.New(w.temporal, "localhost:7233", "default", time.Millisecond), nil
	}
	a.open = func(context.Context, string) (store, error) { return w.bucket, nil }
	go func() {
		status := a.run(w.ctx, line)
		_, _ = v.slave.WriteString(endOfTest) // the reading of its keyboard keeps the terminal open
		ended <- status
	}()
	return ended, stdout
}

var underWay = rebased.Progress{
	State: rebased.StateRunning, Phase: "transform", Asked: 1000, ToAsk: 6000, Spent: rebased.Spend{USD: 1.25}, Cap: rebased.Spend{USD: 5},
	Counts: rebased.Counts{Retrieved: 6000, Rows: 900, Rejected: map[rebased.Reason]int{rebased.ReasonUnusable: 80, rebased.ReasonTooLong: 20}, Calls: rebased.Calls{Made: 1000}},
}

func TestWatchOnATerminalShowsABuildAndThenItsResult(t *testing.T) {
	w, v := newWorld(t), newTerminal(t, 80, 24)
	run := w.temporal.Add("build/squad/1", workflows.BuildDatasetName)
	run.Heartbeats = []any{[]any{200, activities.Flow{InFlight: 31, Answered: 210, Throttled: 12, Most: 64, Rate: 25, Spent: rebased.Amount{Pico: 1e12}}}}
	run.Show(underWay, rebased.StateRunning)
	ended, stdout := w.watch(v, nil, "builds", "watch", "squad/1")
	f := v.until("squad/1  running", "plan > retrieve > [transform] > dedupe > handoff", "20 % 1,200 of 6,000 rows", "900 good of 6,000 retrieved",
		"100: 80 unusable_answer, 20 too_long", "31, the pace allows 64 and 25.0 calls/s, throttled 12 times", "1,210 made, 0 reused, 12 failed",
		"45 % 2.2500 of 5.0000 USD (some 11.25 in all)", "measured in a moment", "1: 1@worker", "q quits")
	if !f.colours {
		t.Error("no colours")
	}
	for _, line := range f.lines {
		if utf8.RuneCountInString(line) > 80 {
			t.Errorf("wider than the terminal: %s", line)
		}
	}
	v.resize(40, 10)
	f = v.until("dedupe …", "20 % 1,200 of 6,000\n")
	if len(f.lines) > 10 {
		t.Errorf("higher than the terminal:\n%s", f)
	}
	run.End(resultIn(run, rebased.StateReleased), nil)
	rest := v.rest()
	if status := <-ended; status != 0 || !strings.HasPrefix(stdout.String(), "squad/1: released after") || rest != "" {
		t.Errorf("status %d, %q after the screen\n%s", status, rest, stdout)
	}
}

func TestAKeyLeavesTheWatchingAndTheBuildGoesOn(t *testing.T) {
	for _, c := range []struct {
		key    string
		status int
	}{{"xq", 0}, {"\x03", 4}} {
		w, v := newWorld(t), newTerminal(t, 80, 24)
		w.temporal.Add("build/squad/1", workflows.BuildDatasetName).Show(underWay, rebased.StateRunning)
		ended, _ := w.watch(v, []string{"NO_COLOR=1"}, "builds", "watch")
		if f := v.until("squad/1"); f.colours {
			t.Error("colours, with NO_COLOR")
		}
		if _, err := v.master.WriteString(c.key); err != nil {
			t.Fatal(err)
		}
		rest := v.rest()
		want := "squad/1 goes on without you: rebased builds watch squad/1 follows it, rebased builds cancel squad/1 ends it"
		if status := <-ended; status != c.status || rest != want {
			t.Errorf("%q: status %d, want %d\n%s", c.key, status, c.status, rest)
		}
	}
}

func TestSeveralBuildsAreWatchedInATable(t *testing.T) {
	w, v := newWorld(t), newTerminal(t, 80, 24)
	w.temporal.Add("build/old/0", workflows.BuildDatasetName).EndCanceled()
	w.temporal.Add("build/other/20261122-210000-aaaa", workflows.BuildDatasetName).Show(
		rebased.Progress{State: rebased.StateAwaitingApproval, Phase: "approval"}, rebased.StateAwaitingApproval)
	run := w.temporal.Add("build/squad/20261122-210000-bbbb", workflows.BuildDatasetName)
	run.Heartbeats = []any{[]any{200, activities.Flow{InFlight: 31}}}
	run.Show(underWay, rebased.StateRunning)
	ended, stdout := w.watch(v, []string{"NO_COLOR=1"}, "builds", "watch")
	f := v.until("squad/20261122-210000-bbbb  transform", "other/20261122-210000-aaaa  awaiting_approval", "20%", "STANDS AT")
	if strings.Contains(f.String(), "old") || strings.Contains(f.String(), "CALLS/S") {
		t.Errorf("a build that has ended, or columns for which there is no room:\n%s", f)
	}
	v.resize(200, 24)
	v.until("CALLS/S", "31")
	v.resize(80, 4)
	v.until("and 2 more, for which the screen has no room")
	run.End(resultIn(run, rebased.StateReleased), nil)
	v.rest()
	want := "squad/20261122-210000-bbbb  released           "
	if status := <-ended; status != 3 || !strings.Contains(stdout.String(), want) {
		t.Errorf("status %d\n%s", status, stdout)
	}
}

func TestWatchPrintsLinesWithPlainOrOnADumbTerminal(t *testing.T) {
	for i, line := range []string{"builds watch squad/1 --plain", "builds watch squad/1"} {
		w, v := newWorld(t), newTerminal(t, 80, 24)
		run := w.temporal.Add("build/squad/1", workflows.BuildDatasetName)
		run.Show(underWay, rebased.StateRunning)
		go func() { <-run.Asked(); run.End(resultIn(run, rebased.StateReleased), nil) }()
		ended, _ := w.watch(v, [][]string{nil, {"TERM=dumb"}}[i], args(line)...)
		want := "build squad/1transform 1,000/6,000 rows asked about: 900 good, 100 rejected, 1.2500 of 5.0000 USD"
		if rest := v.rest(); <-ended != 0 || rest != want {
			t.Errorf("%s: %s\nwant %s", line, rest, want)
		}
	}
}
