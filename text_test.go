package rebased_test

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/rebased/rebased"
)

func TestTextHashIsThatOfTheNormalText(t *testing.T) {
	for _, text := range []string{
		"", " ", "True", "  a\t b\r\n c ", "É\u00a0È", "STRASSE ẞ", "日本\u3000データ", "\xff a \xfe", "İ", strings.Repeat("Long text ", 300),
	} {
		sum := sha256.Sum256([]byte(strings.Join(strings.Fields(strings.ToLower(strings.ToValidUTF8(text, "\ufffd"))), " ")))
		if got, want := rebased.TextHash(text), binary.BigEndian.Uint64(sum[:]); got != want {
			t.Errorf("%q: got %x, want %x", text, got, want)
		}
	}
	if rebased.TextHash("a b") == rebased.TextHash("ab") || rebased.TextHash("a\nB ") != rebased.TextHash("a b") {
		t.Error("white space must part words and tell nothing else")
	}
}

func TestTextLettersCountsWhatIsRead(t *testing.T) {
	for text, want := range map[string]int{"": 0, "-- ,": 0, "True": 4, "a1 é日": 4, strings.Repeat("x", 1000): 255} {
		if got := rebased.TextLetters(text); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}
