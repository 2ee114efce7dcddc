package rebased

import (
	"context"
	"encoding/json"
	"strings"
)

// Kinds of encoders: what stands before the colon of an encoder's name.
const (
	EncoderStatic      = "static"      // a table of vectors in Model2Vec's format
	EncoderTransformer = "transformer" // a sentence transformer with an ONNX network
	EncoderOpenAI      = "openai"      // a server of the embeddings protocol
)

// TokenizerKind is what ModelFiles and LocalModel call a folder that only tokens are counted with.
const TokenizerKind = "tokenizer"

// ModelFiles lists the files that an encoder of a kind may read of a model's folder; a model need not have them all.
func ModelFiles(kind string) []string {
	switch kind {
	case EncoderStatic:
		return []string{"config.json", "tokenizer.json", "model.safetensors"}
	case TokenizerKind:
		return []string{"tokenizer.json"}
	case EncoderTransformer:
		return []string{
			"modules.json", "config.json", "sentence_bert_config.json", "config_sentence_transformers.json", "tokenizer.json", "1_Pooling/config.json",
			"onnx/model.onnx",
		}
	}
	return nil
}

// LocalModel takes the name of an encoder apart whose model is a folder on the user's machine, which only the starter can read; ok is false when
// it is built in, of a server, on the hub or uploaded.
func LocalModel(encoder string) (kind, folder string, ok bool) {
	kind, folder, ok = strings.Cut(encoder, ":")
	_, _, uploaded := ParseBenchmarkRef(folder)
	return kind, folder, ok && ModelFiles(kind) != nil && !uploaded && !strings.HasPrefix(folder, "hf://")
}

// Model is a folder that was uploaded: the keys of its files, by their paths in it. It is stored as JSON.
type Model map[string]string

// ReadModel reads what an uploaded folder holds.
func ReadModel(ctx context.Context, objects Objects, key string) (m Model, err error) {
	body, _, err := objects.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, E(Invalid, "%s lists no model's files: %w", key, err)
	}
	return m, nil
}
