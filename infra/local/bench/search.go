package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
	"github.com/rebased/rebased/activities/retrieve"
	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/qdrant"
)

// What is searched: rows of unit vectors in all directions.
const (
	searchRows     = 200_000
	searchMost     = 1_000_000
	searchCells    = 5 // of a row
	dimensions     = 256
	searchLimit    = 3_000
	searchDatasets = 24 // all of them are asked for
	searchRounds   = 9
	searchBatch    = 256 // rows of one upsert
	searchName     = "rows"
	rowBytes       = searchCells * dimensions * 4 // of vectors
)

// cost is what one search took, in seconds.
type cost struct {
	Wall float64 `json:"wall"`
	CPU  float64 `json:"cpu"`
}

// middle is the median time and the mean CPU time, since the kernel counts the latter in hundredths of a second.
func middle(all []cost) cost {
	var walls []float64
	var m cost
	for _, c := range all {
		walls = append(walls, c.Wall)
		m.CPU += c.CPU / float64(len(all))
	}
	m.Wall = median(walls)
	return m
}

// search is the local index server in a process of its own, filled with rows over the protocol as the product fills it.
type search struct {
	*stack
	index *qdrant.Index
	rows  int
}

// search measures the local index server beside faiss and numpy on the same vectors, and how it grows.
func (m *measurement) search(ctx context.Context) error {
	s := &search{stack: &stack{programs: m.programs, dir: filepath.Join(m.dir, "search")}}
	defer s.stop()
	if err := os.Mkdir(s.dir, 0o750); err != nil {
		return err
	}
	if _, err := s.start(ctx); err != nil {
		return err
	}
	if err := s.index.Ensure(ctx, searchName, dimensions); err != nil {
		return err
	}
	before := s.servers.spent()
	if err := s.fill(ctx, searchRows); err != nil {
		return err
	}
	upserted := s.servers.spent().since(before).CPU
	small, err := m.beside(ctx, s)
	if err != nil {
		return err
	}
	m.add(figure{name: "upsert, CPU of the server a million cells", unit: inSeconds, value: upserted / (searchRows * searchCells / 1e6)})
	return m.grown(ctx, s, small)
}

// beside searches in turn with the server, faiss and numpy, on the same cores.
func (m *measurement) beside(ctx context.Context, s *search) (ours cost, err error) {
	var other *conversation
	defer func() { err = errors.Join(err, other.close()) }()
	if m.python != nil {
		if other, err = s.converse(ctx, m.python); err != nil {
			return ours, err
		}
		if err := s.agree(ctx, other); err != nil {
			return ours, err
		}
	}
	var own, faiss, numpy []cost
	for range searchRounds {
		c, err := s.once(ctx)
		if err != nil {
			return ours, err
		}
		own = append(own, c)
		if other == nil {
			continue
		}
		var f, n cost
		if err := errors.Join(other.say("faiss", &f), other.say("numpy", &n)); err != nil {
			return ours, err
		}
		faiss, numpy = append(faiss, f), append(numpy, n)
	}
	ours = middle(own)
	var f, n cost
	if other != nil {
		f, n = middle(faiss), middle(numpy)
	}
	const most = 4 // times faiss
	m.add(figure{name: fmt.Sprintf("exact top %s of %s rows, time (plain: faiss)", thousands(searchLimit), thousands(searchRows)), unit: inSeconds, value: ours.Wall, target: most * f.Wall, plain: f.Wall})
	m.add(figure{name: "  CPU of the server (plain: faiss)", unit: inSeconds, value: ours.CPU, target: most * f.CPU, plain: f.CPU})
	m.add(figure{name: "  faiss, flat search of the best cells, time", unit: inSeconds, value: f.Wall})
	m.add(figure{name: "  numpy, MaxSim of the rows, time", unit: inSeconds, value: n.Wall})
	m.add(figure{name: "  numpy, CPU", unit: inSeconds, value: n.CPU})
	return ours, nil
}

// grown measures the server with a million rows: that time grows with the rows alone, its memory, and its start.
func (m *measurement) grown(ctx context.Context, s *search, small cost) error {
	if err := s.fill(ctx, searchMost); err != nil {
		return err
	}
	var all []cost
	for range searchRounds {
		c, err := s.once(ctx)
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	big, peak := middle(all), s.servers.spent().Peak
	s.stop()
	took, err := s.start(ctx)
	if err != nil {
		return err
	}
	started := s.servers.spent()
	if _, err := s.once(ctx); err != nil {
		return err
	}
	const (
		linear  = 1.1 * searchMost / searchRows
		memory  = 1.5 * searchMost * rowBytes
		startup = 10
	)
	m.add(figure{name: fmt.Sprintf("the same of %s rows, time (plain: %s rows)", thousands(searchMost), thousands(searchRows)), unit: inSeconds, value: big.Wall, plain: small.Wall})
	m.add(figure{name: "  CPU of the server", unit: inSeconds, value: big.CPU, target: linear * small.CPU, plain: small.CPU})
	m.add(figure{name: "  memory of the server, peak (plain: the vectors)", unit: inBytes, value: peak, target: memory, plain: searchMost * rowBytes})
	m.add(figure{name: "  start to ready", unit: inSeconds, value: took.Seconds(), target: startup, servers: started})
	m.add(figure{name: "  memory after the start and a search (plain: the vectors)", unit: inBytes, value: s.servers.spent().Peak, target: memory, plain: searchMost * rowBytes})
	return nil
}

// start starts the server and tells how long it took until it was ready.
func (s *search) start(ctx context.Context) (took time.Duration, err error) {
	data, began := filepath.Join(s.dir, "data"), time.Now()
	s.servers, err = start(ctx, filepath.Join(s.dir, "qdrant.log"), os.Environ(), s.programs.path("rebased-local"), "qdrant", "--port-base=0", "--dir", data)
	if err != nil {
		return 0, err
	}
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	took = time.Since(began)
	if s.folder, err = folder.Open(data, folder.Remembered); err != nil {
		return 0, err
	}
	s.index, err = qdrant.Open(qdrant.Config{URL: "http://" + s.folder.Ports.Address(folder.Qdrant), APIKey: s.folder.Credentials.QdrantAPIKey})
	return took, err
}

// fill adds rows until there are so many.
func (s *search) fill(ctx context.Context, rows int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for first := s.rows; first < rows; first += searchBatch {
		group.Go(func() error {
			var points []index.Point
			for n := first; n < min(first+searchBatch, rows); n++ {
				points = append(points, searchPoint(n))
			}
			return s.index.Upsert(ctx, searchName, points)
		})
	}
	s.rows = rows
	return group.Wait()
}

// searchPoint is row n; it is the same in every run.
func searchPoint(n int) index.Point {
	dataset := searchDataset(n % searchDatasets)
	p := index.Point{ID: rebased.NewRowID(dataset, nil, n), Dataset: dataset}
	random := rand.New(rand.NewPCG(1, uint64(n))) //nolint:gosec // the same in every run
	for i := range searchCells {
		p.Cells, p.Hashes, p.Letters = append(p.Cells, i), append(p.Hashes, random.Uint64()), append(p.Letters, i)
		p.Vectors = append(p.Vectors, unitVector(random))
	}
	return p
}

func searchDataset(n int) rebased.DatasetID {
	return rebased.DatasetID{Name: fmt.Sprintf("generated/set-%02d", n), Config: "default", Split: "train"}
}

// searchQuery is the two vectors that are searched for.
func searchQuery() [][]float32 {
	random := rand.New(rand.NewPCG(2, 0)) //nolint:gosec // the same in every run
	return [][]float32{unitVector(random), unitVector(random)}
}

func unitVector(random *rand.Rand) []float32 {
	v := make([]float32, dimensions)
	square := 0.0
	for i := range v {
		v[i] = random.Float32() - 0.5
		square += float64(v[i] * v[i])
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(square))
	}
	return v
}

// query asks for the best rows, as retrieval does.
func (s *search) query(ctx context.Context) ([]retrieve.Hit, error) {
	q := retrieve.Query{Collection: searchName, Vectors: searchQuery(), Limit: searchLimit}
	for n := range searchDatasets {
		q.Datasets = append(q.Datasets, searchDataset(n))
	}
	hits, err := s.index.Query(ctx, q)
	if err == nil && len(hits) != searchLimit {
		err = fmt.Errorf("%d hits of %d", len(hits), searchLimit)
	}
	return hits, err
}

// once searches and tells what it took: the time of the client, the CPU time of the server.
func (s *search) once(ctx context.Context) (cost, error) {
	before, began := s.servers.spent(), time.Now()
	_, err := s.query(ctx)
	return cost{Wall: time.Since(began).Seconds(), CPU: s.servers.spent().since(before).CPU}, err
}

// converse starts the script that searches the same vectors.
func (s *search) converse(ctx context.Context, p *python) (*conversation, error) {
	vectors, query := filepath.Join(s.dir, "vectors.f32"), filepath.Join(s.dir, "query.f32")
	if err := writeVectors(query, 1, func(int) [][]float32 { return searchQuery() }); err != nil {
		return nil, err
	}
	if err := writeVectors(vectors, s.rows, func(n int) [][]float32 { return searchPoint(n).Vectors }); err != nil {
		return nil, err
	}
	c, err := p.start(ctx, "search.py", vectors, query, strconv.Itoa(s.rows), strconv.Itoa(searchCells), strconv.Itoa(dimensions), strconv.Itoa(searchLimit))
	return c, errors.Join(err, os.Remove(vectors)) // it has read them
}

func writeVectors(path string, rows int, of func(int) [][]float32) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(file, 1<<20)
	for n := range rows {
		for _, v := range of(n) {
			if err := binary.Write(w, binary.LittleEndian, v); err != nil {
				return errors.Join(err, file.Close())
			}
		}
	}
	return errors.Join(w.Flush(), file.Close())
}

// agree checks that the server and numpy find the same rows with the same scores; where scores are equal but for rounding either order will do.
func (s *search) agree(ctx context.Context, other *conversation) error {
	const rounding = 1e-5
	var top struct {
		Rows   []int     `json:"rows"`
		Scores []float64 `json:"scores"`
	}
	if err := other.say("top", &top); err != nil {
		return err
	}
	hits, err := s.query(ctx)
	if err != nil {
		return err
	}
	scores := map[rebased.RowID]float64{}
	for i, n := range top.Rows {
		scores[rebased.NewRowID(searchDataset(n%searchDatasets), nil, n)] = top.Scores[i]
	}
	for i, hit := range hits {
		score, found := scores[hit.Row.ID()]
		if !found {
			score = top.Scores[len(top.Scores)-1] // no other than one of the last
		}
		if math.Abs(float64(hit.Score)-score) > rounding || math.Abs(float64(hit.Score)-top.Scores[i]) > rounding {
			return fmt.Errorf("place %d: row %s has %v, numpy has %v and there %v", i, hit.Row.ID(), hit.Score, score, top.Scores[i])
		}
	}
	return nil
}
