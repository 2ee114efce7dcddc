package clustertest

import (
	"context"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Namespace is what a namespace is set to.
type Namespace struct {
	Retention time.Duration // of what has ended; 0 = 30 days
	Texts     []string      // those of Attributes that are of type Text; the others are Keyword
	Missing   error         // of who asks for the namespace
	Forbidden error         // of who asks for the types of search attributes
}

// WorkflowService implements cluster.Temporal.
func (t *Temporal) WorkflowService() workflowservice.WorkflowServiceClient {
	return workflowService{t: t}
}

// OperatorService implements cluster.Temporal.
func (t *Temporal) OperatorService() operatorservice.OperatorServiceClient {
	return operatorService{t: t}
}

type workflowService struct {
	workflowservice.WorkflowServiceClient
	t *Temporal
}

func (s workflowService) DescribeNamespace(context.Context, *workflowservice.DescribeNamespaceRequest, ...grpc.CallOption) (*workflowservice.DescribeNamespaceResponse, error) {
	n := s.t.Namespace
	if n.Retention == 0 {
		n.Retention = 30 * 24 * time.Hour
	}
	return &workflowservice.DescribeNamespaceResponse{Config: &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(n.Retention)}}, n.Missing
}

type operatorService struct {
	operatorservice.OperatorServiceClient
	t *Temporal
}

func (s operatorService) ListSearchAttributes(context.Context, *operatorservice.ListSearchAttributesRequest, ...grpc.CallOption) (*operatorservice.ListSearchAttributesResponse, error) {
	out := &operatorservice.ListSearchAttributesResponse{CustomAttributes: map[string]enumspb.IndexedValueType{}}
	for _, name := range s.t.Attributes {
		out.CustomAttributes[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
		if slices.Contains(s.t.Namespace.Texts, name) {
			out.CustomAttributes[name] = enumspb.INDEXED_VALUE_TYPE_TEXT
		}
	}
	return out, s.t.Namespace.Forbidden
}
