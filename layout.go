package rebased

import (
	"fmt"
	"path"
	"strings"
)

// The layout of the bucket: every key that the project writes is made here. Names that come from outside pass through KeySegment.

// KeySegment makes a name safe as one segment of a key: '/' becomes "--", what could leave the folder or confuse a URL becomes '_'.
func KeySegment(name string) string {
	name = strings.ReplaceAll(name, "/", "--")
	name = strings.Map(func(r rune) rune {
		if r < 0x20 || strings.ContainsRune(`\:*?"<>|#%&{}^~[]`+"`", r) || r == 0x7f || r == 0xfffd {
			return '_'
		}
		return r
	}, name)
	if strings.Trim(name, ".") == "" {
		return "_" + name
	}
	return name
}

// CorpusManifestKey is where the current revision of a corpus stands.
func CorpusManifestKey(corpus string) string { return path.Join("corpora", corpus, "manifest.json") }

// CorpusRevisionKey is where one revision of a corpus stands for good.
func CorpusRevisionKey(corpus, revision string) string {
	return path.Join("corpora", corpus, "revisions", revision+".json")
}

// CorpusDatasetsKey is the table of datasets of one revision.
func CorpusDatasetsKey(corpus, revision string) string {
	return path.Join("corpora", corpus, "datasets-"+revision+".parquet")
}

// CorpusPartPrefix is the prefix of the parts of one dataset split, for Table.WriteHashed.
func CorpusPartPrefix(corpus string, d DatasetID) string {
	return path.Join("corpora", corpus, KeySegment(d.Name), KeySegment(d.Config), KeySegment(d.Split), "part-")
}

// PartIDsKey is where the ids of a part's rows stand, beside the part.
func PartIDsKey(partKey string) string { return strings.TrimSuffix(partKey, ".parquet") + ".ids" }

// CorpusDifferenceKey is what a revision has changed in the one before.
func CorpusDifferenceKey(corpus, revision string) string {
	return path.Join("corpora", corpus, "differences", revision+".json")
}

// CorpusCopiesPrefix is the prefix of tables of rows that came with an import, for Table.WriteHashed.
func CorpusCopiesPrefix(corpus string) string {
	return path.Join("corpora", corpus, "differences", "rows-")
}

// CorpusIndexKey is the record of a corpus's index, by its alias.
func CorpusIndexKey(corpus, alias string) string {
	return CorpusIndexPrefix(corpus) + KeySegment(alias) + ".json"
}

// CorpusPlanKey is what an update of an index is about to do, while it does it.
func CorpusPlanKey(corpus, sha256 string) string {
	return path.Join("corpora", corpus, "plans", sha256+".json")
}

// CorpusIndexPrefix is the prefix of the records of all indexes of a corpus.
func CorpusIndexPrefix(corpus string) string { return path.Join("corpora", corpus, "index-") }

// IsCorpusIndexKey tells the records of indexes from what else stands under CorpusIndexPrefix: parts of a dataset that is called index-….
func IsCorpusIndexKey(corpus, key string) bool {
	return path.Dir(key) == path.Join("corpora", corpus) && strings.HasPrefix(key, CorpusIndexPrefix(corpus)) && strings.HasSuffix(key, ".json")
}

// UploadKey is where the starter puts the bytes of a local file for workers to read.
func UploadKey(sha256 string) string { return path.Join("uploads", sha256) }

// UploadUseKey is an empty object beside an upload that was used again: from then on the upload counts as new.
func UploadUseKey(upload string) string { return upload + ".used" }

// CollectingKey is there while a collection of garbage removes versions or answers. Builds do not begin meanwhile.
const CollectingKey = "gc/collecting.json"

// TaskKey is where the starter puts a task file for workflows to name.
func TaskKey(task, sha256 string) string { return path.Join("tasks", task, sha256+".yaml") }

// BuildKey is a key inside one build's folder.
func BuildKey(task, build string, elem ...string) string {
	return path.Join(append([]string{"builds", task, KeySegment(build)}, elem...)...)
}

// PartName names the n-th file of a step.
func PartName(n int) string { return fmt.Sprintf("part-%05d.parquet", n) }

// VersionKey is a key inside one dataset version's folder.
func VersionKey(task, version string, elem ...string) string {
	return path.Join(append([]string{"datasets", task, version}, elem...)...)
}

// ReleaseKey is the release record of a version.
func ReleaseKey(task, version string) string {
	return path.Join("datasets", task, "releases", version+".json")
}

// LatestKey points at the released version of a task.
func LatestKey(task string) string { return path.Join("datasets", task, "latest.json") }

// NightKey says which build of a task its schedule has going. It is switched by compare-and-swap.
func NightKey(task string) string { return path.Join("nights", task+".json") }

// ResponsesPrefix is where the response store keeps its own layout.
const ResponsesPrefix = "responses/"

// ImportKey is a key inside one import run's folder.
func ImportKey(corpus, run string, elem ...string) string {
	return path.Join(append([]string{"imports", corpus, KeySegment(run)}, elem...)...)
}
