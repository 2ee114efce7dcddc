package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rebased/rebased"
)

// translate gives an error its kind and makes it one line that says what was being done. What ctx ended is told as ctx's error.
func (s *Store) translate(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ended(ctx, op)
	}
	if own := (*rebased.Error)(nil); errors.As(err, &own) {
		return &rebased.Error{Kind: own.Kind, Op: op, RetryAfter: own.RetryAfter, Err: own}
	}
	kind := kindOf(err)
	if codeOf(err) == "NoSuchBucket" && !s.source { // no key of it can be missing
		kind = rebased.Invalid
	}
	return &rebased.Error{Kind: kind, Op: op, RetryAfter: retryAfter(err), Err: s.describe(err)}
}

// ended is the error of a call whose context is done: a cancel has no kind, a deadline is Unavailable.
func ended(ctx context.Context, op string) error {
	out := &rebased.Error{Op: op, Err: ctx.Err()}
	if errors.Is(out.Err, context.DeadlineExceeded) {
		out.Kind = rebased.Unavailable
	}
	return out
}

// kindOf reads S3's error code where it says more than the status.
func kindOf(err error) rebased.Kind {
	switch codeOf(err) {
	case "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded":
		return rebased.Throttled
	case "RequestTimeout", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody": // cut or damaged on the way
		return rebased.Unavailable
	case "ExpiredToken", "InvalidToken":
		return rebased.Unauthorized
	case "QuotaExceeded":
		return rebased.Exhausted
	}
	switch status := statusOf(err); {
	case status == 0:
		return kindWithoutAnswer(err)
	case status == 401, status == 403:
		return rebased.Unauthorized
	case status == 404:
		return rebased.NotFound
	case status == 409, status == 412:
		return rebased.Conflict
	case status == 429:
		return rebased.Throttled
	case status < 300, status >= 500 && status != 501: // below 300: an answer that could not be read
		return rebased.Unavailable
	}
	return rebased.Invalid
}

// kindWithoutAnswer tells a network that failed from a request that could not be made.
func kindWithoutAnswer(err error) rebased.Kind {
	var send *smithyhttp.RequestSendError
	var network net.Error
	if errors.As(err, &send) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return rebased.Unavailable
	}
	return rebased.Invalid
}

// described is a vendor's error in the project's words.
type described struct {
	text  string
	cause error
}

func (d *described) Error() string { return d.text }
func (d *described) Unwrap() error { return d.cause }

func (s *Store) describe(err error) error {
	var api smithy.APIError
	var send *smithyhttp.RequestSendError
	var operation *smithy.OperationError
	text := err.Error()
	switch {
	case codeOf(err) == "NoSuchBucket" && s.source:
		text = fmt.Sprintf("bucket %s does not exist", s.bucket)
	case statusOf(err) == 403 && s.source:
		text = fmt.Sprintf("the worker's AWS credentials may not read bucket %s: give them s3:ListBucket and s3:GetObject", s.bucket)
	case codeOf(err) == "NoSuchBucket":
		text = fmt.Sprintf("bucket %s does not exist: create it, or correct REBASED_STORE", s.bucket)
	case errors.As(err, &api):
		text = fmt.Sprintf("%s %s (status %d)", api.ErrorCode(), api.ErrorMessage(), statusOf(err))
	case errors.As(err, &send):
		text = send.Err.Error()
	case errors.As(err, &operation):
		text = operation.Err.Error()
	}
	return &described{text: oneLine(text), cause: err}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// codeOf is S3's error code, "" when the error carries none.
func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// statusOf is the status of the answer, 0 when there was none.
func statusOf(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) && response.Response != nil {
		return response.HTTPStatusCode()
	}
	return 0
}

// retryAfter is the wait in seconds that the answer asks for.
func retryAfter(err error) time.Duration {
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil {
		return 0
	}
	seconds, err := strconv.Atoi(response.Response.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
