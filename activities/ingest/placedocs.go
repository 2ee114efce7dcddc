package ingest

import (
	"path"
	"strings"

	"github.com/rebased/rebased"
)

// aboutFolder are names of documents that say what a folder is. They alone make no dataset of it.
var aboutFolder = map[string]bool{"README": true, "LICENSE": true, "LICENCE": true, "COPYING": true, "NOTICE": true}

func isAboutFolder(file string) bool {
	stem, _, _ := cutExtension(file)
	return aboutFolder[strings.ToUpper(stem)]
}

// placeDocuments derives which split each document belongs to. The topmost folder that holds documents itself (a README or LICENSE is none) and neither
// it nor a folder below it a file of records is one dataset of one split, train, with all documents below it:
//
//	.                          dataset called after the imported folder, config default
//	<dataset>                  config default
//	<dataset>/<config>         when the first folder holds "--"
//	<owner>/<name>             config default
//	<owner>/<name>/<config>    a deeper folder's names are joined by "-"
//
// "--" in a dataset's folder is read as '/', once. A document that is in no such folder has no place.
func placeDocuments(root string, tables, documents []string) map[string]rebased.DatasetID {
	holdsTable, holdsDocument := map[string]bool{}, map[string]bool{}
	for _, file := range tables {
		for _, folder := range foldersOf(file) {
			holdsTable[folder] = true
		}
	}
	for _, file := range documents {
		if !isAboutFolder(file) {
			holdsDocument[path.Dir(file)] = true
		}
	}
	places := map[string]rebased.DatasetID{}
	for _, file := range documents {
		for _, folder := range foldersOf(file) {
			if holdsDocument[folder] && !holdsTable[folder] {
				places[file] = documentsID(root, folder)
				break
			}
		}
	}
	return places
}

// foldersOf lists the folders that a file is in, the outermost, ".", first.
func foldersOf(file string) []string {
	folders := []string{"."}
	for i, letter := range file {
		if letter == '/' {
			folders = append(folders, file[:i])
		}
	}
	return folders
}

func documentsID(root, folder string) rebased.DatasetID {
	id := rebased.DatasetID{Config: defaultConfig, Split: defaultSplit}
	names := strings.Split(folder, "/")
	switch {
	case folder == ".":
		id.Name = datasetName(root)
		return id
	case len(names) == 1 || strings.Contains(names[0], "--"):
		id.Name, names = datasetName(names[0]), names[1:]
	default:
		id.Name, names = names[0]+"/"+names[1], names[2:]
	}
	if len(names) > 0 {
		id.Config = strings.Join(names, "-")
	}
	return id
}
