package static_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/encoder/static"
)

// smallTokenizer has eight tokens; "unseen" and the like are unknown words.
const smallTokenizer = `{
	"added_tokens": [{"content": "[UNK]", "special": true}],
	"normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
	"pre_tokenizer": {"type": "BertPreTokenizer"},
	"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 10,
		"vocab": {"[UNK]": 0, "play": 1, "##ing": 2, "##er": 3, "a": 4, ".": 5, "##a": 6, "é": 7}}
}`

// smallRows has a row of two numbers for each of the eight tokens.
var smallRows = []float64{9, 9, 1, 0, 0, 1, 1, 1, -1, 2, 3, 0.5, 0.25, -2, 4, 4}

// numbers are a tensor's bytes.
func numbers[T any](convert func(float64) T, of []float64) []byte {
	var out bytes.Buffer
	for _, x := range of {
		_ = binary.Write(&out, binary.LittleEndian, convert(x))
	}
	return out.Bytes()
}

func float64s(x float64) float64 { return x }
func float32s(x float64) float32 { return float32(x) }
func int8s(x float64) int8       { return int8(x) }
func int64s(x float64) int64     { return int64(x) }

// halves is right for the small rows: normal numbers of few digits.
func halves(x float64) uint16 {
	if x == 0 {
		return 0
	}
	bits := math.Float32bits(float32(x))
	return uint16(bits>>31)<<15 | uint16(bits>>23&0xff-112)<<10 | uint16(bits>>13&0x3ff)
}

// tensors writes a safetensors file.
func tensors(t *testing.T, of map[string]tensor) []byte {
	t.Helper()
	header := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	var body []byte
	for _, name := range slices.Sorted(maps.Keys(of)) {
		x := of[name]
		header[name] = map[string]any{"dtype": x.dtype, "shape": x.shape, "data_offsets": []int{len(body), len(body) + len(x.body)}}
		body = append(body, x.body...)
	}
	head, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head, body)
}

type tensor struct {
	dtype string
	shape []int
	body  []byte
}

func smallModel(t *testing.T) fstest.MapFS {
	t.Helper()
	return fstest.MapFS{
		"config.json":       {Data: []byte(`{"normalize": true}`)},
		"tokenizer.json":    {Data: []byte(smallTokenizer)},
		"model.safetensors": {Data: tensors(t, map[string]tensor{"embeddings": {"F32", []int{8, 2}, numbers(float32s, smallRows)}})},
	}
}

func load(t *testing.T, folder fstest.MapFS) *static.Encoder {
	t.Helper()
	e, err := static.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestModelsOfEveryTypeOfNumberGiveTheirVectors(t *testing.T) {
	doubled := make([]float64, len(smallRows)) // as whole numbers of quarters
	for i, x := range smallRows {
		doubled[i] = 4 * x
	}
	quarter, shuffled := numbers(float32s, slices.Repeat([]float64{0.25}, 8)), numbers(int64s, []float64{7, 6, 5, 4, 3, 2, 1, 0})
	var backwards []float64
	for i := 14; i >= 0; i -= 2 {
		backwards = append(backwards, smallRows[i:i+2]...)
	}
	for name, model := range map[string]map[string]tensor{
		"float16":          {"embeddings": {"F16", []int{8, 2}, numbers(halves, smallRows)}},
		"float32":          {"embeddings": {"F32", []int{8, 2}, numbers(float32s, smallRows)}},
		"float64":          {"embeddings": {"F64", []int{8, 2}, numbers(float64s, smallRows)}},
		"int8":             {"embeddings": {"I8", []int{8, 2}, numbers(int8s, doubled)}},
		"int8 and scales":  {"embeddings": {"I8", []int{8, 2}, numbers(int8s, doubled)}, "weights": {"F32", []int{8}, quarter}},
		"float64 weights":  {"embeddings": {"F32", []int{8, 2}, numbers(float32s, smallRows)}, "weights": {"F64", []int{8}, numbers(float64s, slices.Repeat([]float64{2}, 8))}},
		"rows by mapping":  {"embeddings": {"F32", []int{8, 2}, numbers(float32s, backwards)}, "mapping": {"I64", []int{8}, shuffled}},
		"bytes by mapping": {"embeddings": {"I8", []int{8, 2}, numbers(int8s, append(doubled[2:4:4], append(slices.Clone(doubled[:2]), doubled[4:]...)...))}, "mapping": {"I64", []int{8}, numbers(int64s, []float64{1, 0, 2, 3, 4, 5, 6, 7})}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := smallModel(t)
			folder["model.safetensors"].Data = tensors(t, model)
			v, err := load(t, folder).Encode(t.Context(), []string{"Playing a.", "player player", "Unseen words"})
			if err != nil {
				t.Fatal(err)
			}
			// play + ##ing + a + . = (1,0) + (0,1) + (-1,2) + (3,.5); play + ##er, twice = (4,2)
			want := [][]float32{unitOf(3, 3.5), unitOf(4, 2), {0, 0}}
			for i := range want {
				if distance(v[i], want[i]) > 1e-6 {
					t.Errorf("vector %d is %v, want %v", i, v[i], want[i])
				}
			}
		})
	}
}

func unitOf(x, y float64) []float32 {
	n := math.Hypot(x, y)
	return []float32{float32(x / n), float32(y / n)}
}

func TestLongTextsAreReadAsFarAsTheModelSays(t *testing.T) {
	for name, c := range map[string]struct {
		config, text string
		want         []float32
	}{
		"three":            {`{"max_length": 3}`, "play play a . . .", unitOf(1, 2)},
		"in a word":        {`{"max_length": 1}`, "playing", unitOf(1, 0)},
		"unknown ones too": {`{"max_length": 2}`, "unseen play a", unitOf(1, 0)},
		"all":              {`{"max_length": null}`, strings.Repeat("play ", 600) + strings.Repeat("a ", 600), unitOf(0, 1200)},
		"512 unless told":  {`{}`, strings.Repeat("play ", 512) + "a a a", unitOf(1, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			folder := smallModel(t)
			folder["config.json"].Data = []byte(c.config)
			v, err := load(t, folder).Encode(t.Context(), []string{c.text})
			if err != nil || distance(v[0], c.want) > 1e-6 {
				t.Errorf("vector is %v, want %v; error %v", v, c.want, err)
			}
		})
	}
}

func TestAccentsStayWhereTheTokenizerKeepsThem(t *testing.T) {
	for setting, want := range map[string][]float32{"null": {0, 0}, "true": {0, 0}, "false": unitOf(4, 4)} { // "e" alone is in no vocabulary
		folder := smallModel(t)
		folder["tokenizer.json"].Data = []byte(strings.Replace(smallTokenizer, `"strip_accents": null`, `"strip_accents": `+setting, 1))
		v, err := load(t, folder).Encode(t.Context(), []string{"É"})
		if err != nil || distance(v[0], want) > 1e-6 {
			t.Errorf("strip_accents %s: vector is %v, want %v; error %v", setting, v, want, err)
		}
	}
}

func TestWhatCannotBeComputedIsRefusedByName(t *testing.T) {
	ok := numbers(float32s, smallRows)
	for name, c := range map[string]struct{ file, from, to, want string }{
		"unigram tokenizer":   {"tokenizer.json", `"type": "WordPiece"`, `"type": "Unigram"`, "Unigram"},
		"unigram vocabulary":  {"tokenizer.json", smallTokenizer, `{"model": {"type": "Unigram", "vocab": [["a", -1.5]]}}`, "Unigram"},
		"other normalizer":    {"tokenizer.json", "BertNormalizer", "NFKC", "NFKC"},
		"no normalizer":       {"tokenizer.json", `"normalizer"`, `"x"`, "none"},
		"text not cleaned":    {"tokenizer.json", `"clean_text": true`, `"clean_text": false`, "clean_text"},
		"other pre-tokenizer": {"tokenizer.json", "BertPreTokenizer", "Metaspace", "Metaspace"},
		"added token":         {"tokenizer.json", `"[UNK]", "special": true`, `"new york", "special": false`, "new york"},
		"no unknown token":    {"tokenizer.json", `"unk_token": "[UNK]"`, `"unk_token": "<unk>"`, "<unk>"},
		"no prefix":           {"tokenizer.json", `"continuing_subword_prefix": "##"`, `"x": 0`, "continuing_subword_prefix"},
		"id twice":            {"tokenizer.json", `"play": 1`, `"play": 2`, "once each"},
		"id too high":         {"tokenizer.json", `"play": 1`, `"play": 8`, "0 to 7"},
		"tokenizer no JSON":   {"tokenizer.json", smallTokenizer, "<html>", "tokenizer.json"},
		"config no JSON":      {"config.json", "{", "<", "config.json"},
		"config no length":    {"config.json", `"normalize": true`, `"max_length": "all"`, "max_length"},
		"config of length 0":  {"config.json", `"normalize": true`, `"max_length": 0`, "max_length"},
		"rows without end":    {"model.safetensors", string(ok), string(ok[1:]), "damaged"},
		"other tensor":        {"model.safetensors", "embeddings", "embodiment", "embeddings"},
		"bfloat":              {"model.safetensors", `"F32"`, `"B16"`, "B16"},
		"one dimension":       {"model.safetensors", "[8,2]", "[16] ", "rows x dimensions"},
		"too few rows":        {"model.safetensors", "[8,2]", "[4,4]", "4 rows for 8 tokens"},
		"negative shape":      {"model.safetensors", "[8,2]", "[-8,2]", "header"},
		"not finite":          {"model.safetensors", string(ok[:4]), "\x00\x00\xc0\x7f", "not finite"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := smallModel(t)
			changed := strings.Replace(string(folder[c.file].Data), c.from, c.to, 1)
			if changed == string(folder[c.file].Data) {
				t.Fatalf("%q is not in %s", c.from, c.file)
			}
			folder[c.file].Data = []byte(changed)
			_, err := static.Load(folder)
			if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one that names %q", err, c.want)
			}
		})
	}
}

func TestTensorsThatDoNotFitTheVocabularyAreRefused(t *testing.T) {
	rows := tensor{"F32", []int{8, 2}, numbers(float32s, smallRows)}
	for want, extra := range map[string]map[string]tensor{
		"7 weights":   {"weights": {"F32", []int{7}, numbers(float32s, make([]float64, 7))}},
		"maps 7":      {"mapping": {"I64", []int{7}, numbers(int64s, make([]float64, 7))}},
		"row 8 of 8":  {"mapping": {"I64", []int{8}, numbers(int64s, slices.Repeat([]float64{8}, 8))}},
		"row -1 of 8": {"mapping": {"I64", []int{8}, numbers(int64s, slices.Repeat([]float64{-1}, 8))}},
		"type F32":    {"mapping": {"F32", []int{8}, numbers(float32s, make([]float64, 8))}},
		"shape":       {"weights": {"F32", []int{-8}, nil}},
	} {
		t.Run(want, func(t *testing.T) {
			folder := smallModel(t)
			extra["embeddings"] = rows
			folder["model.safetensors"].Data = tensors(t, extra)
			if _, err := static.Load(folder); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v, want one that says %q", err, want)
			}
		})
	}
}

func TestAFolderThatLacksAFileIsNotAModel(t *testing.T) {
	for name := range smallModel(t) {
		folder := smallModel(t)
		delete(folder, name)
		if _, err := static.Load(folder); rebased.KindOf(err) != rebased.NotFound || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: error is %v", name, err)
		}
	}
}

func TestAnOversizedFileIsNotRead(t *testing.T) {
	folder := smallModel(t)
	folder["config.json"].Data = bytes.Repeat([]byte(" "), 1<<20+1)
	if _, err := static.Load(folder); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("error is %v", err)
	}
}

func TestIdentityChangesWithEachFile(t *testing.T) {
	seen := map[string]string{load(t, smallModel(t)).Identity(): "unchanged"}
	for name, change := range map[string][2]string{
		"config.json": {"true", "false"}, "tokenizer.json": {"play", "sing"}, "model.safetensors": {"\x00\x00\x80\x3f", "\x00\x00\x80\x40"},
	} {
		folder := smallModel(t)
		folder[name].Data = []byte(strings.Replace(string(folder[name].Data), change[0], change[1], 1))
		id := load(t, folder).Identity()
		if other, ok := seen[id]; ok {
			t.Errorf("identity is %s with another %s as with %s", id, name, other)
		}
		seen[id] = name
		if !strings.HasPrefix(id, "static:model2vec:2:") {
			t.Errorf("identity is %s", id)
		}
	}
}

func TestIdentityTakesTheNameThatTheConfigGives(t *testing.T) {
	for name, want := range map[string]string{"my-model.v2": "static:my-model.v2:2:", "a:b": "static:model2vec:2:", "": "static:model2vec:2:"} {
		folder := smallModel(t)
		folder["config.json"].Data = fmt.Appendf(nil, `{"name": %q}`, name)
		if id := load(t, folder).Identity(); !strings.HasPrefix(id, want) {
			t.Errorf("name %q: identity is %s", name, id)
		}
	}
}
