package wordpiece

import (
	"slices"
	"testing"
	"unicode/utf8"
)

// small has a vocabulary of few words, in which most words fall apart or are unknown.
const small = `{
	"normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
	"pre_tokenizer": {"type": "BertPreTokenizer"},
	"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 10,
		"vocab": {"[UNK]": 0, "play": 1, "##ing": 2, "##er": 3, "a": 4, ".": 5, "##a": 6, "\u4e2d": 7}}
}`

// FuzzTokens looks for texts that panic, give ids outside the vocabulary, or more pieces than were asked for.
func FuzzTokens(f *testing.F) {
	tokens, err := Parse([]byte(small))
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"", "playing, player a.a", "Ünïcödé Straße İ", "中文 and かな", "\x80\xff\xc0", "a\u0301\u200b\ufeff", "[SEP]##ing", "\U0001f468\u200d\U0001f469"} {
		f.Add(text, 5)
	}
	f.Fuzz(func(t *testing.T, text string, limit int) {
		var b Buffers
		if normal := b.normalize(text, tokens.settings); !utf8.Valid(normal) {
			t.Fatalf("%q becomes %q, which is no UTF-8", text, normal)
		}
		limit = min(max(limit, 1), 1<<20)
		for unknown, of := range map[bool]func([]int32, string, int, *Buffers) []int32{false: tokens.AppendKnown, true: tokens.AppendAll} {
			all := of(nil, text, len(text)*4+1, &b)
			for _, id := range all {
				if id < 0 || int(id) >= tokens.size || id == tokens.unknown && !unknown {
					t.Fatalf("%q has the id %d", text, id)
				}
			}
			some := of(nil, text, limit, &b)
			if len(some) > limit || len(some) > len(all) || unknown && len(some) != min(limit, len(all)) {
				t.Fatalf("%q has %d pieces, %d of them at most %d", text, len(all), len(some), limit)
			}
			if !slices.Equal(some, all[:len(some)]) {
				t.Fatalf("%q has other pieces when only %d are read", text, limit)
			}
		}
	})
}

func TestUnknownWordsHaveOnePieceOrNone(t *testing.T) {
	tokens, err := Parse([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	var b Buffers
	if got := tokens.AppendAll(nil, "Playing unseen a.", 100, &b); !slices.Equal(got, []int32{1, 2, 0, 4, 5}) {
		t.Errorf("all pieces are %v", got)
	}
	if got := tokens.AppendKnown(nil, "Playing unseen a.", 100, &b); !slices.Equal(got, []int32{1, 2, 4, 5}) {
		t.Errorf("known pieces are %v", got)
	}
	if id, ok := tokens.ID("play"); !ok || id != 1 {
		t.Errorf("play is %d, %v", id, ok)
	}
	if _, ok := tokens.ID("[CLS]"); ok {
		t.Error("[CLS] is in no vocabulary here")
	}
}
