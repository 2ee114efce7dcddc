package static

import (
	"testing"
	"unicode/utf8"
)

// FuzzTokens looks for texts that panic, give ids outside the vocabulary, or more pieces than were asked for.
func FuzzTokens(f *testing.F) {
	e, err := New()
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"", "plain words, and marks!", "Ünïcödé Straße İ", "中文 and かな", "\x80\xff\xc0", "a\u0301\u200b\ufeff", "[SEP]##ing", "\U0001f468\u200d\U0001f469"} {
		f.Add(text, 5)
	}
	f.Fuzz(func(t *testing.T, text string, limit int) {
		var s scratch
		normal := s.text.normalize(text, e.tokens.settings)
		if !utf8.Valid(normal) {
			t.Fatalf("%q becomes %q, which is no UTF-8", text, normal)
		}
		all := e.tokens.appendIDs(nil, normal, len(text)*4+1)
		for _, id := range all {
			if id < 0 || int(id) >= e.tokens.size || id == e.tokens.unknown {
				t.Fatalf("%q has the id %d", text, id)
			}
		}
		limit = min(max(limit, 1), 1<<20)
		some := e.tokens.appendIDs(nil, normal, limit)
		if len(some) > limit || len(some) > len(all) {
			t.Fatalf("%q has %d pieces, %d of them at most %d", text, len(all), len(some), limit)
		}
		for i, id := range some {
			if id != all[i] {
				t.Fatalf("%q has other pieces when only %d are read", text, limit)
			}
		}
	})
}
