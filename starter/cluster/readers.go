package cluster

import (
	"context"
	"log/slog"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/grpc/codes"

	"github.com/rebased/rebased"
)

// Readers asks Temporal whether the one who sends a token may read the namespace.
type Readers struct {
	cluster  *Cluster
	temporal client.Client
}

// bearer is the token of one call, in the form of the Authorization header.
type bearer struct{}

// GetHeaders implements client.HeadersProvider.
func (bearer) GetHeaders(ctx context.Context) (map[string]string, error) {
	authorization, _ := ctx.Value(bearer{}).(string)
	return map[string]string{"authorization": authorization}, nil
}

// nobody is a token that no Temporal has given.
const nobody = "Bearer rebased-asks-whether-tokens-are-checked"

// DialReaders connects with no credentials but those of the connection. A Temporal that lets anybody read is refused, as Invalid: it would let anybody through.
func DialReaders(ctx context.Context, o Options) (*Readers, error) {
	options, err := o.client()
	if err != nil {
		return nil, err
	}
	options.Credentials, options.HeadersProvider = nil, bearer{}
	options.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	temporal, err := client.NewLazyClient(options)
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "the settings of Temporal (TEMPORAL_*): %w", err)
	}
	r := &Readers{New(nil, options.HostPort, options.Namespace, usualTick), temporal}
	switch err := r.Check(ctx, nobody); rebased.KindOf(err) {
	case rebased.Unauthorized:
		return r, nil
	case "":
		temporal.Close()
		return nil, rebased.E(rebased.Invalid, "Temporal at %s lets a made-up token read namespace %s: it does not check who asks, so that it cannot say who may", options.HostPort, options.Namespace)
	default:
		temporal.Close()
		return nil, err
	}
}

// Check is nil for an Authorization header whose sender may read the namespace, Unauthorized for another.
func (r *Readers) Check(ctx context.Context, authorization string) error {
	if authorization == "" {
		return rebased.E(rebased.Unauthorized, "no Authorization header: have the web UI pass the access token of its user")
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, bearer{}, authorization), callWait)
	defer cancel()
	_, err := r.temporal.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: r.cluster.namespace})
	if code := serviceerror.ToStatus(err).Code(); code == codes.PermissionDenied || code == codes.Unauthenticated {
		return rebased.E(rebased.Unauthorized, "Temporal does not let the sender of this token read namespace %s", r.cluster.namespace)
	}
	return r.cluster.translate("ask whether a token may read namespace "+r.cluster.namespace, err)
}

// Close ends the connection.
func (r *Readers) Close() { r.temporal.Close() }
