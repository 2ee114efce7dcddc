package console

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// Style is how a piece of text looks on a screen with colours.
type Style string

// The styles, as the parameters of "Select Graphic Rendition" (ECMA-48, 8.3.117).
const (
	Plain  Style = ""
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
)

// Span is text of one style. Its text may come from anywhere: it is made safe when it is drawn.
type Span struct {
	Text  string
	Style Style
}

// Line is one line of a screen.
type Line []Span

// Keys that a screen tells.
const (
	KeyQuit      = 'q'
	KeyInterrupt = 3 // Ctrl-C, which is no signal while a screen is up
)

// Control sequences of terminals: ECMA-48, and the private modes of xterm. A terminal that does not know a mode leaves it out.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // the other buffer, without a cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	beginFrame  = "\x1b[?2026h\x1b[H" // shown at once, at its end
	endFrame    = "\x1b[?2026l"
	endLine     = "\x1b[K" // nothing of the frame before is left to the right
	endScreen   = "\x1b[J" // or below
)

// Screen has a terminal to itself and shows frames on it, each in place of the one before. It uses the terminal's other buffer, so that it leaves
// nothing behind and a change of size breaks no line.
type Screen struct {
	out     io.Writer
	colours bool
	size    func() (width, height int)
	keys    chan rune
	restore func()
	closed  sync.Once
	drawn   string // the frame that stands, with its size before it
}

// Screen takes the terminal over, and the keyboard where stdin is one. nil when standard error is no terminal, or one that cannot move its cursor.
func (c *Console) Screen(stdin io.Reader, getenv func(string) string) *Screen {
	if !isTerminal(c.Err) || getenv("TERM") == "dumb" {
		return nil
	}
	fd := int(c.Err.(*os.File).Fd())
	s := &Screen{out: c.Err, colours: getenv("NO_COLOR") == "", keys: make(chan rune), restore: func() {}}
	s.size = func() (int, int) {
		if width, height, err := term.GetSize(fd); err == nil && width > 0 && height > 0 {
			return width, height
		}
		return 80, 24
	}
	if keyboard, ok := stdin.(*os.File); ok && term.IsTerminal(int(keyboard.Fd())) {
		if before, err := term.MakeRaw(int(keyboard.Fd())); err == nil {
			s.restore = func() { _ = term.Restore(int(keyboard.Fd()), before) }
			go s.listen(keyboard)
		}
	}
	_, _ = io.WriteString(s.out, enterScreen) // an unwritable terminal is no reason to stop
	return s
}

// listen tells the keys that are known. It ends with the program: a read of a keyboard cannot be called off.
func (s *Screen) listen(keyboard io.Reader) {
	var typed [32]byte
	for {
		n, err := keyboard.Read(typed[:])
		for _, key := range typed[:n] {
			switch key {
			case 'q', 'Q':
				s.keys <- KeyQuit
			case KeyInterrupt:
				s.keys <- KeyInterrupt
			}
		}
		if err != nil {
			return
		}
	}
}

// Keys tells what is pressed; never, without a keyboard.
func (s *Screen) Keys() <-chan rune { return s.keys }

// Size is how many characters and lines fit now.
func (s *Screen) Size() (width, height int) { return s.size() }

// Draw shows a frame, unless it stands already. Lines that are too long are cut, and so are those below the last.
func (s *Screen) Draw(lines []Line) {
	width, height := s.size()
	var b strings.Builder
	b.WriteString(beginFrame)
	lines = lines[:min(len(lines), height)]
	for i, line := range lines {
		if left := s.line(&b, line, width); left > 0 { // behind a full line some terminals erase its last character
			b.WriteString(endLine)
		}
		if i < height-1 {
			b.WriteString("\r\n")
		}
	}
	if len(lines) < height {
		b.WriteString(endScreen)
	}
	b.WriteString(endFrame)
	frame := fmt.Sprintln(width, height) + b.String()
	if frame == s.drawn {
		return
	}
	s.drawn = frame
	_, _ = io.WriteString(s.out, b.String())
}

// line writes a line and gives the columns that are left.
func (s *Screen) line(b *strings.Builder, line Line, width int) int {
	for _, span := range line {
		text := Fit(span.Text, width)
		width -= uniseg.StringWidth(text)
		if s.colours && span.Style != Plain && text != "" {
			text = "\x1b[" + string(span.Style) + "m" + text + "\x1b[m"
		}
		b.WriteString(text)
	}
	return width
}

// Close gives the terminal back.
func (s *Screen) Close() {
	s.closed.Do(func() {
		_, _ = io.WriteString(s.out, leaveScreen)
		s.restore()
	})
}

// Fit makes text safe to show and cuts it to so many columns of a terminal; wide characters take two.
func Fit(text string, columns int) string {
	text = OneLine(text)
	if uniseg.StringWidth(text) <= columns {
		return text
	}
	if columns < 1 {
		return ""
	}
	var b strings.Builder
	left := columns - 1 // for the sign that something is left out
	for clusters := uniseg.NewGraphemes(text); clusters.Next() && clusters.Width() <= left; left -= clusters.Width() {
		b.WriteString(clusters.Str())
	}
	return b.String() + "…"
}

// Columns is how many columns of a terminal text takes.
func Columns(text string) int { return uniseg.StringWidth(OneLine(text)) }
