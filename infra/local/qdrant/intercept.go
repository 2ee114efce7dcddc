package qdrant

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	pb "github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// authenticate lets calls through that carry the API key; the health check needs none, as in Qdrant.
func authenticate(key string) grpc.UnaryServerInterceptor {
	want := sha256.Sum256([]byte(key))
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if key == "" || info.FullMethod == pb.Qdrant_HealthCheck_FullMethodName {
			return next(ctx, req)
		}
		sent := metadata.ValueFromIncomingContext(ctx, "api-key")
		if len(sent) != 1 {
			return nil, status.Error(codes.Unauthenticated, "Must provide an API key in the metadata api-key")
		}
		if got := sha256.Sum256([]byte(sent[0])); subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return nil, status.Error(codes.Unauthenticated, "Invalid API key")
		}
		return next(ctx, req)
	}
}

// translate turns errors into the codes and the wording of Qdrant.
func translate(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	resp, err := next(ctx, req)
	if err == nil {
		return resp, nil
	}
	if _, ok := status.FromError(err); ok {
		return nil, err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil, status.FromContextError(err).Err()
	}
	switch rebased.KindOf(err) {
	case rebased.Invalid:
		return nil, status.Errorf(codes.InvalidArgument, "Wrong input: %v", err)
	case rebased.NotFound:
		return nil, status.Errorf(codes.NotFound, "Not found: %v", err)
	case rebased.Conflict:
		return nil, status.Errorf(codes.AlreadyExists, "Wrong input: %v", err)
	}
	return nil, status.Errorf(codes.Internal, "Service internal error: %v", err)
}
