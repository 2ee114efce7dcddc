package hub

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/rebased/rebased"
)

// Info is what the hub says of a repository.
type Info struct {
	ID          string // as the hub spells it now: a repository may have been renamed
	Commit      string // that the revision stands for
	License     string // as its card says it; "" = unknown
	Description string // from its card; "" = none
	Private     bool
	Gated       bool // its files are for those who have accepted its terms: Access tells
}

type infoReply struct {
	ID          string          `json:"id"`
	SHA         string          `json:"sha"`
	Gated       json.RawMessage `json:"gated"` // false, "auto" or "manual"
	Private     bool            `json:"private"`
	Disabled    bool            `json:"disabled"`
	Description string          `json:"description"`
	CardData    struct {
		License     json.RawMessage `json:"license"` // a text or a list of them
		LicenseName string          `json:"license_name"`
	} `json:"cardData"`
}

var (
	commit     = regexp.MustCompile(`^[0-9a-f]{40}$`)
	repository = regexp.MustCompile(`^\w[\w.-]*(/\w[\w.-]*)?$`)
)

// Info asks what a repository is and which commit its revision stands for now. One that does not exist is NotFound, one that is gated or private
// without access Unauthorized or NotFound: the hub does not tell what is private.
func (h *Hub) Info(ctx context.Context, repo Repo) (Info, error) {
	var reply infoReply
	op := "ask the hub about " + repo.String()
	if _, err := h.ask(ctx, repo, op, h.api(repo, "/revision/"+url.PathEscape(repo.revision())), &reply); err != nil {
		return Info{}, err
	}
	switch {
	case reply.Disabled:
		return Info{}, &rebased.Error{Kind: rebased.Unauthorized, Op: op, Err: rebased.E(rebased.Unauthorized, "%s is disabled by the hub, see %s", repo, h.page(repo))}
	case !commit.MatchString(reply.SHA):
		return Info{}, rebased.E(rebased.Unavailable, "%s: the answer names no commit", op)
	case reply.ID != "" && !repository.MatchString(reply.ID):
		return Info{}, rebased.E(rebased.Unavailable, "%s: the answer names no repository", op)
	}
	return Info{
		ID: cmp.Or(reply.ID, repo.ID), Commit: reply.SHA, License: licenseOf(reply.CardData.License, reply.CardData.LicenseName),
		Description: describe(reply.Description), Private: reply.Private, Gated: len(reply.Gated) > 0 && string(reply.Gated) != "false" && string(reply.Gated) != "null",
	}, nil
}

// Access says whether the files of a repository can be read with the token: Unauthorized when it is gated and they cannot.
func (h *Hub) Access(ctx context.Context, repo Repo) error {
	return h.retry(ctx, func() error {
		within, cancel := context.WithTimeout(ctx, h.stall)
		defer cancel()
		response, err := h.get(within, repo, "ask the hub for access to "+repo.String(), h.api(repo, "/auth-check"), nil)
		if err == nil {
			err = response.Body.Close()
		}
		return err
	})
}

// File is one file of a repository at a commit.
type File struct {
	Path   string
	Size   int64  // bytes
	SHA256 string // hex; "" for small files that the hub keeps in git itself
	Blob   string // hex, git's SHA-1 of those
}

type treeEntry struct {
	Type string `json:"type"` // file or directory
	OID  string `json:"oid"`
	Size int64  `json:"size"`
	Path string `json:"path"`
	LFS  *struct {
		OID  string `json:"oid"`
		Size int64  `json:"size"`
	} `json:"lfs"`
}

const maxFiles = 200_000 // of one repository

// Files lists all files of a repository at a revision, in the order of the hub.
func (h *Hub) Files(ctx context.Context, repo Repo) ([]File, error) {
	op := "list the files of " + repo.String()
	var files []File
	for address := h.api(repo, "/tree/"+url.PathEscape(repo.revision())+"?recursive=true"); address != ""; {
		var page []treeEntry
		next, err := h.ask(ctx, repo, op, address, &page)
		if err != nil {
			return nil, err
		}
		for _, entry := range page {
			if file, ok := entry.file(); ok {
				files = append(files, file)
			}
		}
		if len(files) > maxFiles || next != "" && len(page) == 0 {
			return nil, rebased.E(rebased.Invalid, "%s: more than %d files, or pages without end", op, maxFiles)
		}
		address = next
	}
	return files, nil
}

func (e treeEntry) file() (File, bool) {
	file := File{Path: e.Path, Size: e.Size, Blob: e.OID}
	if e.LFS != nil {
		sum := strings.TrimPrefix(e.LFS.OID, "sha256:")
		if _, err := hex.DecodeString(sum); err != nil || len(sum) != 64 {
			return file, false
		}
		file.SHA256, file.Size = sum, e.LFS.Size
	}
	return file, e.Type == "file" && file.Size >= 0
}

// nextLink is the address in a Link header whose relation is next.
var nextLink = regexp.MustCompile(`<([^>]*)>\s*;\s*rel="?next"?`)

// nextPage is the page behind an answer, which must be of the endpoint itself.
func (h *Hub) nextPage(response *http.Response) (string, error) {
	found := nextLink.FindStringSubmatch(response.Header.Get("Link"))
	if found == nil {
		return "", nil
	}
	next, err := response.Request.URL.Parse(found[1])
	if err != nil || next.Scheme != h.endpoint.Scheme || next.Host != h.endpoint.Host {
		return "", rebased.E(rebased.Invalid, "the hub's next page is not at %s", h.endpoint.Host)
	}
	return next.String(), nil
}
