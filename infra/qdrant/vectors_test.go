package qdrant

import (
	"regexp"
	"strings"
	"testing"
)

func TestACollectionOfTextsIsNamedAfterItsEncoder(t *testing.T) {
	for identity, want := range map[string]string{
		"transformer:bert:384:0a1b2c3d:windows-16x1024":                  "rebased-texts-transformer-bert-384-0a1b2c3d-windows-16x1024-",
		"openai:BAAI/bge small?:384:windows-16x1000":                     "rebased-texts-openai-BAAI-bge-small-384-windows-16x1000-",
		"openai:" + strings.Repeat("é/", 300) + strings.Repeat("m", 300): "rebased-texts-openai-" + strings.Repeat("m", 113) + "-",
	} {
		name := texts(identity)
		if !strings.HasPrefix(name, want) || !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(strings.TrimPrefix(name, want)) {
			t.Errorf("%s is kept in %s, want %s and 16 hex digits", identity, name, want)
		}
	}
	if texts("openai:a/b:8") == texts("openai:a-b:8") {
		t.Error("two encoders have one collection")
	}
}
