package qdrant_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased/infra/local/qdrant"
)

// serveDir names the folder that TestServeUntilKilled, run as a process of its own, is to serve.
const serveDir = "REBASED_QDRANT_TEST_SERVE"

// TestServeUntilKilled is the process that the tests below kill.
func TestServeUntilKilled(t *testing.T) {
	dir := os.Getenv(serveDir)
	if dir == "" {
		t.Skip("runs as a child process of the kill test only")
	}
	server, err := qdrant.New(qdrant.Config{Dir: dir, Addr: "127.0.0.1:0", Logger: discard()})
	check(t, err)
	fmt.Println("address", server.Addr())
	check(t, server.Serve(context.Background()))
}

// serveProcess starts that process and gives it with a client.
func serveProcess(t *testing.T, dir string) (*exec.Cmd, *pb.Client) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestServeUntilKilled$")
	cmd.Env = append(os.Environ(), serveDir+"="+dir)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "address "); ok {
			return cmd, connect(t, address, "")
		}
	}
	t.Fatalf("the server process printed no address: %v", lines.Err())
	return nil, nil
}

func TestWhatWasAcknowledgedSurvivesSIGKILL(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, seed))
	dir := t.TempDir()
	cmd, client := serveProcess(t, dir)
	r := &running{Client: client}
	r.rows(t, "rows", 64)
	check(t, r.CreateAlias(t.Context(), "alias", "rows"))

	acknowledged := make(chan int, 1<<16)
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for n := w; ; n += 4 {
				_, err := client.Upsert(t.Context(), &pb.UpsertPoints{CollectionName: "alias", Wait: new(true),
					Points: []*pb.PointStruct{point(n, cells(make([]float32, 64)), map[string]any{"n": n})}})
				if err != nil {
					return // killed
				}
				acknowledged <- n
			}
		})
	}
	kept := map[int]bool{}
	for range 50 + random.IntN(200) {
		kept[<-acknowledged] = true
	}
	check(t, cmd.Process.Kill())
	writers.Wait()
	check(t, client.Close())
	close(acknowledged)
	for n := range acknowledged {
		kept[n] = true
	}

	_, again := serveProcess(t, dir)
	defer func() { check(t, again.Close()) }()
	for n := range kept {
		points, err := again.Get(t.Context(), &pb.GetPoints{CollectionName: "alias", Ids: []*pb.PointId{pb.NewIDUUID(uuid(n))}, WithPayload: pb.NewWithPayload(true)})
		check(t, err)
		if len(points) != 1 || points[0].GetPayload()["n"].GetIntegerValue() != int64(n) {
			t.Fatalf("point %d of %d acknowledged ones is gone", n, len(kept))
		}
	}
}

func TestEverythingIsThereAfterARestart(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	r.rows(t, "rows", 1)
	r.rows(t, "gone", 1)
	r.upsert(t, "rows", point(1, cells([]float32{1}, []float32{2}), map[string]any{"n": 5}), point(2, cells([]float32{3}), nil))
	_, err := r.CreateFieldIndex(t.Context(), &pb.CreateFieldIndexCollection{CollectionName: "rows", FieldName: "n", FieldType: pb.FieldType_FieldTypeInteger.Enum()})
	check(t, err)
	check(t, r.CreateAlias(t.Context(), "alias", "rows"))
	check(t, r.DeleteCollection(t.Context(), "gone"))
	before, err := r.GetCollectionInfo(t.Context(), "alias")
	check(t, err)
	r.stop()
	check(t, os.Mkdir(filepath.Join(dir, "collection-000009"), 0o700)) // as a crash in the middle of a creation leaves it

	r = start(t, dir)
	after, err := r.GetCollectionInfo(t.Context(), "alias")
	check(t, err)
	if after.String() != before.String() {
		t.Errorf("the collection was\n%v\nand is\n%v", before, after)
	}
	hits, err := r.Query(t.Context(), &pb.QueryPoints{CollectionName: "alias", Using: new("cells"), Query: pb.NewQueryDense([]float32{1}),
		Filter: &pb.Filter{Must: []*pb.Condition{pb.NewMatchInt("n", 5)}}})
	check(t, err)
	wantIDs(t, hits, 1)
	names, err := r.ListCollections(t.Context())
	check(t, err)
	if len(names) != 1 {
		t.Errorf("collections %v, want rows", names)
	}
	entries, err := os.ReadDir(dir)
	check(t, err)
	folders := 0
	for _, e := range entries {
		if e.IsDir() {
			folders++
		}
	}
	if folders != 1 {
		t.Errorf("%d folders of collections, want 1: what was deleted or never finished leaves nothing", folders)
	}
}
