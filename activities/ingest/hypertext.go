package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// leftOut are the elements that say nothing of the document's own. What is inside of them is left out too.
var leftOut = map[atom.Atom]bool{
	atom.Script: true, atom.Style: true, atom.Noscript: true, atom.Template: true, atom.Nav: true, atom.Footer: true, atom.Aside: true, atom.Form: true,
	atom.Button: true, atom.Select: true, atom.Svg: true, atom.Iframe: true, atom.Object: true, atom.Dialog: true, atom.Menu: true, atom.Textarea: true,
}

// leftOutRoles are what marks elements of other names as such.
var leftOutRoles = map[string]bool{"navigation": true, "banner": true, "contentinfo": true, "search": true, "menu": true, "menubar": true}

// The breaks that elements make in the text around them, the stronger before the weaker.
const (
	noBreak = iota
	space
	cellBreak
	lineBreak
	paragraphBreak
)

var breaks = map[atom.Atom]int{
	atom.Br: lineBreak, atom.Tr: lineBreak, atom.Li: lineBreak, atom.Dt: lineBreak, atom.Dd: lineBreak, atom.Td: cellBreak, atom.Th: cellBreak,
	atom.P: paragraphBreak, atom.Div: paragraphBreak, atom.Section: paragraphBreak, atom.Article: paragraphBreak, atom.Main: paragraphBreak,
	atom.Header: paragraphBreak, atom.Body: paragraphBreak, atom.Head: paragraphBreak, atom.Html: paragraphBreak, atom.Ul: paragraphBreak,
	atom.Ol: paragraphBreak, atom.Dl: paragraphBreak, atom.Table: paragraphBreak, atom.Blockquote: paragraphBreak, atom.Figure: paragraphBreak,
	atom.Figcaption: paragraphBreak, atom.Hr: paragraphBreak, atom.Details: paragraphBreak, atom.Summary: paragraphBreak, atom.Address: paragraphBreak,
	atom.Fieldset: paragraphBreak, atom.Caption: paragraphBreak, atom.Center: paragraphBreak, atom.Pre: paragraphBreak,
}

var headingLevels = map[atom.Atom]int{atom.H1: 1, atom.H2: 2, atom.H3: 3, atom.H4: 4, atom.H5: 5, atom.H6: 6}

var voidElements = map[atom.Atom]bool{
	atom.Area: true, atom.Base: true, atom.Br: true, atom.Col: true, atom.Embed: true, atom.Hr: true, atom.Img: true, atom.Input: true, atom.Link: true,
	atom.Meta: true, atom.Param: true, atom.Source: true, atom.Track: true, atom.Wbr: true,
}

// page goes through the tokens of one HTML document. There is no tree, so that no depth of elements is too great.
type page struct {
	p    *passages
	text strings.Builder
	gap  int // break before the next text
	line int // ends of lines so far
	from int // line of the paragraph's begin

	heading atom.Atom // the text is that of a heading
	title   bool      // … of the title in the head
	pre     bool

	skipped atom.Atom // the element that is left out
	depth   int       // of elements of its name in it
	skipAt  int       // its line
}

// hypertext reads what an HTML page says: without scripts, styles, forms and navigation.
func hypertext(r *bufio.Reader, limits Limits, p *passages) error {
	tokens := html.NewTokenizer(r)
	tokens.SetMaxBuf(limits.RowBytes)
	h := page{p: p}
	for !p.stopped {
		kind := tokens.Next()
		newlines := bytes.Count(tokens.Raw(), []byte("\n"))
		if kind == html.ErrorToken {
			if errors.Is(tokens.Err(), html.ErrBufferExceeded) {
				return fmt.Errorf("has more than %d bytes in one piece", limits.RowBytes)
			}
			if !errors.Is(tokens.Err(), io.EOF) {
				return tokens.Err() // a paragraph that breaks off is not given
			}
			h.end()
			if h.depth > 0 && !p.stopped {
				p.flush()
				note := fmt.Sprintf("the <%s> on line %d is never closed: what follows it is left out", h.skipped, h.skipAt)
				p.stopped = p.stopped || !p.yield(Record{Note: note}, nil)
			}
			return nil
		}
		h.read(tokens, kind)
		h.line += newlines
	}
	return nil
}

func (h *page) read(tokens *html.Tokenizer, kind html.TokenType) {
	switch kind {
	case html.TextToken:
		if h.depth == 0 {
			h.add(string(tokens.Text()))
		}
	case html.StartTagToken, html.SelfClosingTagToken:
		name, attributes := tokens.TagName()
		element := atom.Lookup(name)
		out := leftOut[element] || attributes && hidden(tokens)
		h.start(element, out && kind == html.StartTagToken && element != 0 && !voidElements[element])
	case html.EndTagToken:
		name, _ := tokens.TagName()
		h.close(atom.Lookup(name))
	}
}

// hidden looks for attributes that take an element out of the text.
func hidden(tokens *html.Tokenizer) (is bool) {
	for {
		key, value, more := tokens.TagAttr()
		switch string(key) {
		case "hidden":
			is = true
		case "aria-hidden":
			is = is || string(value) == "true"
		case "role":
			is = is || leftOutRoles[string(value)]
		}
		if !more {
			return is
		}
	}
}

func (h *page) start(element atom.Atom, out bool) {
	switch {
	case h.depth > 0 && (element == atom.Main || element == atom.Article || element == atom.Body):
		h.depth = 0 // navigation that was not closed
	case h.depth > 0:
		if element == h.skipped {
			h.depth++
		}
		return
	case out:
		h.skipped, h.depth, h.skipAt = element, 1, h.line+1
		h.widen(breaks[element])
		return
	}
	if headingLevels[element] > 0 {
		h.end()
		h.heading = element
		return
	}
	if element == atom.Title && h.p.title == "" {
		h.end()
		h.title = true
		return
	}
	h.widen(breaks[element])
	switch element {
	case atom.Pre:
		h.end()
		h.pre = true
	case atom.Li:
		h.add("- ")
	}
}

func (h *page) close(element atom.Atom) {
	if h.depth > 0 {
		if element == h.skipped {
			h.depth--
		}
		return
	}
	switch {
	case element == h.heading && element != 0, element == atom.Title && h.title, element == atom.Pre && h.pre:
		h.end()
		return
	}
	h.widen(breaks[element])
}

func (h *page) widen(gap int) {
	if h.gap = max(h.gap, gap); h.gap == paragraphBreak && h.heading == 0 && !h.title {
		h.end()
	}
}

// add takes text; white space is one space but in <pre>.
func (h *page) add(text string) {
	if h.pre {
		h.bound()
		h.begin()
		h.text.WriteString(text)
		return
	}
	first := true
	for word := range strings.FieldsSeq(text) {
		if !first || startsWithSpace(text) {
			h.gap = max(h.gap, space)
		}
		first = false
		h.bound()
		h.begin()
		h.text.WriteString(word)
	}
	if endsWithSpace(text) {
		h.gap = max(h.gap, space)
	}
}

// begin writes the break before a word.
func (h *page) begin() {
	if h.text.Len() == 0 {
		h.from = h.line + 1
	} else {
		h.text.WriteString([]string{"", " ", " | ", "\n", "\n"}[h.gap])
	}
	h.gap = noBreak
}

// bound ends a paragraph that goes on and on.
func (h *page) bound() {
	if h.text.Len() <= paragraphBytes {
		return
	}
	pre := h.pre
	h.end()
	h.pre = pre
}

// end gives the text to the passages as what it is.
func (h *page) end() {
	text := h.text.String()
	switch {
	case h.title:
		if title := strings.TrimSpace(text); utf8.RuneCountInString(title) <= headingLetters {
			h.p.title = title
		}
	case h.heading != 0:
		h.p.heading(headingLevels[h.heading], text, h.from)
	case strings.Trim(text, "- \n|") != "":
		h.p.paragraph(text, h.from, h.pre)
	}
	h.text.Reset()
	h.gap, h.heading, h.title, h.pre = noBreak, 0, false, false
}

func startsWithSpace(text string) bool {
	letter, _ := utf8.DecodeRuneInString(text)
	return unicode.IsSpace(letter)
}

func endsWithSpace(text string) bool {
	letter, _ := utf8.DecodeLastRuneInString(text)
	return unicode.IsSpace(letter)
}
