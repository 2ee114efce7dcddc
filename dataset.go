package rebased

import "strings"

// DatasetID names one split of one configuration of a dataset, for instance {"owner/name", "default", "train"}.
type DatasetID struct {
	Name   string `json:"dataset"`
	Config string `json:"config"`
	Split  string `json:"split"`
}

// String gives name/config/split.
func (d DatasetID) String() string { return strings.Join([]string{d.Name, d.Config, d.Split}, "/") }

// Dataset is one line of a corpus's list of datasets.
type Dataset struct {
	DatasetID
	Description string `json:"description"`
	License     string `json:"license"`  // "" = unknown
	Revision    string `json:"revision"` // of the source; for files the SHA-256 of their bytes
	ETag        string `json:"etag"`     // what tells that the source has not changed
	Rows        int    `json:"rows"`
}

// Text is what an encoder is given of a dataset: name, configuration and description. Two configurations of a dataset often share the
// description, and some datasets have none.
func (d Dataset) Text() string { return d.Name + "\n" + d.Config + "\n" + d.Description }

// File is one immutable object of the bucket.
type File struct {
	Key    string `json:"key"`
	SHA256 string `json:"sha256"` // hex, of the object's bytes
	Size   int64  `json:"size"`   // bytes
	Rows   int    `json:"rows"`   // 0 for files that hold no rows
}

// Part is one Parquet file of rows of one dataset split.
type Part struct {
	File
	Dataset DatasetID `json:"dataset"`
	// Frequent are the short texts that stand in many of its rows, by TextHash as 16 hex digits: they tell one row from another as little as
	// a word does.
	Frequent []string `json:"frequent,omitempty"`
}

// Corpus is one revision of a corpus: the content of corpora/<corpus>/manifest.json.
type Corpus struct {
	Name     string   `json:"corpus"`
	Revision string   `json:"revision"` // first 12 hex digits of the SHA-256 of what follows
	Datasets File     `json:"datasets"` // the Parquet file of Dataset rows
	Parts    []Part   `json:"parts"`    // ordered by dataset, then key
	Options  []string `json:"options"`  // import settings that shaped the rows, as key=value
	// Origins says which datasets came from which source, of the sources that may fail to answer one night. Others are in none.
	Origins []Origin `json:"origins,omitempty"`
}

// Origin is a source of an import, as the user named it, and the datasets that came from it.
type Origin struct {
	Source   string      `json:"source"`
	Datasets []DatasetID `json:"datasets"` // ordered
}

// Index is the state of a corpus in the vector index for one encoder: the content of corpora/<corpus>/index-<alias>.json.
type Index struct {
	Alias      string `json:"alias"`      // names the index for people and for its record; in the vector index it stands for Collection
	Collection string `json:"collection"` // of the rows; the one of the descriptions is named by the adapter
	Encoder    string `json:"encoder"`    // identity
	Dimensions int    `json:"dimensions"`
	Revision   string `json:"revision"` // the corpus revision that is wholly indexed; "" = none yet
	Updating   string `json:"updating"` // the revision that Collection is being brought to; "" = none

	Described string `json:"described,omitempty"` // SHA-256 of the texts that the descriptions in Collection are of; "" = not known

	Beside         string `json:"beside,omitempty"`          // a collection that a rebuild fills beside; "" = none
	BesideRevision string `json:"beside_revision,omitempty"` // the revision that it is being brought to
	Left           string `json:"left,omitempty"`            // the collection before, to be dropped
}

// Source is one file that an import reads: in the bucket, or where a worker fetches it from.
type Source struct {
	Path   string `json:"path"`   // as the user knows it, for messages: relative to the imported folder
	Key    string `json:"key"`    // in the bucket; "" until it is fetched
	SHA256 string `json:"sha256"` // "" = not known before it is fetched
	Size   int64  `json:"size"`   // bytes
	// DatasetID is derived from the path by the starter: <dataset>/<config>.<ext>, "--" in the folder's name read as '/'.
	DatasetID
	Description string `json:"description"`
	License     string `json:"license"`

	Origin   string `json:"origin,omitempty"`   // the source that the user named, where it may fail to answer: hf://…, s3://… or a line of a list
	Address  string `json:"address,omitempty"`  // of the file for workers: hf://…, s3://…; "" = it is at Key
	ETag     string `json:"etag,omitempty"`     // what tells that the file has not changed; "" = SHA256 does
	Revision string `json:"revision,omitempty"` // of the origin; "" = the SHA-256 of the files
}

// Malformed is a line or a file that an import could not read and left out.
type Malformed struct {
	Path  string `json:"path"`
	Line  int    `json:"line"` // 1-based; 0 = the whole file
	Error string `json:"error"`
}
