package ingest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rebased/rebased"
)

// Folder is what Discover found under one path of the user's machine.
type Folder struct {
	Root      string              // the folder that the paths of Sources are relative to
	Sources   []rebased.Source    // by path; Key and SHA256 are empty until Upload has read the file
	Skipped   []Skipped           // by path
	Malformed []rebased.Malformed // lines of the listing

	file      string           // where the one file is that the user named; "" for a folder
	documents []rebased.Source // without a place yet
}

// Skipped is a file that is not imported.
type Skipped struct {
	Path string
	Why  string
}

// Discover finds what can be imported at a path: a single file, or a folder whose paths say what each file is (<dataset>/<config>.ext and the
// other shapes that place and placeDocuments list), with an optional listing, datasets.jsonl. Hidden files are ignored, symbolic links are followed to files inside the folder only. No
// file but the listing is read. A path that is not there or holds nothing to import is Invalid.
func Discover(root string) (Folder, error) {
	resolved, err := filepath.EvalSymlinks(root)
	if err != nil {
		return Folder{}, rebased.E(rebased.Invalid, "import %s: %w", root, cause(err))
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return Folder{}, rebased.E(rebased.Invalid, "import %s: %w", root, cause(err))
	}
	var found Folder
	if info.IsDir() {
		found, err = discoverFolder(resolved)
	} else {
		found = discoverFile(root, resolved, info)
	}
	if err != nil {
		return Folder{}, rebased.E(rebased.Invalid, "import %s: %w", root, cause(err))
	}
	if len(found.Sources) == 0 {
		return Folder{}, rebased.E(rebased.Invalid, "import %s: nothing to import: wants files that end in %s", root, strings.Join(Extensions(), ", ")+" (with .gz or .zst but for Parquet)")
	}
	return found, nil
}

// cause drops the operation and path that package os puts in front: the caller names the path itself.
func cause(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// discoverFile looks at a file that the user named. It is placed by the name that was given, wherever a link leads.
func discoverFile(given, resolved string, info fs.FileInfo) Folder {
	found := Folder{Root: filepath.Dir(given), file: resolved}
	found.add(filepath.Base(given), info)
	for _, document := range found.documents { // what the user names is taken for what it is
		stem, _, _ := cutExtension(document.Path)
		document.DatasetID = documentsID(stem, ".")
		found.take(document)
	}
	return found
}

func discoverFolder(dir string) (Folder, error) {
	found := Folder{Root: dir}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Folder{}, err
	}
	defer func() { _ = root.Close() }() // nothing was written
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			found.skip(path, cause(err).Error())
		case path != "." && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
		case !entry.IsDir() && path != ListingName:
			found.visit(root, path)
		}
		return nil
	})
	if err != nil {
		return Folder{}, err
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return Folder{}, err
	}
	return found, found.readListing(root, filepath.Base(absolute))
}

// visit takes a file of the folder in. What a symbolic link leads to is opened through the folder, which refuses to leave it.
func (f *Folder) visit(root *os.Root, path string) {
	info, err := root.Stat(path)
	switch {
	case err != nil:
		f.skip(path, "cannot be opened inside the folder: "+cause(err).Error())
	case info.IsDir():
		f.skip(path, "is a symbolic link to a folder")
	default:
		f.add(path, info)
	}
}

// add makes a source of a file, placed by its path.
func (f *Folder) add(path string, info fs.FileInfo) {
	if !info.Mode().IsRegular() {
		f.skip(path, "is not a regular file")
		return
	}
	f.place(rebased.Source{Path: path, Size: info.Size()})
}

// place says by a file's path what it is of.
func (f *Folder) place(file rebased.Source) {
	id, ok := place(file.Path)
	_, _, known := cutExtension(file.Path)
	switch {
	case !known:
		f.skip(file.Path, "its name does not end in a format that can be read")
	case isDocument(file.Path):
		f.documents = append(f.documents, file)
	case !ok:
		f.skip(file.Path, "is nested deeper than owner/name/config/split")
	default:
		file.DatasetID = id
		f.take(file)
	}
}

// take makes a source of a file whose place is known.
func (f *Folder) take(source rebased.Source) {
	if why := checkID(source.DatasetID); why != "" {
		f.skip(source.Path, why)
		return
	}
	f.Sources = append(f.Sources, source)
}

// placeDocuments makes sources of the documents that stand in a folder of documents; the folder of all is called name.
func (f *Folder) placeDocuments(name string) {
	var tables, documents []string
	for _, s := range f.Sources {
		tables = append(tables, s.Path)
	}
	for _, s := range f.documents {
		documents = append(documents, s.Path)
	}
	places := placeDocuments(name, tables, documents)
	for _, document := range f.documents {
		id, ok := places[document.Path]
		switch {
		case ok:
			document.DatasetID = id
			f.take(document)
		case isAboutFolder(document.Path):
			f.skip(document.Path, "is about the folder, no document of a dataset")
		default:
			f.skip(document.Path, "is a document beside files of records: keep documents in a folder of their own")
		}
	}
}

// openFunc opens a file of a folder by its path.
type openFunc func(path string) (*os.File, error)

// opener opens the folder's files, and nothing outside the folder but the file that the user named.
func (f *Folder) opener() (openFunc, func() error, error) {
	if f.file != "" {
		return func(string) (*os.File, error) { return os.Open(f.file) }, func() error { return nil }, nil
	}
	root, err := os.OpenRoot(f.Root)
	if err != nil {
		return nil, nil, err
	}
	return root.Open, root.Close, nil
}

func (f *Folder) skip(path, why string) { f.Skipped = append(f.Skipped, Skipped{Path: path, Why: why}) }

// readListing names and describes what was found; the folder of all is called name.
func (f *Folder) readListing(root *os.Root, name string) error {
	listing, err := root.Open(ListingName)
	if errors.Is(err, fs.ErrNotExist) {
		f.describe(name, nil)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", ListingName, cause(err))
	}
	defer listing.Close()
	f.describe(name, listing)
	return nil
}

// describe places the documents, lets a listing, which may be nil, name and describe what was found, and puts it in order.
func (f *Folder) describe(name string, listing io.Reader) {
	f.placeDocuments(name)
	if listing != nil {
		f.Malformed = applyListing(name, f.Sources, listing)
	}
	f.Sources = slices.DeleteFunc(f.Sources, func(s rebased.Source) bool {
		why := checkID(s.DatasetID)
		if why != "" {
			f.skip(s.Path, why)
		}
		return why != ""
	})
	slices.SortFunc(f.Sources, func(a, b rebased.Source) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortFunc(f.Skipped, func(a, b Skipped) int { return cmp.Compare(a.Path, b.Path) })
}
