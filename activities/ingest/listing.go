package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/rebased/rebased"
)

// ListingName is the file at the top of a folder that describes its datasets, one JSON object a line.
const ListingName = "datasets.jsonl"

const maxListingLine = 1 << 20

// listed is one line of the listing. With a path it says what that file is, without one it describes the files that their own path makes
// part of the dataset and, where given, the config and split.
type listed struct {
	Dataset     string `json:"dataset"`
	Config      string `json:"config"`
	Split       string `json:"split"`
	Path        string `json:"path"` // from the folder, or from its parent
	Description string `json:"description"`
	License     string `json:"license"`
}

// readListing reads what can be read of a listing; the rest is told by line.
func readListing(r io.Reader) (entries []listed, lineOf []int, malformed []rebased.Malformed) {
	lines := newLineReader(r, maxListingLine)
	bad := func(line int, why string) {
		malformed = append(malformed, rebased.Malformed{Path: ListingName, Line: line, Error: why})
	}
	for {
		line, err := lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return entries, lineOf, malformed
		case errors.Is(err, errLongLine):
			bad(lines.line, err.Error())
			continue
		case err != nil:
			bad(0, err.Error())
			return entries, lineOf, malformed
		case strings.TrimSpace(string(line)) == "":
			continue
		}
		var entry listed
		if err := json.Unmarshal(line, &entry); err != nil {
			bad(lines.line, fmt.Sprintf("is not a JSON object of texts: %v", err))
			continue
		}
		if entry.Dataset == "" {
			bad(lines.line, `has no "dataset"`)
			continue
		}
		entries, lineOf = append(entries, entry), append(lineOf, lines.line)
	}
}

// applyListing lets the listing name and describe the sources. An entry with a path stands above one without.
func applyListing(folder string, sources []rebased.Source, r io.Reader) []rebased.Malformed {
	entries, lineOf, malformed := readListing(r)
	byPath := map[string]*rebased.Source{}
	for i := range sources {
		byPath[sources[i].Path] = &sources[i]
	}
	named := map[*rebased.Source]bool{}
	for i, entry := range entries {
		if entry.Path == "" {
			continue
		}
		source := byPath[path.Clean(entry.Path)]
		if source == nil {
			source = byPath[strings.TrimPrefix(path.Clean(entry.Path), folder+"/")]
		}
		switch {
		case source == nil:
			malformed = append(malformed, rebased.Malformed{Path: ListingName, Line: lineOf[i], Error: fmt.Sprintf("names %q, which is no file of the import", entry.Path)})
		case named[source]:
			malformed = append(malformed, rebased.Malformed{Path: ListingName, Line: lineOf[i], Error: fmt.Sprintf("names %q a second time", entry.Path)})
		default:
			named[source] = true
			entry.name(source)
		}
	}
	for i := range sources {
		for _, entry := range entries {
			if entry.Path == "" && !named[&sources[i]] && entry.describes(sources[i].DatasetID) {
				sources[i].Description, sources[i].License = entry.Description, entry.License
			}
		}
	}
	return malformed
}

// name makes a source what the entry says it is.
func (e listed) name(s *rebased.Source) {
	stem, _, _ := cutExtension(s.Path)
	s.Name = e.Dataset
	if e.Config != "" {
		s.Config = e.Config
	}
	switch {
	case e.Split != "":
		s.Split = e.Split
	case e.Config == shardSuffix.ReplaceAllString(stem, ""): // the file is called after its config, even one called "test"
		s.Split = defaultSplit
	}
	s.Description, s.License = e.Description, e.License
}

func (e listed) describes(id rebased.DatasetID) bool {
	return e.Dataset == id.Name && (e.Config == "" || e.Config == id.Config) && (e.Split == "" || e.Split == id.Split)
}
