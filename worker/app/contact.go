package app

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

// maxSilence is half of the steps' heartbeat timeout: after that, Temporal may be about to give this worker's steps to another.
const maxSilence = 30 * time.Second

// contact knows when Temporal last heard of this process. A worker that is cut off must not go on asking teachers: by then another may have its
// shards, and both would pay.
type contact struct{ last atomic.Int64 } // Unix nanoseconds

// intercept is a grpc.UnaryClientInterceptor that notes the calls by which Temporal hears of running steps.
func (c *contact) intercept(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	err := invoke(ctx, method, request, reply, conn, options...)
	if err == nil && (strings.HasSuffix(method, "/RecordActivityTaskHeartbeat") || strings.HasSuffix(method, "/PollActivityTaskQueue")) {
		c.last.Store(time.Now().UnixNano())
	}
	return err
}

// silence is how long this process was not heard of; since when it counts at most is for one that has just begun.
func (c *contact) silence(since time.Time) time.Duration {
	if last := time.Unix(0, c.last.Load()); last.After(since) {
		since = last
	}
	return time.Since(since)
}

// alive tells whether this process was heard of lately.
func (c *contact) alive() bool { return time.Since(time.Unix(0, c.last.Load())) < maxSilence }
