package app

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/starter/console"
)

// gathered is what an import is made of.
type gathered struct {
	folders []ingest.Folder
	listed  []string // of each folder the line of the list that names it; "" = the command line does
	remotes []activities.Remote
}

// gather finds the files of the sources on this machine and names the others. What a list names and cannot be read is told with the result of the
// import; what the command line names is refused.
func (a *app) gather(in importing) (gathered, error) {
	var found gathered
	for _, source := range in.sources {
		if err := a.gatherOne(&found, source, source, ""); err != nil {
			return found, err
		}
	}
	for _, list := range in.lists {
		lines, err := readList(list)
		if err != nil {
			return found, err
		}
		for _, line := range lines {
			path := line
			if ingest.Scheme(line) == "" && !filepath.IsAbs(line) {
				path = filepath.Join(filepath.Dir(list), line)
			}
			if err := a.gatherOne(&found, line, path, line); err != nil {
				found.remotes = append(found.remotes, activities.Remote{Source: line, Error: err.Error()})
			}
		}
	}
	return found, nil
}

func (a *app) gatherOne(found *gathered, source, path, line string) error {
	switch scheme := ingest.Scheme(source); scheme {
	case "hf", "s3":
		found.remotes = append(found.remotes, activities.Remote{Source: source})
		return nil
	case "":
	default:
		return rebased.E(rebased.Invalid, "import %s: %s:// is no source: give a folder, a file, s3://… or hf://…", source, scheme)
	}
	folder, err := a.discover(path)
	if err != nil {
		return err
	}
	for i := range folder.Sources {
		folder.Sources[i].Origin = line
	}
	found.folders, found.listed = append(found.folders, folder), append(found.listed, line)
	return nil
}

const maxList = 16 << 20 // bytes of a list

// readList reads the sources of a list, each once.
func readList(path string) (sources []string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "--list: %w", err)
	}
	defer file.Close()
	body, err := io.ReadAll(io.LimitReader(file, maxList+1))
	if err != nil || len(body) > maxList {
		return nil, rebased.E(rebased.Invalid, "--list %s: cannot be read, or has more than %d bytes", path, maxList)
	}
	for line := range strings.Lines(strings.TrimPrefix(string(body), "\ufeff")) {
		if comment := strings.Index(" "+line, " #"); comment >= 0 {
			line = line[:comment]
		}
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(sources, line) {
			sources = append(sources, line)
		}
	}
	if len(sources) == 0 {
		return nil, rebased.E(rebased.Invalid, "--list %s: names no source", path)
	}
	return sources, nil
}

// discover finds the files under a path and tells what is not imported.
func (a *app) discover(path string) (ingest.Folder, error) {
	folder, err := ingest.Discover(path)
	if err != nil {
		return folder, err
	}
	for i, m := range folder.Malformed {
		if i == shownBad {
			a.console.Notef("%s: %s more lines are malformed", path, console.Thousands(len(folder.Malformed)-i))
			break
		}
		a.console.Notef("%s:%d: %s", m.Path, m.Line, m.Error)
	}
	for i, s := range folder.Skipped {
		if i == shownBad {
			a.console.Notef("%s: %s more files are skipped", path, console.Thousands(len(folder.Skipped)-i))
			break
		}
		a.console.Notef("skipped %s: %s", s.Path, s.Why)
	}
	return folder, nil
}
