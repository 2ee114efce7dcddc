package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rebased/rebased"
)

// byteLevel is a tokenizer.json as Qwen's, of all bytes and some merges.
func byteLevel(change func(file map[string]any)) []byte {
	vocab, merges := map[string]int{}, []any{}
	for b := range 256 {
		token := string(rune(b))
		if !printable(byte(b)) {
			token = string(rune(0x100 + slices.Index(unprintable, byte(b))))
		}
		vocab[token] = b
	}
	for _, m := range [][2]string{{"l", "o"}, {"lo", "w"}, {"e", "r"}, {"Ġ", "low"}, {"w", "er"}} {
		vocab[m[0]+m[1]] = len(vocab)
		merges = append(merges, m[0]+" "+m[1])
	}
	vocab["lower"] = len(vocab)
	file := map[string]any{
		"normalizer": map[string]any{"type": "NFC"},
		"pre_tokenizer": map[string]any{"type": "Sequence", "pretokenizers": []any{
			map[string]any{"type": "Split", "behavior": "Isolated", "pattern": map[string]any{
				"Regex": `(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
			}},
			map[string]any{"type": "ByteLevel", "use_regex": false},
		}},
		"model":        map[string]any{"type": "BPE", "vocab": vocab, "merges": merges},
		"added_tokens": []any{map[string]any{"content": "<|end|>", "special": true}, map[string]any{"content": "<mask>", "lstrip": true}},
	}
	change(file)
	body, err := json.Marshal(file)
	if err != nil {
		panic(err)
	}
	return body
}

func loaded(t *testing.T, body []byte) *Tokenizer {
	t.Helper()
	tokens, err := Load("student", fstest.MapFS{FileName: {Data: body}})
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestTokensOfBytes(t *testing.T) {
	tokens := loaded(t, byteLevel(func(map[string]any) {}))
	for text, want := range map[string]int{
		"":              0,
		"low":           1,
		"lower":         2, // low er: the merge of w and er comes later
		" low low":      2,
		"low   low":     4, // low, two blanks, " low"
		"low  ":         3,
		"12":            2,
		"ä":             2, // two bytes
		"a\u0308":       2, // the same, composed
		"low<|end|>low": 3,
		"low <mask>":    2, // the blank is the mask's
		"low's":         3,
		"\n\n low":      3,
		"\u3000low":     4, // a wide blank of three bytes goes with the word, as any character that is no letter
	} {
		if got := tokens.Count(text); got != want {
			t.Errorf("%q has %d tokens, want %d", text, got, want)
		}
		if got := tokens.Count(text); got != want {
			t.Errorf("%q has %d tokens the second time", text, got)
		}
	}
	whole := loaded(t, byteLevel(func(file map[string]any) { file["model"].(map[string]any)["ignore_merges"] = true }))
	if got := whole.Count("lower"); got != 1 {
		t.Errorf("a word that is a token has %d", got)
	}
}

func TestTokensOfCharacters(t *testing.T) {
	vocab := map[string]int{"<unk>": 0, "▁": 1, "l": 2, "o": 3, "lo": 4, "▁lo": 5}
	for b := range 256 {
		vocab["<0x"+strings.ToUpper(string("0123456789abcdef"[b>>4])+string("0123456789abcdef"[b&15]))+">"] = len(vocab)
	}
	file := map[string]any{
		"normalizer": map[string]any{"type": "Sequence", "normalizers": []any{
			map[string]any{"type": "Prepend", "prepend": "▁"},
			map[string]any{"type": "Replace", "pattern": map[string]any{"String": " "}, "content": "▁"},
		}},
		"pre_tokenizer": nil,
		"model": map[string]any{
			"type": "BPE", "vocab": vocab, "merges": [][2]string{{"l", "o"}, {"▁", "lo"}}, "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
		},
	}
	count := func(text string) int {
		body, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		return loaded(t, body).Count(text)
	}
	for text, want := range map[string]int{"lo lo": 2, "": 0, "loä": 3, " lo": 2} {
		if got := count(text); got != want {
			t.Errorf("%q has %d tokens, want %d", text, got, want)
		}
	}
	file["model"].(map[string]any)["byte_fallback"] = false
	if got := count("loäö lo"); got != 3 {
		t.Errorf("with two unknown characters in a row there are %d tokens, want 3", got)
	}
}

func TestWhatWouldBeCountedOtherwiseIsRefusedByName(t *testing.T) {
	model := func(key string, value any) func(map[string]any) {
		return func(file map[string]any) { file["model"].(map[string]any)[key] = value }
	}
	split := func(pattern string) func(map[string]any) {
		return func(file map[string]any) {
			file["pre_tokenizer"] = map[string]any{"type": "Split", "behavior": "Isolated", "pattern": map[string]any{"Regex": pattern}}
		}
	}
	for want, change := range map[string]func(map[string]any){
		`type "Unigram"`:         model("type", "Unigram"),
		"dropout":                model("dropout", 0.1),
		"end_of_word_suffix":     model("end_of_word_suffix", "</w>"),
		`normalizer "Lowercase"`: func(file map[string]any) { file["normalizer"] = map[string]any{"type": "Lowercase"} },
		`pre-tokenizer "Bert`:    func(file map[string]any) { file["pre_tokenizer"] = map[string]any{"type": "BertPreTokenizer"} },
		"single word": func(file map[string]any) {
			file["added_tokens"] = []any{map[string]any{"content": "x", "single_word": true}}
		},
		"not all in its vocab":   model("merges", []string{"q x"}),
		"for the byte":           model("vocab", map[string]int{"a": 0}),
		`\w`:                     split(`\w+`),
		"invalid or unsupported": split(`a(?=b)`),
		"a class within a class": split(`[a-z&&[^b]]+`),
	} {
		_, err := Load("student", fstest.MapFS{FileName: {Data: byteLevel(change)}})
		if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := Load("student", fstest.MapFS{}); rebased.KindOf(err) != rebased.NotFound {
		t.Error(err)
	}
}

func TestATokenizerIsNamedByItsFile(t *testing.T) {
	body := byteLevel(func(map[string]any) {})
	a := loaded(t, body).Ref()
	b := loaded(t, append(body, '\n')).Ref()
	if a.Name != "student" || len(a.SHA256) != 64 || a.SHA256 == b.SHA256 {
		t.Errorf("%+v and %+v", a, b)
	}
}

// FuzzCount looks for texts that panic, or have more tokens than bytes and what normalization adds.
func FuzzCount(f *testing.F) {
	tokens, err := parse(byteLevel(func(map[string]any) {}))
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"", "lower  low\n", "<|end|> <mask>", "\xff\u0308a\u0308", "'S't 12"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := tokens.Count(text); got < 0 || got > 4*len(text) || got == 0 && text != "" {
			t.Fatalf("%q has %d tokens", text, got)
		}
	})
}
