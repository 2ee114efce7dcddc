package qdrant

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strconv"
	"strings"

	"github.com/qdrant/go-client/qdrant"

	"github.com/rebased/rebased"
)

// Collection is how collections of rows are made, for corpora that one node cannot hold. The zero value leaves all to the server. It counts when a
// collection is made: one that is there stays as it is until the index is rebuilt.
type Collection struct {
	Shards      uint32 // 0 = as many as the server has nodes
	Replicas    uint32 // copies of each shard; 0 = the server's default
	Consistency uint32 // of them, how many must have a write before it counts as done; 0 = all of Replicas
	OnDisk      bool   // vectors and payload are read from disk as needed, and not held in memory
	// Int8 holds a byte for each value in memory beside. Queries read these and compute the scores of twice as many rows as asked for anew from the
	// vectors themselves: a row near the end of a list may then be missed, so that the ranking is not exact any more.
	Int8 bool
}

// mostCopies bounds shards and replicas to what a slip of the finger exceeds.
const mostCopies = 1000

// ParseCollection reads settings separated by commas, for instance "shards=6,replicas=2,on-disk". Invalid: it is none, or a value is out of
// bounds.
func ParseCollection(text string) (c Collection, err error) {
	for setting := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(setting), "=")
		number := map[string]*uint32{"shards": &c.Shards, "replicas": &c.Replicas, "consistency": &c.Consistency}[name]
		flag := map[string]*bool{"on-disk": &c.OnDisk, "int8": &c.Int8}[name]
		switch {
		case setting == "":
		case number != nil:
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil || n < 1 || n > mostCopies {
				return c, rebased.E(rebased.Invalid, "%s must be a number from 1 to %d, got %q", name, mostCopies, value)
			}
			*number = uint32(n)
		case flag != nil && value == "":
			*flag = true
		default:
			return c, rebased.E(rebased.Invalid, "%q is no setting: use shards=N, replicas=N, consistency=N, on-disk, int8, separated by commas", setting)
		}
	}
	if c.Consistency > max(c.Replicas, 1) {
		return c, rebased.E(rebased.Invalid, "consistency=%d needs as many replicas, there are %d", c.Consistency, max(c.Replicas, 1))
	}
	return c, nil
}

// apply puts the settings into a request; rows are the vectors of the collection.
func (c Collection) apply(request *qdrant.CreateCollection, vectors *qdrant.VectorParams) {
	number := func(n uint32) *uint32 {
		if n == 0 {
			return nil
		}
		return &n
	}
	request.ShardNumber, request.ReplicationFactor = number(c.Shards), number(c.Replicas)
	if request.WriteConsistencyFactor = number(c.Consistency); c.Consistency == 0 {
		request.WriteConsistencyFactor = number(c.Replicas)
	}
	if c.OnDisk {
		request.OnDiskPayload, vectors.OnDisk = new(true), new(true)
	}
	if c.Int8 {
		vectors.QuantizationConfig = qdrant.NewQuantizationScalar(&qdrant.ScalarQuantization{Type: qdrant.QuantizationType_Int8, AlwaysRam: new(true)})
	}
}

// oversampling is how many times the rows asked for are scored anew where vectors are held as bytes.
const oversampling = 2

// search says how a query is answered.
func (c Collection) search(l limits) *qdrant.SearchParams {
	if !c.Int8 {
		return &qdrant.SearchParams{Exact: new(true)}
	}
	factor := float64(oversampling)
	if l.oversampling > 0 {
		factor = min(factor, l.oversampling)
	}
	return &qdrant.SearchParams{Quantization: &qdrant.QuantizationSearchParams{Rescore: new(true), Oversampling: &factor}}
}

// trust makes the TLS settings: certificates are checked against the authorities of a file in PEM, or those of the system.
func trust(file string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if file == "" {
		return config, nil
	}
	pem, err := os.ReadFile(file) //nolint:gosec // the file that the user names
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "qdrant: read the certificates of authorities: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, rebased.E(rebased.Invalid, "qdrant: %s holds no certificate in PEM", file)
	}
	return config, nil
}
