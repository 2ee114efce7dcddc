package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
)

// converted is the branch of the Parquet files that the hub makes of every dataset that it can read.
const converted = "refs/convert/parquet"

// Origin reads datasets of the hub for an import: the files of refs/convert/parquet, and where there is no such branch, or a revision is asked for,
// the files of the repository itself. What was listed is pinned: every address names a commit.
type Origin struct{ Hub *Hub }

var _ ingest.Origin = Origin{}

// source is hf://owner/dataset[/config[/split]][@revision] taken apart.
type source struct {
	id, config, split, revision string
}

var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$`)

func parse(text string) (source, error) {
	rest, revision, pinned := strings.Cut(strings.TrimPrefix(text, "hf://"), "@")
	segments := strings.Split(strings.TrimPrefix(rest, "datasets/"), "/")
	for len(segments) > 1 && segments[len(segments)-1] == "" {
		segments = segments[:len(segments)-1]
	}
	if len(segments) < 2 || len(segments) > 4 || !name.MatchString(segments[0]) || !name.MatchString(segments[1]) || slices.Contains(segments, "") ||
		pinned && revision == "" {
		return source{}, rebased.E(rebased.Invalid, "must be hf://owner/dataset[/config[/split]][@revision]")
	}
	segments = append(segments, "", "")
	return source{id: segments[0] + "/" + segments[1], config: segments[2], split: segments[3], revision: revision}, nil
}

// List implements ingest.Origin.
func (o Origin) List(ctx context.Context, text string) (ingest.Listing, error) {
	asked, err := parse(text)
	if err != nil {
		return ingest.Listing{}, err
	}
	repo := Repo{Kind: Datasets, ID: asked.id}
	about, err := o.Hub.Info(ctx, repo)
	if err != nil {
		return ingest.Listing{}, err
	}
	repo.ID = about.ID
	if about.Gated {
		if err := o.Hub.Access(ctx, repo); err != nil {
			return ingest.Listing{}, err
		}
	}
	if repo.Revision, err = o.commit(ctx, repo, asked.revision, about); err != nil {
		return ingest.Listing{}, err
	}
	files, err := o.Hub.Files(ctx, repo)
	if err != nil {
		return ingest.Listing{}, err
	}
	found := arrange(repo, about, files)
	return found, choose(&found, asked)
}

// commit is what a source is read at: the revision that it names, else the newest conversion, else the main branch.
func (o Origin) commit(ctx context.Context, repo Repo, revision string, about Info) (string, error) {
	repo.Revision = revision
	if revision == "" {
		repo.Revision = converted
	}
	at, err := o.Hub.Info(ctx, repo)
	if revision == "" && rebased.KindOf(err) == rebased.NotFound {
		return about.Commit, nil
	}
	return at.Commit, err
}

// conversion is how the hub lays its conversions out: config/split/0000.parquet. The split is called partial-… when only its first part is there.
var conversion = regexp.MustCompile(`^([^/]+)/([^/]+)/\d{4,}\.parquet$`)

// arrange makes sources of the files that can be read. The files of a repository that is no conversion are placed as those of a folder are, a folder
// "data" at the top passed over.
func arrange(repo Repo, about Info, files []File) ingest.Listing {
	var found ingest.Listing
	var others []rebased.Source
	partial := map[rebased.DatasetID]bool{}
	for _, file := range files {
		source := rebased.Source{
			Path: path.Join(repo.ID, file.Path), SHA256: file.SHA256, Size: file.Size, Description: about.Description, License: about.License,
			Address: addressOf(repo, file), Revision: repo.Revision,
		}
		if file.SHA256 == "" {
			source.ETag = blobTag + file.Blob
		}
		place := conversion.FindStringSubmatch(file.Path)
		switch {
		case place != nil:
			split, part := strings.CutPrefix(place[2], "partial-")
			source.DatasetID = rebased.DatasetID{Name: repo.ID, Config: place[1], Split: split}
			if part && !partial[source.DatasetID] {
				partial[source.DatasetID] = true
				found.Skipped = append(found.Skipped, ingest.Skipped{
					Path: source.String(), Why: "the hub has converted its first part only: the rest is not imported",
				})
			}
			found.Sources = append(found.Sources, source)
		case !aboutItself(file.Path):
			source.Path = strings.TrimPrefix(file.Path, "data/")
			others = append(others, source)
		}
	}
	own := arrangeOwn(repo, others)
	found.Sources, found.Skipped = append(found.Sources, own.Sources...), append(found.Skipped, own.Skipped...)
	return found
}

// aboutItself says whether a file tells of the repository and is no data.
func aboutItself(file string) bool {
	base := strings.ToUpper(path.Base(file))
	return strings.HasPrefix(base, "README") || strings.HasPrefix(base, "LICENSE") || strings.HasPrefix(base, "NOTICE")
}

// arrangeOwn places the files of a repository that are no conversion. Files of no format of ours are what repositories are full of: they are not told.
func arrangeOwn(repo Repo, files []rebased.Source) ingest.Listing {
	const folder = "owner--name/"
	for i := range files {
		files[i].Path = folder + files[i].Path
	}
	own := ingest.Arrange("", files, nil)
	for i := range own.Sources {
		s := &own.Sources[i]
		s.Name, s.Path = repo.ID, path.Join(repo.ID, address.FindStringSubmatch(s.Address)[3])
	}
	slices.SortFunc(own.Sources, func(a, b rebased.Source) int { return cmp.Compare(a.Path, b.Path) })
	own.Skipped = slices.DeleteFunc(own.Skipped, func(s ingest.Skipped) bool { return !ingest.CanRead(s.Path) })
	for i := range own.Skipped {
		own.Skipped[i].Path = path.Join(repo.ID, strings.TrimPrefix(own.Skipped[i].Path, folder))
	}
	return own
}

// choose leaves the config and split that were asked for.
func choose(found *ingest.Listing, asked source) error {
	var there []string
	chosen := slices.DeleteFunc(slices.Clone(found.Sources), func(s rebased.Source) bool {
		if place := s.Config + "/" + s.Split; !slices.Contains(there, place) {
			there = append(there, place)
		}
		return asked.config != "" && s.Config != asked.config || asked.split != "" && s.Split != asked.split
	})
	if len(chosen) == 0 && len(there) > 0 {
		const shown = 10
		more := ""
		if len(there) > shown {
			there, more = there[:shown], ", …"
		}
		return rebased.E(rebased.NotFound, "the dataset has no such config or split; it has %s%s", strings.Join(there, ", "), more)
	}
	found.Sources = chosen
	return nil
}

// blobTag stands before git's name of a file that is no large one.
const blobTag = "git:"

// addressOf names a file at a commit, as the hub's own libraries write it.
func addressOf(repo Repo, file File) string {
	return fmt.Sprintf("hf://datasets/%s@%s/%s", repo.ID, repo.Revision, file.Path)
}

var address = regexp.MustCompile(`^hf://datasets/([^@]+)@([0-9a-f]{40})/(.+)$`)

// Open implements ingest.Origin.
func (o Origin) Open(ctx context.Context, file rebased.Source) (io.ReadCloser, error) {
	at := address.FindStringSubmatch(file.Address)
	if at == nil {
		return nil, &rebased.Error{Kind: rebased.Invalid, Op: "read " + file.Address, Err: errors.New("it is no file of the hub")}
	}
	return o.Hub.Open(ctx, Repo{Kind: Datasets, ID: at[1], Revision: at[2]},
		File{Path: at[3], Size: file.Size, SHA256: file.SHA256, Blob: strings.TrimPrefix(file.ETag, blobTag)})
}
