package rebased_test

import (
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rebased/rebased"
)

func TestKeySegmentKeepsWhatIsSafeAndReplacesTheRest(t *testing.T) {
	for name, want := range map[string]string{
		"train":          "train",
		"owner/name":     "owner--name",
		"a//b":           "a----b",
		"v1.2_x-y (z)":   "v1.2_x-y (z)",
		"größe":          "größe",
		"データ":            "データ",
		"🙂":              "🙂",
		"":               "_",
		".":              "_.",
		"..":             "_..",
		"...":            "_...",
		"../x":           "..--x",
		".hidden":        ".hidden",
		`a\b`:            "a_b",
		"a?b#c%2fd&e":    "a_b_c_2fd_e",
		"a:b*c\"d<e>f|g": "a_b_c_d_e_f_g",
		"{a}^~[b]`":      "_a____b__",
		"a\x00b\nc\x7fd": "a_b_c_d",
		"a\xffb":         "a_b",
	} {
		if got := rebased.KeySegment(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func FuzzKeySegmentIsOneSafeSegment(f *testing.F) {
	for _, seed := range []string{"", ".", "..", "../../etc", "/", `..\..`, "a/../b", "owner/name", "データ", "\xff\xfe", "%2e%2e", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := rebased.KeySegment(name)
		if joined := path.Join("folder", got, "file"); joined != "folder/"+got+"/file" {
			t.Errorf("%q: %q leaves its folder: %q", name, got, joined)
		}
		if got == "" || !utf8.ValidString(got) || strings.ContainsAny(got, "/\\:*?\"<>|#%&{}^~[]`\x00\n\r\t\x7f") {
			t.Errorf("%q: %q is not safe", name, got)
		}
		if rebased.KeySegment(got) != got {
			t.Errorf("%q: %q is not kept as it is", name, got)
		}
	})
}

func TestNamesFromOutsideStayInTheirFolder(t *testing.T) {
	evil := rebased.DatasetID{Name: "../../x", Config: "..", Split: "/"}
	for got, want := range map[string]string{
		rebased.CorpusPartPrefix("hub", evil):          "corpora/hub/..--..--x/_../--/part-",
		rebased.CorpusIndexKey("hub", "../c"):          "corpora/hub/index-..--c.json",
		rebased.BuildKey("squad", "..", "result.json"): "builds/squad/_../result.json",
		rebased.ImportKey("hub", "a/b", "x"):           "imports/hub/a--b/x",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The layout is a contract: other programs read these keys.
func TestKeysStandWhereTheContractSays(t *testing.T) {
	for got, want := range map[string]string{
		rebased.CorpusManifestKey("hub"):                     "corpora/hub/manifest.json",
		rebased.CorpusDatasetsKey("hub", "0a1b"):             "corpora/hub/datasets-0a1b.parquet",
		rebased.CorpusPartPrefix("hub", riverSet):            "corpora/hub/owner--qa/default/train/part-",
		rebased.BuildKey("squad", "1", "task.yaml"):          "builds/squad/1/task.yaml",
		rebased.VersionKey("squad", "0a1b", "manifest.json"): "datasets/squad/0a1b/manifest.json",
		rebased.ReleaseKey("squad", "0a1b"):                  "datasets/squad/releases/0a1b.json",
		rebased.LatestKey("squad"):                           "datasets/squad/latest.json",
		rebased.PartName(7):                                  "part-00007.parquet",
		rebased.TaskKey("squad", "0a1b"):                     "tasks/squad/0a1b.yaml",
		rebased.UploadKey("0a1b"):                            "uploads/0a1b",
		rebased.CorpusRevisionKey("hub", "0a1b"):             "corpora/hub/revisions/0a1b.json",
		rebased.CorpusIndexKey("hub", "hub-static"):          "corpora/hub/index-hub-static.json",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
