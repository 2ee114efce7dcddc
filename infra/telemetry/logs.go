package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// LogForm is how a program logs.
type LogForm struct {
	Text  bool // lines for people; else JSON
	Level slog.Level
}

// ParseLogForm reads json or text and a level (debug, info, warn, error), separated by a comma; each once, or left out. Invalid: anything else.
func ParseLogForm(s string) (f LogForm, err error) {
	var form, level bool // given
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		switch {
		case part == "":
		case slices.Contains([]string{"json", "text"}, part) && !form:
			form, f.Text = true, part == "text"
		case slices.Contains([]string{"debug", "info", "warn", "error"}, part) && !level:
			level = true
			_ = f.Level.UnmarshalText([]byte(part)) // these are slog's names
		default:
			return f, rebased.E(rebased.Invalid, "must be json or text, and debug, info, warn or error, separated by a comma, got %.40q", part)
		}
	}
	return f, nil
}

// NewLog makes a log in which each line names the task, build, shard and trace that its context is of, and in which no secret stands: where one would, there
// is ***.
func NewLog(w io.Writer, f LogForm, secrets ...string) *slog.Logger {
	hide := hider(secrets)
	options := &slog.HandlerOptions{Level: f.Level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { return hide.attr(a) }}
	if f.Text {
		return slog.New(contextual{slog.NewTextHandler(w, options)})
	}
	return slog.New(contextual{slog.NewJSONHandler(w, options)})
}

// hider holds what must not be read.
type hider []string

func (h hider) attr(a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case string:
		a.Value = slog.StringValue(h.text(v))
	case error:
		a.Value = slog.StringValue(h.text(v.Error()))
	default:
		text := fmt.Sprint(v)
		if raw, ok := v.([]byte); ok {
			text = string(raw)
		}
		if h.text(text) != text {
			a.Value = slog.StringValue(h.text(text))
		}
	}
	return a
}

func (h hider) text(s string) string {
	for _, secret := range h {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	return s
}

type subjectKey struct{}

func withSubject(ctx context.Context, s activities.Subject) context.Context {
	return context.WithValue(ctx, subjectKey{}, s)
}

// logged is what a line names because of its context.
func logged(ctx context.Context) (attributes []slog.Attr) {
	s, _ := ctx.Value(subjectKey{}).(activities.Subject)
	for _, a := range []slog.Attr{slog.String("task", s.Task), slog.String("build", s.Build), slog.String("shard", s.Shard), slog.String("corpus", s.Corpus)} {
		if a.Value.String() != "" {
			attributes = append(attributes, a)
		}
	}
	return attributes
}

// contextual adds what the context of a line tells.
type contextual struct{ slog.Handler }

// Handle implements slog.Handler.
func (c contextual) Handle(ctx context.Context, r slog.Record) error {
	if about := logged(ctx); len(about) > 0 {
		r.AddAttrs(about...)
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r.AddAttrs(slog.String("TraceID", span.TraceID().String()))
	}
	return c.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (c contextual) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextual{c.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (c contextual) WithGroup(name string) slog.Handler {
	return contextual{c.Handler.WithGroup(name)}
}
