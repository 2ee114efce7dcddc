package qdrant_test

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	pb "github.com/qdrant/go-client/qdrant"
)

const (
	benchDimensions = 256
	benchBatch      = 256 // rows of one upsert
)

// benchRow has the size of a real row: a unit vector a cell and a payload like the product's.
func benchRow(r *rand.Rand, n, cellsPerRow int) *pb.PointStruct {
	rows := make([][]float32, cellsPerRow)
	for i := range rows {
		rows[i] = benchVector(r)
	}
	return point(n, cells(rows...), map[string]any{"dataset": "owner/name-" + string(rune('a'+n%24)), "config": "default", "split": "train", "part": "part-0123456789abcdef", "row": n})
}

func benchVector(r *rand.Rand) []float32 {
	v := make([]float32, benchDimensions)
	for i := range v {
		v[i] = r.Float32() - 0.5
	}
	return v
}

// benchCollection fills a collection, over the protocol as the product does.
func benchCollection(b *testing.B, rows, cellsPerRow int) *running {
	r := start(b, b.TempDir())
	r.rows(b, "rows", benchDimensions)
	random := rand.New(rand.NewPCG(1, 2))
	for n := 0; n < rows; n += benchBatch {
		var batch []*pb.PointStruct
		for i := n; i < min(n+benchBatch, rows); i++ {
			batch = append(batch, benchRow(random, i, cellsPerRow))
		}
		r.upsert(b, "rows", batch...)
	}
	_, err := r.CreateFieldIndex(b.Context(), &pb.CreateFieldIndexCollection{CollectionName: "rows", FieldName: "dataset", FieldType: pb.FieldType_FieldTypeKeyword.Enum()})
	check(b, err)
	return r
}

// cpuTime is what this process, client and server, has used of all cores: a measure that other programs on the machine disturb little.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchQuery(b *testing.B, rows, cellsPerRow int, limit uint64) {
	r := benchCollection(b, rows, cellsPerRow)
	random := rand.New(rand.NewPCG(3, 4))
	query := &pb.QueryPoints{
		CollectionName: "rows", Using: new("cells"), Query: pb.NewQueryMulti([][]float32{benchVector(random), benchVector(random)}),
		Filter: &pb.Filter{MustNot: []*pb.Condition{pb.NewMatch("dataset", "owner/name-a")}},
		Params: &pb.SearchParams{Exact: new(true)}, Limit: &limit,
	}
	before := cpuTime(b)
	for b.Loop() {
		hits, err := r.Query(b.Context(), query)
		if err != nil || uint64(len(hits)) != limit {
			b.Fatalf("%d hits, %v", len(hits), err)
		}
	}
	b.ReportMetric((cpuTime(b)-before).Seconds()*1e3/float64(b.N), "cpu-ms/op")
}

// BenchmarkQuery is the retrieval of 3,000 rows from a corpus of 37,648 rows and 264,000 cells.
func BenchmarkQuery(b *testing.B) { benchQuery(b, 37_648, 7, 6000) }

// BenchmarkQueryMillionCells is that of 200,000 rows and 1,000,000 cells.
func BenchmarkQueryMillionCells(b *testing.B) { benchQuery(b, 200_000, 5, 3000) }

// BenchmarkUpsert writes batches of rows of 7 cells, each on disk before the next.
func BenchmarkUpsert(b *testing.B) {
	r := start(b, b.TempDir())
	r.rows(b, "rows", benchDimensions)
	random := rand.New(rand.NewPCG(1, 2))
	var batch []*pb.PointStruct
	for i := range benchBatch {
		batch = append(batch, benchRow(random, i, 7))
	}
	n, before := 0, cpuTime(b)
	for b.Loop() {
		for _, p := range batch {
			p.Id = pb.NewIDUUID(uuid(n))
			n++
		}
		r.upsert(b, "rows", batch...)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric((cpuTime(b)-before).Seconds()*1e3/float64(b.N), "cpu-ms/op")
}

// BenchmarkOpen starts a server on 100,000 rows of 5 cells.
func BenchmarkOpen(b *testing.B) {
	r := benchCollection(b, 100_000, 5)
	r.stop()
	before := cpuTime(b)
	for b.Loop() {
		start(b, r.dir).stop()
	}
	b.ReportMetric((cpuTime(b)-before).Seconds()*1e3/float64(b.N), "cpu-ms/op")
}
