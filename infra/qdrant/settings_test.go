package qdrant_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	api "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
	"github.com/rebased/rebased/activities/retrieve"
	"github.com/rebased/rebased/infra/qdrant"
)

func TestCollectionSettingsAreRead(t *testing.T) {
	for text, want := range map[string]qdrant.Collection{
		"":                      {},
		"shards=6":              {Shards: 6},
		"replicas=2 , on-disk,": {Replicas: 2, OnDisk: true},
		"shards=12,replicas=3,consistency=2,on-disk,int8": {Shards: 12, Replicas: 3, Consistency: 2, OnDisk: true, Int8: true},
	} {
		if got, err := qdrant.ParseCollection(text); err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, say := range map[string]string{
		"shards":                   "shards must be a number from 1 to 1000",
		"shards=0":                 "shards must be a number from 1 to 1000",
		"replicas=-1":              "replicas must be",
		"shards=1001":              "shards must be",
		"on-disk=yes":              "no setting",
		"nodes=3":                  "no setting",
		"consistency=2":            "as many replicas, there are 1",
		"replicas=2,consistency=3": "as many replicas, there are 2",
	} {
		if _, err := qdrant.ParseCollection(text); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: got %v, want Invalid and %q", text, err, say)
		}
	}
}

// made is a server that remembers how collections were made and what it was asked for.
type made struct {
	api.UnimplementedCollectionsServer
	collections map[string]*api.CreateCollection
	strict      *api.StrictModeConfig
	writes      []int
	queries     []*api.QueryPoints
	scrolls     []uint32
	deletes     []*api.DeletePoints
	hold        func(collection string) // before a collection is described
}

func (m *made) Create(_ context.Context, r *api.CreateCollection) (*api.CollectionOperationResponse, error) {
	m.collections[r.GetCollectionName()] = r
	return &api.CollectionOperationResponse{Result: true}, nil
}

func (m *made) CollectionExists(context.Context, *api.CollectionExistsRequest) (*api.CollectionExistsResponse, error) {
	return &api.CollectionExistsResponse{Result: &api.CollectionExists{}}, nil
}

func (m *made) Get(_ context.Context, r *api.GetCollectionInfoRequest) (*api.GetCollectionInfoResponse, error) {
	if m.hold != nil {
		m.hold(r.GetCollectionName())
	}
	return &api.GetCollectionInfoResponse{Result: &api.CollectionInfo{Config: &api.CollectionConfig{StrictModeConfig: m.strict}}}, nil
}

// points is the other service of the same server; both have a Get.
type points struct {
	api.UnimplementedPointsServer
	on *made
}

func (p points) CreateFieldIndex(context.Context, *api.CreateFieldIndexCollection) (*api.PointsOperationResponse, error) {
	return &api.PointsOperationResponse{}, nil
}

func (p points) Get(context.Context, *api.GetPoints) (*api.GetResponse, error) {
	return &api.GetResponse{}, nil
}

func (p points) Upsert(_ context.Context, r *api.UpsertPoints) (*api.PointsOperationResponse, error) {
	p.on.writes = append(p.on.writes, len(r.GetPoints()))
	return &api.PointsOperationResponse{}, nil
}

func (p points) Delete(_ context.Context, r *api.DeletePoints) (*api.PointsOperationResponse, error) {
	p.on.deletes = append(p.on.deletes, r)
	return &api.PointsOperationResponse{}, nil
}

func (p points) Query(_ context.Context, r *api.QueryPoints) (*api.QueryResponse, error) {
	p.on.queries = append(p.on.queries, r)
	return &api.QueryResponse{}, nil
}

func (p points) Scroll(_ context.Context, r *api.ScrollPoints) (*api.ScrollResponse, error) {
	p.on.scrolls = append(p.on.scrolls, r.GetLimit())
	return &api.ScrollResponse{}, nil
}

func serveMade(t *testing.T, m *made, options ...grpc.ServerOption) (address string) {
	t.Helper()
	m.collections = make(map[string]*api.CreateCollection)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(options...)
	api.RegisterCollectionsServer(g, m)
	api.RegisterPointsServer(g, points{on: m})
	go func() { _ = g.Serve(listener) }()
	t.Cleanup(g.Stop)
	return listener.Addr().String()
}

func TestCollectionsAreMadeAsSet(t *testing.T) {
	m := &made{}
	how := qdrant.Collection{Shards: 6, Replicas: 2, OnDisk: true, Int8: true}
	x := open(t, qdrant.Config{URL: "http://" + serveMade(t, m), Collection: how})
	if err := x.Ensure(t.Context(), "rows", 8); err != nil {
		t.Fatal(err)
	}
	rows := m.collections["rows"]
	vectors := rows.GetVectorsConfig().GetParamsMap().GetMap()["cells"]
	if rows.GetShardNumber() != 6 || rows.GetReplicationFactor() != 2 || rows.GetWriteConsistencyFactor() != 2 || !rows.GetOnDiskPayload() ||
		!vectors.GetOnDisk() || vectors.GetQuantizationConfig().GetScalar().GetType() != api.QuantizationType_Int8 || vectors.GetHnswConfig().GetM() != 0 {
		t.Errorf("%v", rows)
	}
	described := m.collections["rows-datasets"]
	if vectors := described.GetVectorsConfig().GetParamsMap().GetMap()["description"]; described.GetShardNumber() != 1 || described.GetReplicationFactor() != 2 ||
		vectors.GetQuantizationConfig() != nil {
		t.Errorf("%v", described)
	}
	if err := open(t, qdrant.Config{URL: "http://" + serveMade(t, m)}).Ensure(t.Context(), "plain", 8); err != nil {
		t.Fatal(err)
	}
	if plain := m.collections["plain"]; plain.ShardNumber != nil || plain.ReplicationFactor != nil || plain.WriteConsistencyFactor != nil || plain.OnDiskPayload != nil {
		t.Errorf("without settings: %v", plain)
	}
}

func TestQueriesAreExactUnlessVectorsAreHeldAsBytes(t *testing.T) {
	query := retrieve.Query{Collection: "rows", Datasets: []rebased.DatasetID{{Name: "a"}}, Vectors: [][]float32{{1}}, Limit: 10}
	most := float32(1.5)
	for name, c := range map[string]struct {
		how    qdrant.Collection
		strict *api.StrictModeConfig
		want   *api.SearchParams
	}{
		"exact": {qdrant.Collection{}, nil, &api.SearchParams{Exact: new(true)}},
		"int8": {
			qdrant.Collection{Int8: true}, nil,
			&api.SearchParams{Quantization: &api.QuantizationSearchParams{Rescore: new(true), Oversampling: new(2.0)}},
		},
		"int8, less allowed": {
			qdrant.Collection{Int8: true}, &api.StrictModeConfig{Enabled: new(true), SearchMaxOversampling: &most},
			&api.SearchParams{Quantization: &api.QuantizationSearchParams{Rescore: new(true), Oversampling: new(1.5)}},
		},
	} {
		m := &made{strict: c.strict}
		x := open(t, qdrant.Config{URL: "http://" + serveMade(t, m), Collection: c.how})
		if _, err := x.Query(t.Context(), query); err != nil {
			t.Fatal(err)
		}
		if got := m.queries[0].GetParams(); got.String() != c.want.String() {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestTheLimitsOfStrictModeAreKept(t *testing.T) {
	m := &made{strict: &api.StrictModeConfig{
		Enabled: new(true), MaxQueryLimit: new(uint32(50)), UpsertMaxBatchsize: new(uint64(100)), ConditionMaxSize: new(uint64(3)),
	}}
	x := open(t, qdrant.Config{URL: "http://" + serveMade(t, m)})
	var some []index.Point
	datasets := make([]rebased.DatasetID, 8)
	for i := range 250 {
		some = append(some, index.Point{ID: rebased.NewRowID(rebased.DatasetID{Name: "a"}, nil, i)})
	}
	if err := x.Upsert(t.Context(), "rows", some); err != nil {
		t.Fatal(err)
	}
	for _, err := range x.IDs(t.Context(), "rows", rebased.RowKey{}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	query := retrieve.Query{Collection: "rows", Datasets: datasets, Vectors: [][]float32{{1}}, Limit: 50}
	if _, err := x.Query(t.Context(), query); err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, c := range m.queries[0].GetFilter().GetShould() {
		sizes = append(sizes, len(c.GetField().GetMatch().GetKeywords().GetStrings()))
	}
	if diff := cmp.Diff([][]int{{100, 100, 50}, {50}, {3, 3, 2}}, [][]int{m.writes, {int(m.scrolls[0])}, sizes}); diff != "" {
		t.Errorf("writes, list of ids, datasets of a condition (-want +got):\n%s", diff)
	}
	described := make([]index.Description, len(datasets))
	for i := range described {
		described[i] = index.Description{Dataset: rebased.DatasetID{Name: string(rune('a' + i))}, Vector: []float32{1}}
	}
	if err := x.ReplaceDescriptions(t.Context(), "rows", described); err != nil {
		t.Fatal(err)
	}
	sizes = nil
	for _, c := range m.deletes[0].GetPoints().GetFilter().GetMustNot() {
		sizes = append(sizes, len(c.GetField().GetMatch().GetKeywords().GetStrings()))
	}
	if diff := cmp.Diff([]int{3, 3, 2}, sizes); diff != "" || len(m.deletes) != 1 {
		t.Errorf("%d deletions of all but datasets in conditions of (-want +got):\n%s", len(m.deletes), diff)
	}
	query.Limit = 51
	if _, err := x.Query(t.Context(), query); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "max_query_limit") {
		t.Errorf("a list that is too long: got %v, want Invalid, and what to raise", err)
	}
	m = &made{strict: &api.StrictModeConfig{Enabled: new(true), SearchAllowExact: new(false)}}
	query.Limit = 10
	if _, err := open(t, qdrant.Config{URL: "http://" + serveMade(t, m)}).Query(t.Context(), query); !strings.Contains(err.Error(), "search_allow_exact") {
		t.Errorf("no exact search: got %v, want what to set", err)
	}
	m = &made{strict: &api.StrictModeConfig{MaxQueryLimit: new(uint32(1))}}
	if _, err := open(t, qdrant.Config{URL: "http://" + serveMade(t, m)}).Query(t.Context(), query); err != nil {
		t.Errorf("a strict mode that is off: %v", err)
	}
}

func TestACollectionThatIsSlowToDescribeKeepsNobodyWaitingForAnother(t *testing.T) {
	asked, end := make(chan struct{}), make(chan struct{})
	m := &made{hold: func(collection string) {
		if collection == "slow" {
			close(asked)
			<-end
		}
	}}
	x := open(t, qdrant.Config{URL: "http://" + serveMade(t, m)})
	done := make(chan error)
	points := []index.Point{{ID: rebased.NewRowID(rebased.DatasetID{Name: "a"}, nil, 0)}}
	go func() { done <- x.Upsert(t.Context(), "slow", points) }()
	<-asked
	if err := x.Upsert(t.Context(), "quick", points); err != nil {
		t.Error(err)
	}
	close(end)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAServerWithACertificateOfAnAuthorityOfOurOwn(t *testing.T) {
	certificate, file := authority(t)
	m := &made{}
	_, port, err := net.SplitHostPort(serveMade(t, m, grpc.Creds(credentials.NewServerTLSFromCert(&certificate))))
	if err != nil {
		t.Fatal(err)
	}
	url := "https://127.0.0.1:" + port
	if err := open(t, qdrant.Config{URL: url, CA: file}).Ensure(t.Context(), "rows", 8); err != nil {
		t.Error(err)
	}
	if err := open(t, qdrant.Config{URL: url}).Ensure(t.Context(), "rows", 8); rebased.KindOf(err) != rebased.Unavailable || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an authority that is not known: got %v, want Unavailable, and why", err)
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{empty, empty + "-not-there"} {
		if _, err := qdrant.Open(qdrant.Config{URL: url, CA: bad}); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "empty.pem") {
			t.Errorf("got %v, want Invalid and the file's name", err)
		}
	}
}

func TestAuthoritiesWithoutTLSAreRefused(t *testing.T) {
	if _, err := qdrant.Open(qdrant.Config{URL: "http://host", CA: "ca.pem"}); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("got %v, want Invalid", err)
	}
}

// authority makes a certificate for loopback that vouches for itself, and a file of it.
func authority(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
