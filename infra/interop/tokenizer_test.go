package interop

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased/infra/tokenizer"
)

// hard are texts of the kinds that tokenizers differ in.
var hard = []string{
	"", " ", "  ", "a", " a", "a ", "\n", "\r\n\r\n", "a\n\nb", "a  b", "a   \n  b", "\t\tx = 1\n\t\treturn x", "It's, they'LL; we’ve I'M 'sup 'Tis", "12345678 1,234.5678 ٣٤٥ ½ ²",
	"naïve café ﬁ Å Å e\u0301", "東京は日本の首都です。", "สวัสดีครับ", "नमस्ते दुनिया", "👩‍👩‍👧‍👦🏳️‍🌈🙂", "\u00a0x\u3000y\u2028z\u0085w\u200b\ufeff", "<|im_start|>user\nHi<|im_end|>",
	"<s>a</s> <unk> <0x41> <bos><eos> <|begin_of_text|> <｜User｜>x", "HTMLParser XMLHttpRequest camelCaseABC McDonald's ÉCOLEà", "http://a.example/b?c=d&e=f#g", "__init__(self, *args) -> None: # TODO!!!",
	"a\u0000b\u0007c", strings.Repeat(" ", 70) + "x", strings.Repeat("ab", 500), strings.Repeat("-", 333) + "\n", "▁ already ▁▁there", "ſ'ſ 'S K", "x\u0301\u0302 \u0301", "\n \n\n  \n", "ＦＵＬＬ　ｗｉｄｔｈ",
}

// TestTokensAreThoseOfTheirOwnLibrary counts real texts with the tokenizer of every package in a folder, here and with Hugging Face's tokenizers.
func TestTokensAreThoseOfTheirOwnLibrary(t *testing.T) {
	python, folder := os.Getenv("REBASED_PYTHON"), os.Getenv("REBASED_TOKENIZERS")
	if python == "" || folder == "" {
		t.Skip("REBASED_PYTHON or REBASED_TOKENIZERS is not set: a Python with tokenizers, and a folder of packages with models/tokenizer.json")
	}
	texts := append(realTexts(t), hard...)
	asked, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, text := range texts {
		size += len(text)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*", "models", tokenizer.FileName))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s in a folder models of a package in %s: %v", tokenizer.FileName, folder, err)
	}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(filepath.Dir(file)))
		t.Run(name, func(t *testing.T) {
			tokens, err := tokenizer.Load(name, os.DirFS(filepath.Dir(file)))
			if err != nil {
				t.Fatal(err)
			}
			command := exec.CommandContext(t.Context(), python, "tokenizer_counts.py", file)
			command.Stdin, command.Stderr = bytes.NewReader(asked), os.Stderr
			out, err := command.Output()
			if err != nil {
				t.Fatal(err)
			}
			var want struct {
				Counts  []int   `json:"counts"`
				Seconds float64 `json:"seconds"`
			}
			if err := json.Unmarshal(out, &want); err != nil || len(want.Counts) != len(texts) {
				t.Fatalf("%d counts of %d texts: %v", len(want.Counts), len(texts), err)
			}
			all, wrong, started := 0, 0, time.Now()
			for i, text := range texts {
				got := tokens.Count(text)
				all += got
				if got != want.Counts[i] {
					if wrong++; wrong <= 5 {
						t.Errorf("%d tokens, %d by the library: %.300q", got, want.Counts[i], text)
					}
				}
			}
			t.Logf("%d texts, %.1f MB, %d tokens: %d differ; %.2f s, %.2f s of the library", len(texts), float64(size)/1e6, all, wrong, time.Since(started).Seconds(), want.Seconds)
		})
	}
}

// realTexts are inputs and outputs of real builds and cells of many languages, as far as the real data is there.
func realTexts(t *testing.T) (texts []string) {
	t.Helper()
	data := os.Getenv("REBASED_TEST_DATA")
	if data == "" {
		return nil
	}
	outputs, err := filepath.Glob(filepath.Join(data, "outputs", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range outputs {
		texts = append(texts, jsonTexts(t, path, 200)...)
	}
	hub, err := filepath.Glob(filepath.Join(data, "hub", "*", "*.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range hub {
		texts = append(texts, jsonTexts(t, path, 5)...)
	}
	return texts
}

// jsonTexts gives the texts of the first rows of a file of JSON objects.
func jsonTexts(t *testing.T, path string, rows int) (texts []string) {
	t.Helper()
	body, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	if strings.HasSuffix(path, ".gz") {
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		lines = bufio.NewScanner(unpacked)
	}
	lines.Buffer(nil, 64<<20)
	for n := 0; n < rows && lines.Scan(); n++ {
		var row map[string]any
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		for _, value := range row {
			if text, ok := value.(string); ok {
				texts = append(texts, text)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return texts
}
