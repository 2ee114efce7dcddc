package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

// maxFile bounds a file of results: far over any batch that is submitted.
const maxFile = 2 << 30

type largeKey struct{}

// Large lets the replies to requests under ctx be files of results, whose lines are bounded instead.
func Large(ctx context.Context) context.Context { return context.WithValue(ctx, largeKey{}, true) }

// limit is the size of the largest reply to a request under ctx, in bytes.
func limit(ctx context.Context) int64 {
	if ctx.Value(largeKey{}) != nil {
		return maxFile
	}
	return maxBody
}

// Lines yields the lines of a file of results, each valid until the next one is asked for; op is what an error calls it. Empty lines are passed
// over.
func Lines(ctx context.Context, op string, file io.Reader, key string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, maxBody)
		for lines.Scan() {
			if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 && !yield(line, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(nil, Broken(ctx, op, err, key))
		}
	}
}

var id = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,200}$`)

// ID tells whether a text is the name of something that a provider has made: one that can stand in a path as it is.
func ID(s string) bool { return id.MatchString(s) }

// Unsure takes the mark of what is not billed off an error that the server itself has answered with: a batch may have been made before it failed.
func Unsure(err error) error {
	if status := (*statusError)(nil); rebased.KindOf(err) != rebased.Unavailable || !errors.As(err, &status) {
		return err
	}
	return &rebased.Error{Kind: rebased.Unavailable, RetryAfter: rebased.RetryAfterOf(err), Err: errors.New(err.Error())}
}

// NotBilled marks an error after which the provider has made nothing that it could bill, whatever became of the request.
func NotBilled(err error) error {
	if rebased.KindOf(err) != rebased.Unavailable {
		return err
	}
	return &rebased.Error{Kind: rebased.Unavailable, RetryAfter: rebased.RetryAfterOf(err), Err: fmt.Errorf("%w (%w)", err, llm.ErrNotBilled)}
}
