package transformer

import (
	"encoding/json"
	"io/fs"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/porttest"
)

// chorus is a network whose state at a place depends on the piece there and on the whole text.
type chorus struct{ dimensions int }

func (c chorus) states(ids []int64) ([]float32, error) {
	out := make([]float32, len(ids)*c.dimensions)
	all := int64(0)
	for _, id := range ids {
		all = all*31 + id
	}
	for i, id := range ids {
		for d := range c.dimensions {
			out[i*c.dimensions+d] = float32(math.Sin(float64(id*7+all%1009) * float64(d+1)))
		}
	}
	return out, nil
}

func tiny(t testing.TB) fstest.MapFS {
	t.Helper()
	folder, out := os.DirFS("testdata/tiny"), fstest.MapFS{}
	for _, name := range append(rebased.ModelFiles(rebased.EncoderTransformer), "vectors.json") {
		body, err := fs.ReadFile(folder, name)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		out[name] = &fstest.MapFile{Data: body}
	}
	return out
}

func read(t testing.TB, folder fs.FS) *model {
	t.Helper()
	m, err := readModel(folder)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestConformance(t *testing.T) {
	m := read(t, tiny(t))
	porttest.Encoder(t, func(*testing.T) rebased.Encoder { return newEncoder(m, chorus{m.dimensions}) })
}

func TestAFolderSaysHowItsModelIsComputed(t *testing.T) {
	m := read(t, tiny(t))
	if m.kind != "bert" || m.dimensions != 32 || m.maxTokens != 22 || m.firstState || m.before != 2 || m.after != 3 {
		t.Errorf("read %+v", m)
	}
	e := newEncoder(m, chorus{m.dimensions})
	if !strings.HasPrefix(e.Identity(), "transformer:bert:32:") || e.Window() != 88 {
		t.Errorf("identity %s, window %d", e.Identity(), e.Window())
	}
	folder := tiny(t)
	delete(folder, "sentence_bert_config.json")
	if m := read(t, folder); m.maxTokens != 62 {
		t.Errorf("without sentence_bert_config.json %d pieces are read, want what config.json says", m.maxTokens)
	}
}

func TestTheFirstStateIsTheVectorWhereThePoolingSaysSo(t *testing.T) {
	folder := tiny(t)
	change(t, folder, "1_Pooling/config.json", `"pooling_mode_cls_token": false`, `"pooling_mode_cls_token": true`)
	change(t, folder, "1_Pooling/config.json", `"pooling_mode_mean_tokens": true`, `"pooling_mode_mean_tokens": false`)
	m := read(t, folder)
	got, err := newEncoder(m, chorus{m.dimensions}).Encode(t.Context(), []string{"river"})
	if err != nil {
		t.Fatal(err)
	}
	river, _ := m.tokens.ID("river")
	states, _ := chorus{m.dimensions}.states([]int64{m.before, int64(river), m.after})
	want := make([]float32, m.dimensions)
	if err := pool(want, states[:m.dimensions]); err != nil || !slices.Equal(got[0], want) {
		t.Errorf("vector %v, want %v; error %v", got[0], want, err)
	}
}

func change(t *testing.T, folder fstest.MapFS, name, from, to string) {
	t.Helper()
	changed := strings.Replace(string(folder[name].Data), from, to, 1)
	if changed == string(folder[name].Data) {
		t.Fatalf("%q is not in %s", from, name)
	}
	folder[name] = &fstest.MapFile{Data: []byte(changed)}
}

func TestWhatCannotBeComputedIsRefusedByName(t *testing.T) {
	for name, c := range map[string]struct{ file, from, to, want string }{
		"dense layer":         {"modules.json", "models.Normalize", "models.Dense", "Dense"},
		"no pooling":          {"modules.json", "models.Pooling", "models.WordWeights", "WordWeights"},
		"folder above":        {"modules.json", "1_Pooling", "../x", "../x"},
		"max pooling":         {"1_Pooling/config.json", `"pooling_mode_max_tokens": false`, `"pooling_mode_max_tokens": true`, "max_tokens+mean_tokens"},
		"no hidden size":      {"config.json", "hidden_size", "x", "hidden_size"},
		"length of nothing":   {"sentence_bert_config.json", "24", "2", "2 word pieces"},
		"lower case":          {"sentence_bert_config.json", "false", "true", "do_lower_case"},
		"unigram":             {"tokenizer.json", `"type": "WordPiece", "unk`, `"type": "Unigram", "unk`, "Unigram"},
		"three special ones":  {"tokenizer.json", `"single": [`, `"single": [{"SpecialToken": {"id": "[CLS]"}},`, "TemplateProcessing"},
		"other processor":     {"tokenizer.json", "TemplateProcessing", "RobertaProcessing", "RobertaProcessing"},
		"special one unknown": {"tokenizer.json", `"[CLS]": 2`, `"[X]": 2`, "[CLS]"},
		"modules no JSON":     {"modules.json", "[", "<", "modules.json"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := tiny(t)
			change(t, folder, c.file, c.from, c.to)
			if _, err := readModel(folder); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one that names %q", err, c.want)
			}
		})
	}
	folder := tiny(t)
	folder["config_sentence_transformers.json"] = &fstest.MapFile{Data: []byte(`{"default_prompt_name": "query"}`)}
	if _, err := readModel(folder); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), `"query"`) {
		t.Errorf("a default prompt: %v", err)
	}
}

func TestAFolderThatLacksAFileIsNotAModel(t *testing.T) {
	for _, name := range []string{"modules.json", "config.json", "tokenizer.json", "1_Pooling/config.json", "onnx/model.onnx"} {
		folder := tiny(t)
		delete(folder, name)
		if _, err := readModel(folder); rebased.KindOf(err) != rebased.NotFound || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: error is %v", name, err)
		}
	}
}

func TestIdentityChangesWithTheFiles(t *testing.T) {
	first := read(t, tiny(t)).hash
	for name, c := range map[string][2]string{"sentence_bert_config.json": {"24", "20"}, "onnx/model.onnx": {"bert", "BERT"}, "tokenizer.json": {`"river"`, `"rover"`}} {
		folder := tiny(t)
		change(t, folder, name, c[0], c[1])
		if read(t, folder).hash == first {
			t.Errorf("the hash is the same with another %s", name)
		}
	}
}

type broken struct{ numbers []float32 }

func (b broken) states([]int64) ([]float32, error) { return b.numbers, nil }

func TestNumbersThatDoNotFitAreRefused(t *testing.T) {
	m := read(t, tiny(t))
	for want, numbers := range map[string][]float32{
		"gave 5 numbers": make([]float32, 5), "without a direction": make([]float32, 3*32), "a direction": slices.Repeat([]float32{float32(math.NaN())}, 3*32),
	} {
		if _, err := newEncoder(m, broken{numbers}).Encode(t.Context(), []string{"river"}); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v", want, err)
		}
	}
}

// library is where a test finds onnxruntime.
func library(t testing.TB) *Runtime {
	t.Helper()
	path := os.Getenv("ORT_DYLIB_PATH")
	if path == "" {
		t.Skip("no onnxruntime: set ORT_DYLIB_PATH to its shared library")
	}
	r, err := OpenRuntime(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The vectors are those that export.py computes with other people's tokenizer and runtime.
func TestVectorsEqualTheReferences(t *testing.T) {
	e, err := library(t).Load(tiny(t))
	if err != nil {
		t.Fatal(err)
	}
	var want []struct {
		Text   string
		Vector []float32
	}
	if err := json.Unmarshal(tiny(t)["vectors.json"].Data, &want); err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		got, err := e.Encode(t.Context(), []string{w.Text})
		if err != nil {
			t.Fatal(err)
		}
		for d := range w.Vector {
			if math.Abs(float64(got[0][d]-w.Vector[d])) > 1e-5 {
				t.Errorf("%.30q: dimension %d is %v, want %v", w.Text, d, got[0][d], w.Vector[d])
				break
			}
		}
	}
}

func TestConformanceOfTheRealRuntime(t *testing.T) {
	r := library(t)
	porttest.Encoder(t, func(t *testing.T) rebased.Encoder {
		e, err := r.Load(tiny(t))
		if err != nil {
			t.Fatal(err)
		}
		return e
	})
}

func TestNetworksThatAskForOtherThingsAreRefusedByName(t *testing.T) {
	r := library(t)
	for from, to := range map[string]string{"token_type_ids": "token_type_xxx", "last_hidden_state": "last_hidden_xxxxx"} {
		folder := tiny(t)
		folder[networkFile].Data = []byte(strings.ReplaceAll(string(folder[networkFile].Data), from, to))
		if _, err := r.Load(folder); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), to) && !strings.Contains(err.Error(), from) {
			t.Errorf("%s: error is %v", to, err)
		}
	}
	folder := tiny(t)
	folder[networkFile].Data = []byte("no network")
	if _, err := r.Load(folder); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("no network: error is %v", err)
	}
}

// A session is memory of the runtime: it ends when nobody has its encoder, and not before a computation that is under way.
func TestASessionEndsWithItsLastUser(t *testing.T) {
	r, folder := library(t), tiny(t)
	open := func(times int) {
		for i := range times {
			e, err := r.Load(folder)
			if err != nil {
				t.Fatal(err)
			}
			collected := make(chan struct{})
			go func() {
				if i%10 == 0 {
					runtime.GC()
				}
				close(collected)
			}()
			if v, err := e.Encode(t.Context(), []string{"the river runs through the old town"}); err != nil || len(v) != 1 {
				t.Fatalf("%v, %v", v, err)
			}
			<-collected
		}
	}
	open(30)
	before := resident(t)
	open(150)
	if after := resident(t); after > before+40<<20 {
		t.Errorf("150 models more, of which nobody has one, hold %d MiB", (after-before)>>20)
	}
}

// resident is the memory that the process has, bytes.
func resident(t *testing.T) int {
	t.Helper()
	body, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc")
	}
	pages, err := strconv.Atoi(strings.Fields(string(body))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
