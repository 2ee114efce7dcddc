package ingest

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rebased/rebased"
)

const (
	defaultConfig = "default"
	defaultSplit  = "train"
	maxIDBytes    = 200 // of a dataset's, config's or split's name: each becomes one file name where the bucket is a folder
)

// shardSuffix is how hubs number the files of one split: train-00000-of-00004, with a hash behind it in older repositories.
var shardSuffix = regexp.MustCompile(`-\d{5}-of-\d{5}(-[0-9a-f]+)?$`)

// place derives from a file's path, relative to the imported folder, which split it belongs to:
//
//	<dataset>.ext                                      config default
//	<dataset>/<config>.ext
//	<dataset>/<split>.ext                              when the file is called after a split; config default
//	<dataset>/<config>/<split>.ext                     when the folder holds "--" or the file is called after a split
//	<owner>/<name>/<config>.ext                        otherwise
//	<owner>/<name>/<config>/<split>.ext
//
// "--" in a dataset's folder is read as '/', once. The split is train where the path names none. ok is false for a path of another shape.
func place(file string) (id rebased.DatasetID, ok bool) {
	stem, _, ok := cutExtension(file)
	if !ok {
		return rebased.DatasetID{}, false
	}
	stem = shardSuffix.ReplaceAllString(stem, "")
	folders := strings.Split(path.Dir(file), "/")
	if folders[0] == "." {
		folders = nil
	}
	switch {
	case len(folders) == 0:
		id = rebased.DatasetID{Name: datasetName(stem), Config: defaultConfig, Split: defaultSplit}
	case len(folders) == 1 && isSplit(stem):
		id = rebased.DatasetID{Name: datasetName(folders[0]), Config: defaultConfig, Split: stem}
	case len(folders) == 1:
		id = rebased.DatasetID{Name: datasetName(folders[0]), Config: stem, Split: defaultSplit}
	case len(folders) == 2 && (strings.Contains(folders[0], "--") || isSplit(stem)):
		id = rebased.DatasetID{Name: datasetName(folders[0]), Config: folders[1], Split: stem}
	case len(folders) == 2:
		id = rebased.DatasetID{Name: folders[0] + "/" + folders[1], Config: stem, Split: defaultSplit}
	case len(folders) == 3:
		id = rebased.DatasetID{Name: folders[0] + "/" + folders[1], Config: folders[2], Split: stem}
	}
	return id, len(folders) <= 3
}

func datasetName(folder string) string { return strings.Replace(folder, "--", "/", 1) }

func isSplit(stem string) bool {
	return slices.Contains([]string{"train", "validation", "valid", "dev", "test"}, stem)
}

// checkID says what is wrong with a split's names; "" when nothing is.
func checkID(id rebased.DatasetID) string {
	for _, name := range []string{id.Name, id.Config, id.Split} {
		switch {
		case name == "":
			return "dataset, config and split must not be empty"
		case len(name) > maxIDBytes:
			return "a name of dataset, config or split is longer than 200 bytes"
		case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
			return "a name of dataset, config or split is not plain UTF-8 text"
		}
	}
	return ""
}
