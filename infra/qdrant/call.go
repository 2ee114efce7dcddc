package qdrant

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rebased/rebased"
)

// caller is what every call has in common: the key, a deadline, and errors that become kinds.
type caller struct {
	key     string
	timeout time.Duration
	watch   func(ctx context.Context, operation string) (context.Context, func(error))
}

// watched is call, told to who watches.
func (c caller) watched(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	if c.watch == nil {
		return c.call(ctx, method, request, reply, conn, invoke, opts...)
	}
	ctx, done := c.watch(ctx, strings.ToLower(path.Base(method)))
	err := c.call(ctx, method, request, reply, conn, invoke, opts...)
	done(err)
	return err
}

func (c caller) call(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	bounded, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if c.key != "" {
		bounded = metadata.AppendToOutgoingContext(bounded, "api-key", c.key)
	}
	var trailer metadata.MD
	err := invoke(bounded, method, request, reply, conn, append(opts, grpc.Trailer(&trailer))...)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil { // the one who called has stopped it: no fault of the server
		return ctx.Err()
	}
	answer := status.Convert(err)
	out := &rebased.Error{
		Kind: kindOf(answer.Code()), Op: operation(method, request), RetryAfter: retryAfter(trailer), Err: errors.New(answer.Message()),
	}
	if answer.Code() == codes.ResourceExhausted && tooLarge(answer.Message()) {
		out.Kind, out.RetryAfter = rebased.Invalid, 0
		out.Err = fmt.Errorf("%s: lower upsert_max_batchsize (writes) or max_query_limit (answers) in the strict mode of the collection", answer.Message())
	}
	return out
}

// tooLarge tells what gRPC says of a message over its limits from what a server says of too many requests: they share a code.
func tooLarge(said string) bool { return strings.Contains(said, "larger than max") }

// kindOf says what a status means. A request that the server does not know or want stays wrong however often it is sent; FailedPrecondition is
// about the state of the server (a shard in transfer, storage that is locked), which passes.
func kindOf(code codes.Code) rebased.Kind {
	switch code {
	case codes.InvalidArgument, codes.Unimplemented, codes.OutOfRange:
		return rebased.Invalid
	case codes.NotFound:
		return rebased.NotFound
	case codes.AlreadyExists:
		return rebased.Conflict
	case codes.Unauthenticated, codes.PermissionDenied:
		return rebased.Unauthorized
	case codes.ResourceExhausted:
		return rebased.Throttled
	}
	return rebased.Unavailable
}

func retryAfter(trailer metadata.MD) time.Duration {
	for _, value := range trailer.Get("retry-after") {
		if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
			return time.Duration(seconds) * time.Second
		}
	}
	return 0
}

// operation names a call for messages, for instance "qdrant upsert rebased-hub-0a1b2c3d".
func operation(method string, request any) string {
	op := "qdrant " + strings.ToLower(path.Base(method))
	if named, ok := request.(interface{ GetCollectionName() string }); ok {
		op += " " + named.GetCollectionName()
	}
	return op
}
