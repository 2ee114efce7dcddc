package handoff

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestStageWritesTheGoldenVersion(t *testing.T) {
	objects := mem.NewObjects()
	staged := stage(t, Versions{Objects: objects, Examples: idTable{objects: objects}}, input())
	if staged.Released {
		t.Error("a version is released before it was")
	}
	folder := rebased.VersionKey("capitals", staged.Version) + "/"
	got := contents(t, objects, folder)
	golden := filepath.Join("testdata", "version")
	if *update {
		if err := os.RemoveAll(golden); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(golden, 0o755); err != nil { //nolint:gosec // test data
			t.Fatal(err)
		}
		for key, body := range got {
			if err := os.WriteFile(filepath.Join(golden, strings.TrimPrefix(key, folder)), []byte(body), 0o644); err != nil { //nolint:gosec // test data
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(golden)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(got) {
		t.Errorf("%d files, the golden version has %d: %v", len(got), len(entries), slices.Sorted(maps.Keys(got)))
	}
	for _, entry := range entries {
		want, err := os.ReadFile(filepath.Join(golden, entry.Name())) //nolint:gosec // test data
		if err != nil {
			t.Fatal(err)
		}
		if got[folder+entry.Name()] != string(want) {
			t.Errorf("%s differs from the golden file (go test -update rewrites it):\n%s", entry.Name(), got[folder+entry.Name()])
		}
	}
}

func TestTheManifestTellsTheTruthAboutEveryFile(t *testing.T) {
	objects := mem.NewObjects()
	staged := stage(t, versionsOn(objects), input())
	folder := rebased.VersionKey("capitals", staged.Version) + "/"
	got := contents(t, objects, folder)
	sum := sha256.Sum256([]byte(got[folder+"manifest.json"]))
	if name := hex.EncodeToString(sum[:]); name != staged.ManifestSHA256 || name[:12] != staged.Version {
		t.Fatalf("version %s, manifest %s", staged.Version, name)
	}
	var m Manifest
	if err := json.Unmarshal([]byte(got[folder+"manifest.json"]), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Files) != len(got)-1 {
		t.Errorf("%d files listed, %d there beside the manifest", len(m.Files), len(got)-1)
	}
	for _, f := range m.Files {
		body := got[folder+f.Name]
		sum := sha256.Sum256([]byte(body))
		if f.SHA256 != hex.EncodeToString(sum[:]) || f.Size != int64(len(body)) {
			t.Errorf("%s: %d bytes, listed as %+v", f.Name, len(body), f)
		}
		if lines := strings.Count(body, "\n"); strings.HasSuffix(f.Name, ".jsonl") && lines != f.Rows {
			t.Errorf("%s: %d lines, listed as %d", f.Name, lines, f.Rows)
		}
	}
	rejected := 0
	for _, n := range m.Counts.Rejected {
		rejected += n
	}
	if m.Counts.Retrieved != m.Counts.Train+m.Counts.Validation+rejected || m.Counts.Validation != 3 {
		t.Errorf("counts do not add up: %+v", m.Counts)
	}
}

func TestTheSameInputGivesTheSameBytesWhateverTheBuild(t *testing.T) {
	var first map[string]string
	for n := range 20 { // maps are walked in another order each time
		objects := mem.NewObjects()
		in := input()
		in.Staging = "builds/capitals/" + strings.Repeat("x", n+1)
		stage(t, versionsOn(objects), in)
		got := contents(t, objects, "datasets/")
		if first == nil {
			first = got
		}
		if !maps.Equal(got, first) {
			t.Fatalf("run %d differs", n)
		}
	}
	for change, apply := range map[string]func(*Input){
		"text": func(in *Input) {
			rows := examples()
			rows[3].Output = "another"
			in.Rows = parts(rows, 5)
		},
		"revision": func(in *Input) { in.Revision = "fedcba987654" },
		"tokens":   func(in *Input) { in.Tokens.OutputTokens++ },
		"task":     func(in *Input) { in.TaskFile = []byte("name: capitals # \n") },
	} {
		in := input()
		apply(&in)
		objects := mem.NewObjects()
		staged := stage(t, versionsOn(objects), in)
		if _, same := first[rebased.VersionKey("capitals", staged.Version, "manifest.json")]; same {
			t.Errorf("another %s gave the same version", change)
		}
	}
}

func TestStageRefusesWhatIsNoVersion(t *testing.T) {
	empty, lost := input(), input()
	empty.Rows = parts(nil, 1)
	lost.Rows = parts(examples()[1:], 5)
	for name, in := range map[string]Input{"no rows left": empty, "a row lost on the way": lost} {
		objects := mem.NewObjects()
		if _, err := versionsOn(objects).Stage(context.Background(), in); rebased.KindOf(err) != rebased.Invalid {
			t.Errorf("%s: %v", name, err)
		}
		if left := contents(t, objects, ""); len(left) != 0 {
			t.Errorf("%s: wrote %v", name, slices.Collect(maps.Keys(left)))
		}
	}
}

func TestStageDoesNotReplaceAnotherFileInAVersion(t *testing.T) {
	objects := mem.NewObjects()
	staged := stage(t, versionsOn(objects), input())
	for _, name := range []string{"manifest.json", "README.md", "train-00000.parquet", "train.messages.jsonl"} {
		fresh := mem.NewObjects()
		key := rebased.VersionKey("capitals", staged.Version, name)
		if _, err := fresh.Put(context.Background(), key, []byte("something else")); err != nil {
			t.Fatal(err)
		}
		if _, err := versionsOn(fresh).Stage(context.Background(), input()); rebased.KindOf(err) != rebased.Conflict || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExportGivesTheRowsInEveryFormat(t *testing.T) {
	objects := mem.NewObjects()
	v := versionsOn(objects)
	staged := stage(t, v, input())
	if _, err := v.Release(context.Background(), release(staged.Version, "b1", 0)); err != nil {
		t.Fatal(err)
	}
	for _, split := range []string{SplitTrain, SplitValidation} {
		for _, c := range []struct{ format, file string }{
			{"parquet", "-00000.parquet"}, {"messages", ".messages.jsonl"}, {"prompt-completion", ".prompt-completion.jsonl"},
			{"alpaca", ".alpaca.jsonl"}, {"sharegpt", ".sharegpt.jsonl"},
		} {
			want, _, err := objects.Get(context.Background(), rebased.VersionKey("capitals", staged.Version, split+c.file))
			if err != nil {
				t.Fatal(err)
			}
			for _, version := range []string{"", staged.Version} {
				var got bytes.Buffer
				err := v.Export(context.Background(), ExportInput{Task: "capitals", Version: version, Split: split, Format: c.format}, &got)
				if err != nil || !bytes.Equal(got.Bytes(), want) {
					t.Errorf("%s of %s, version %q: %v, %d bytes, want %d", c.format, split, version, err, got.Len(), len(want))
				}
			}
		}
	}
}

func TestExportRefusesWhatItCannotVouchFor(t *testing.T) {
	ctx := context.Background()
	setup := func(t *testing.T) (Versions, string) {
		in := input()
		in.Task.Output.Validation = 0
		v := versionsOn(mem.NewObjects())
		return v, stage(t, v, in).Version
	}
	edit := func(file string) func(Versions, string) error {
		return func(v Versions, version string) error {
			key := rebased.VersionKey("capitals", version, file)
			body, _, err := v.Objects.Get(ctx, key)
			if err != nil {
				return err
			}
			_, err = v.Objects.Put(ctx, key, append(body, ' '))
			return err
		}
	}
	nothing := func(Versions, string) error { return nil }
	for _, c := range []struct {
		name  string
		spoil func(Versions, string) error
		in    ExportInput
		kind  rebased.Kind
	}{
		{"never released", nothing, ExportInput{Format: "alpaca"}, rebased.NotFound},
		{"no such version", nothing, ExportInput{Version: "000000000000", Format: "alpaca"}, rebased.NotFound},
		{"no such split", nothing, ExportInput{Version: "this", Split: SplitValidation, Format: "alpaca"}, rebased.NotFound},
		{"unknown format", nothing, ExportInput{Version: "this", Format: "csv"}, rebased.Invalid},
		{"rows changed", edit("train-00000.parquet"), ExportInput{Version: "this", Format: "alpaca"}, rebased.Invalid},
		{"manifest changed", edit("manifest.json"), ExportInput{Version: "this", Format: "alpaca"}, rebased.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, version := setup(t)
			if err := c.spoil(v, version); err != nil {
				t.Fatal(err)
			}
			if c.in.Task = "capitals"; c.in.Version == "this" {
				c.in.Version = version
			}
			var out bytes.Buffer
			if err := v.Export(ctx, c.in, &out); rebased.KindOf(err) != c.kind || out.Len() != 0 {
				t.Errorf("%v, %d bytes written", err, out.Len())
			}
		})
	}
}

func TestListGivesCompleteVersionsOnly(t *testing.T) {
	v := versionsOn(mem.NewObjects())
	first := stage(t, v, input())
	changed := input()
	changed.Revision = "fedcba987654"
	second := stage(t, v, changed)
	ctx := context.Background()
	if _, err := v.Release(ctx, release(first.Version, "b1", 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Objects.Put(ctx, rebased.VersionKey("capitals", "0123456789ab", "README.md"), nil); err != nil {
		t.Fatal(err)
	}
	got, err := v.List(ctx, "capitals")
	slices.Sort(got)
	want := []string{first.Version, second.Version}
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}
