package app

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/hub"
	"github.com/rebased/rebased/infra/hub/hubtest"
	"github.com/rebased/rebased/infra/mem"
)

// table is a model in Model2Vec's format, of five tokens and two dimensions.
func table() map[string]string {
	header := `{"embeddings":{"dtype":"I8","shape":[5,2],"data_offsets":[0,10]}}`
	return map[string]string{
		"config.json": `{"name": "small"}`,
		"tokenizer.json": `{"normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "lowercase": true},
			"pre_tokenizer": {"type": "BertPreTokenizer"},
			"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 10,
				"vocab": {"[UNK]": 0, "play": 1, "##ing": 2, "##er": 3, "a": 4}}}`,
		"model.safetensors": string(rune(len(header))) + "\x00\x00\x00\x00\x00\x00\x00" + header + "\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08",
	}
}

func TestModelsThatWereUploadedAreOpened(t *testing.T) {
	objects, model := mem.NewObjects(), rebased.Model{}
	for name, body := range table() {
		model[name] = rebased.UploadKey(strings.Repeat("0", 62) + name[:2])
		if _, err := objects.Put(t.Context(), model[name], []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	body, err := json.Marshal(model)
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.Repeat("a", 64)
	if _, err := objects.Put(t.Context(), rebased.UploadKey(hash), body); err != nil {
		t.Fatal(err)
	}
	encoders := newEncoders(t.Context(), settingsOf(t), models{objects: objects})
	e, err := encoders.Open(t.Context(), "static:"+rebased.BenchmarkRef(hash, "small"))
	if err != nil || !strings.HasPrefix(e.Identity(), "static:small:2:") {
		t.Fatalf("%v, %v", e, err)
	}
	if err := objects.Delete(t.Context(), model["tokenizer.json"]); err != nil {
		t.Fatal(err)
	}
	if _, err := newEncoders(t.Context(), settingsOf(t), models{objects: objects}).Open(t.Context(), "static:"+rebased.BenchmarkRef(hash, "small")); rebased.KindOf(err) != rebased.NotFound {
		t.Errorf("a file that is gone: %v", err)
	}
}

func TestModelsOfTheHubAreOpened(t *testing.T) {
	server := hubtest.New(t)
	server.Put(hubtest.Repo{Kind: hub.Models, ID: "owner/small", Branches: map[string]map[string]string{"main": table()}})
	client, err := hub.New(hub.Config{Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	encoders := newEncoders(t.Context(), settingsOf(t), models{hub: client})
	e, err := encoders.Open(t.Context(), "static:hf://owner/small")
	if err != nil || !strings.HasPrefix(e.Identity(), "static:small:2:") {
		t.Fatalf("%v, %v", e, err)
	}
	if _, err := encoders.Open(t.Context(), "static:hf://owner/none"); rebased.KindOf(err) != rebased.NotFound || !strings.Contains(err.Error(), "owner/none") {
		t.Errorf("a model that is not there: %v", err)
	}
}

func TestATransformerNeedsItsLibrary(t *testing.T) {
	_, err := newEncoders(t.Context(), settingsOf(t), models{}).Open(t.Context(), "transformer:hf://owner/model")
	if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "ORT_DYLIB_PATH") {
		t.Errorf("without a library: %v", err)
	}
	if os.Getenv("ORT_DYLIB_PATH") != "" {
		t.Skip("a library is loaded for the whole process")
	}
	_, err = newEncoders(t.Context(), settingsOf(t, "ORT_DYLIB_PATH=/none/libonnxruntime.so"), models{}).Open(t.Context(), "transformer:hf://owner/model")
	if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "/none/libonnxruntime.so") {
		t.Errorf("a library that is not there: %v", err)
	}
}
