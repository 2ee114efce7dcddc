package qdrant

import (
	"context"
	"fmt"
	"strings"

	pb "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// rule says which values of a field are served.
type rule struct {
	// unserved says why a value is not, "" when it is; nil = all are. It is given each element of a list.
	unserved func(protoreflect.Value) string
	// opaque values are stored as they are and not looked into.
	opaque bool
}

// refuse stops a request that uses a field which is not served, or whose call is not, before anything is done.
func refuse(served map[protoreflect.FullName]rule) grpc.UnaryServerInterceptor {
	requests := map[protoreflect.FullName]bool{}
	for field := range served {
		requests[field.Parent()] = true
	}
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if m, ok := req.(proto.Message); ok {
			d := m.ProtoReflect().Descriptor()
			if d.Fields().Len() > 0 && !requests[d.FullName()] {
				return nil, unimplemented("call %s", info.FullMethod)
			}
			if err := checkMessage(served, m.ProtoReflect()); err != nil {
				return nil, err
			}
		}
		return next(ctx, req)
	}
}

// checkMessage looks at every field that is set, in this message and in those inside it.
func checkMessage(served map[protoreflect.FullName]rule, m protoreflect.Message) (err error) {
	if len(m.GetUnknown()) > 0 {
		return unimplemented("a field of %s that is newer than version "+protocolVersion, m.Descriptor().FullName())
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		r, ok := served[field.FullName()]
		switch {
		case !ok:
			err = unimplemented("field %s", field.FullName())
		case r.opaque:
		case field.IsList():
			list := value.List()
			if field.Message() == nil && r.unserved == nil {
				break // numbers of a vector: nothing to look at
			}
			for i := 0; i < list.Len() && err == nil; i++ {
				err = checkValue(served, r, field, list.Get(i))
			}
		case field.IsMap():
			value.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				err = checkValue(served, r, field.MapValue(), v)
				return err == nil
			})
		default:
			err = checkValue(served, r, field, value)
		}
		return err == nil
	})
	return err
}

func checkValue(served map[protoreflect.FullName]rule, r rule, field protoreflect.FieldDescriptor, value protoreflect.Value) error {
	if r.unserved != nil {
		if why := r.unserved(value); why != "" {
			return unimplemented("field %s: %s", field.FullName(), why)
		}
	}
	if field.Message() != nil {
		return checkMessage(served, value.Message())
	}
	return nil
}

// unimplemented is the answer to what this server leaves to Qdrant.
func unimplemented(what string, args ...any) error {
	return status.Errorf(codes.Unimplemented, what+" is not served by this development server; use Qdrant", args...)
}

// servedFields lists every field of a request that this server acts on.
func servedFields() map[protoreflect.FullName]rule {
	served := map[protoreflect.FullName]rule{
		"qdrant.VectorParams.distance":                     {unserved: onlyDistances},
		"qdrant.HnswConfigDiff.m":                          {unserved: onlyNoGraph},
		"qdrant.CreateCollection.shard_number":             {unserved: onlyOne},
		"qdrant.CreateCollection.replication_factor":       {unserved: onlyOne},
		"qdrant.CreateCollection.write_consistency_factor": {unserved: onlyOne},
		"qdrant.PointStruct.payload":                       {opaque: true},
		"qdrant.SetPayloadPoints.payload":                  {opaque: true},
		"qdrant.CreateFieldIndexCollection.field_type":     {unserved: onlyFieldTypes},
		"qdrant.CreateFieldIndexCollection.field_name":     {unserved: onlyPlainPaths},
		"qdrant.FieldCondition.key":                        {unserved: onlyPlainPaths},
		"qdrant.IsEmptyCondition.key":                      {unserved: onlyPlainPaths},
		"qdrant.PayloadIncludeSelector.fields":             {unserved: onlyTopLevel},
		"qdrant.PayloadExcludeSelector.fields":             {unserved: onlyTopLevel},
		"qdrant.SearchParams.indexed_only":                 {unserved: onlyFalse},
	}
	for line := range strings.Lines(servedAsTheyAre) {
		message, fields, _ := strings.Cut(line, ": ")
		for field := range strings.FieldsSeq(fields) {
			served[protoreflect.FullName("qdrant."+message+"."+field)] = rule{}
		}
	}
	return served
}

// servedAsTheyAre names a message and its fields a line: those that are served with any value.
const servedAsTheyAre = `CreateCollection: collection_name vectors_config hnsw_config on_disk_payload
VectorsConfig: params_map
VectorParamsMap: map
VectorParams: size on_disk hnsw_config multivector_config
GetCollectionInfoRequest: collection_name
CollectionExistsRequest: collection_name
DeleteCollection: collection_name
ListCollectionAliasesRequest: collection_name
ChangeAliases: actions
AliasOperations: create_alias rename_alias delete_alias
CreateAlias: collection_name alias_name
RenameAlias: old_alias_name new_alias_name
DeleteAlias: alias_name
CreateFieldIndexCollection: collection_name wait
UpsertPoints: collection_name wait points
PointStruct: id vectors
PointId: num uuid
Vectors: vectors
NamedVectors: vectors
Vector: dense multi_dense
DenseVector: data
MultiDenseVector: vectors
DeletePoints: collection_name wait points
PointsSelector: points filter
PointsIdsList: ids
SetPayloadPoints: collection_name wait points_selector
GetPoints: collection_name ids with_payload with_vectors
ScrollPoints: collection_name filter offset limit with_payload with_vectors
CountPoints: collection_name filter exact
QueryPoints: collection_name query using filter params score_threshold limit offset with_vectors with_payload timeout
QueryBatchPoints: collection_name query_points timeout
Query: nearest
VectorInput: dense multi_dense
SearchParams: exact
WithPayloadSelector: enable include exclude
WithVectorsSelector: enable include
VectorsSelector: names
Filter: must should must_not
Condition: field is_empty has_id filter
FieldCondition: match
HasIdCondition: has_id
Match: keyword keywords except_keywords integer integers except_integers boolean
RepeatedStrings: strings
RepeatedIntegers: integers
`

func onlyDistances(v protoreflect.Value) string {
	switch d := pb.Distance(v.Enum()); d {
	case pb.Distance_Dot, pb.Distance_Cosine:
		return ""
	default:
		return "distance " + d.String()
	}
}

// onlyNoGraph takes m = 0, with which Qdrant builds no graph and searches exactly, as is always done here.
func onlyNoGraph(v protoreflect.Value) string {
	if v.Uint() != 0 {
		return "a graph"
	}
	return ""
}

// onlyOne takes the numbers of a cluster that are those of this server.
func onlyOne(v protoreflect.Value) string {
	if n := v.Uint(); n != 1 {
		return fmt.Sprintf("%d of them, where there is one node,", n)
	}
	return ""
}

func onlyFieldTypes(v protoreflect.Value) string {
	switch t := pb.FieldType(v.Enum()); t {
	case pb.FieldType_FieldTypeKeyword, pb.FieldType_FieldTypeInteger:
		return ""
	default:
		return t.String()
	}
}

func onlyFalse(v protoreflect.Value) string {
	if v.Bool() {
		return "true"
	}
	return ""
}

func onlyPlainPaths(v protoreflect.Value) string {
	if strings.ContainsAny(v.String(), `[]"`) {
		return "a path with brackets or quotes"
	}
	return ""
}

func onlyTopLevel(v protoreflect.Value) string {
	if strings.ContainsAny(v.String(), `.[]"`) {
		return "a path into a field"
	}
	return ""
}
