package hubtest

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// large is from where on a file of any name is kept in the store of large files, in bytes.
const large = 10 << 20

// serveWrite answers what changes something: repositories, branches, tags, the three requests of a commit, and what the client of Python asks beside.
func (s *Server) serveWrite(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		fail(w, http.StatusBadRequest, "", "the body ended early")
		return
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	switch path {
	case "api/validate-yaml":
		reply(w, map[string]any{"errors": []string{}, "warnings": []string{}})
		return
	case "api/complete":
		s.complete(w, r, body)
		return
	}
	switch strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") {
	case s.Token:
	case "":
		fail(w, http.StatusUnauthorized, "", "Invalid username or password.")
		return
	case s.Reader:
		fail(w, http.StatusForbidden, "", "You don't have the rights to write here")
		return
	default:
		fail(w, http.StatusUnauthorized, "", "Invalid credentials in Authorization header")
		return
	}
	if path == "api/repos/create" {
		s.create(w, body)
		return
	}
	if id, ok := strings.CutSuffix(path, ".git/info/lfs/objects/batch"); ok {
		s.batch(w, id, body)
		return
	}
	if strings.HasSuffix(path, ".git/info/lfs/verify") {
		s.verify(w, body)
		return
	}
	repo, action, ok := s.find(w, r, strings.TrimPrefix(path, "api/"))
	if !ok {
		return
	}
	verb, revision, _ := strings.Cut(action, "/")
	revision, err = url.PathUnescape(revision)
	if err != nil {
		fail(w, http.StatusBadRequest, "", "bad path")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	repo = s.repos[repo.Kind+"s/"+repo.ID]
	switch verb {
	case "branch":
		s.branch(w, repo, revision, body)
	case "tag":
		s.tag(w, repo, revision, body)
	case "preupload":
		s.preupload(w, repo, revision, body)
	case "commit":
		s.commit(w, repo, revision, body)
	default:
		fail(w, http.StatusNotFound, "", "Sorry, we can't find the page you are looking for.")
	}
}

func (s *Server) create(w http.ResponseWriter, body []byte) {
	var asked struct {
		Name         string `json:"name"`
		Organization string `json:"organization"`
		Type         string `json:"type"`
		Private      bool   `json:"private"`
		Visibility   string `json:"visibility"`
	}
	if json.Unmarshal(body, &asked) != nil || asked.Name == "" {
		fail(w, http.StatusBadRequest, "", "a name is missing")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kind, id := "model", "someone/"+asked.Name
	if asked.Type != "" {
		kind = asked.Type
	}
	if asked.Organization != "" {
		id = asked.Organization + "/" + asked.Name
	}
	if _, there := s.repos[kind+"s/"+id]; there {
		fail(w, http.StatusConflict, "", "You already created this "+kind+" repo")
		return
	}
	s.repos[kind+"s/"+id] = Repo{
		Kind: kind, ID: id, Private: asked.Private || asked.Visibility == "private",
		Branches: map[string]map[string]string{"main": {".gitattributes": "*.parquet filter=lfs diff=lfs merge=lfs -text\n"}},
	}
	reply(w, map[string]string{"url": s.URL + "/" + kind + "s/" + id, "name": id})
}

func (s *Server) branch(w http.ResponseWriter, repo Repo, name string, body []byte) {
	var asked struct {
		Start string `json:"startingPoint"`
	}
	_ = json.Unmarshal(body, &asked)
	if asked.Start == "" {
		asked.Start = "main"
	}
	files, _, ok := repo.at(asked.Start)
	switch {
	case !ok:
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+asked.Start)
	case repo.Branches[name] != nil:
		fail(w, http.StatusConflict, "", "Reference already exists")
	default:
		repo.Branches[name] = maps.Clone(files)
		reply(w, map[string]bool{"success": true})
	}
}

func (s *Server) tag(w http.ResponseWriter, repo Repo, revision string, body []byte) {
	var asked struct {
		Tag string `json:"tag"`
	}
	files, _, ok := repo.at(revision)
	switch {
	case json.Unmarshal(body, &asked) != nil || asked.Tag == "":
		fail(w, http.StatusBadRequest, "", "a tag is missing")
	case !ok:
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
	case repo.Tags[asked.Tag] != nil:
		fail(w, http.StatusConflict, "", "Tag reference exists already")
	default:
		if repo.Tags == nil {
			repo.Tags = map[string]map[string]string{}
		}
		repo.Tags[asked.Tag] = maps.Clone(files)
		s.repos[repo.Kind+"s/"+repo.ID] = repo
		reply(w, map[string]bool{"success": true})
	}
}

func (s *Server) preupload(w http.ResponseWriter, repo Repo, revision string, body []byte) {
	var asked struct {
		Files []struct {
			Path   string `json:"path"`
			Size   int    `json:"size"`
			Sample []byte `json:"sample"`
		} `json:"files"`
	}
	there, _, ok := repo.at(revision)
	if !ok {
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return
	}
	if err := json.Unmarshal(body, &asked); err != nil || len(asked.Files) == 0 {
		fail(w, http.StatusBadRequest, "", "no files")
		return
	}
	files := []map[string]any{}
	for _, file := range asked.Files {
		if len(file.Sample) != min(file.Size, 512) {
			fail(w, http.StatusBadRequest, "", "a sample of 512 bytes is missing")
			return
		}
		mode := map[string]any{"path": file.Path, "uploadMode": "regular", "shouldIgnore": s.Ignore != "" && file.Path == s.Ignore}
		if inLFS(file.Path, file.Size) {
			mode["uploadMode"] = "lfs"
		}
		if body, ok := there[file.Path]; ok {
			mode["oid"] = blobOf(body)
			if inLFS(file.Path, len(body)) {
				mode["oid"] = sha256Hex(body)
			}
		}
		files = append(files, mode)
	}
	reply(w, map[string]any{"files": files})
}

// batch names the addresses of files that are not there yet.
func (s *Server) batch(w http.ResponseWriter, id string, body []byte) {
	var asked struct {
		Operation string   `json:"operation"`
		Transfers []string `json:"transfers"`
		HashAlgo  string   `json:"hash_algo"`
		Objects   []struct {
			OID  string `json:"oid"`
			Size int    `json:"size"`
		} `json:"objects"`
	}
	if json.Unmarshal(body, &asked) != nil || asked.Operation != "upload" || asked.HashAlgo != "sha256" {
		fail(w, http.StatusUnprocessableEntity, "", "no upload by sha256")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	objects := []map[string]any{}
	for _, o := range asked.Objects {
		object := map[string]any{"oid": o.OID, "size": o.Size}
		objects = append(objects, object)
		if _, there := s.objects[o.OID]; there {
			continue
		}
		const signed = "?X-Amz-Signature=secret"
		action := map[string]any{"href": s.Files + "/upload/" + o.OID + signed}
		if s.PartSize > 0 && o.Size > s.PartSize {
			header := map[string]string{"chunk_size": strconv.Itoa(s.PartSize)}
			for n := range (o.Size-1)/s.PartSize + 1 {
				header[fmt.Sprintf("%05d", n+1)] = fmt.Sprintf("%s/part/%s/%d%s", s.Files, o.OID, n+1, signed)
			}
			action = map[string]any{"href": s.URL + "/api/complete" + signed, "header": header}
		}
		object["actions"] = map[string]any{"upload": action, "verify": map[string]any{"href": s.URL + "/" + id + ".git/info/lfs/verify"}}
	}
	reply(w, map[string]any{"transfer": "basic", "objects": objects})
}

// servePut takes a file, or a part of one, at a signed address.
func (s *Server) servePut(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.URL.Query().Get("X-Amz-Signature") != "secret" || r.ContentLength < 0 { // S3 wants the length before
		w.WriteHeader(http.StatusForbidden)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	etag := `"` + sha256Hex(string(body))[:32] + `"`
	segments := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case segments[0] == "upload" && len(segments) == 2 && segments[1] == sha256Hex(string(body)):
		s.objects[segments[1]] = string(body)
	case segments[0] == "part" && len(segments) == 3 && len(body) <= s.PartSize:
		s.parts[segments[1]+"/"+segments[2]+"/"+etag] = string(body)
	default:
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("ETag", etag)
}

// complete makes a file of its parts.
func (s *Server) complete(w http.ResponseWriter, r *http.Request, body []byte) {
	var asked struct {
		OID   string `json:"oid"`
		Parts []struct {
			Number int    `json:"partNumber"`
			ETag   string `json:"etag"`
		} `json:"parts"`
	}
	if json.Unmarshal(body, &asked) != nil || r.URL.Query().Get("X-Amz-Signature") != "secret" {
		fail(w, http.StatusForbidden, "", "no signature")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var joined strings.Builder
	for i, part := range asked.Parts {
		bytes, ok := s.parts[fmt.Sprintf("%s/%d/%s", asked.OID, part.Number, part.ETag)]
		if !ok || part.Number != i+1 {
			fail(w, http.StatusBadRequest, "", "a part is missing")
			return
		}
		joined.WriteString(bytes)
	}
	whole := joined.String()
	if sha256Hex(whole) != asked.OID {
		fail(w, http.StatusBadRequest, "", "the parts are another file")
		return
	}
	s.objects[asked.OID] = whole
	reply(w, map[string]bool{"success": true})
}

func (s *Server) verify(w http.ResponseWriter, body []byte) {
	var asked struct {
		OID  string `json:"oid"`
		Size int    `json:"size"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if json.Unmarshal(body, &asked) != nil || s.objects[asked.OID] == "" || len(s.objects[asked.OID]) != asked.Size {
		fail(w, http.StatusNotFound, "", "the object is not there")
		return
	}
	reply(w, map[string]bool{"success": true})
}

// commit does the lines of a commit, all or none.
func (s *Server) commit(w http.ResponseWriter, repo Repo, branch string, body []byte) {
	there, ok := repo.Branches[branch]
	if !ok {
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+branch)
		return
	}
	files := maps.Clone(there)
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 64<<20)
	for first := true; lines.Scan(); first = false {
		var line struct {
			Key   string `json:"key"`
			Value struct {
				Summary  string `json:"summary"`
				Parent   string `json:"parentCommit"`
				Path     string `json:"path"`
				Content  string `json:"content"`
				Encoding string `json:"encoding"`
				Algo     string `json:"algo"`
				OID      string `json:"oid"`
			} `json:"value"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || first != (line.Key == "header") {
			fail(w, http.StatusBadRequest, "", "a line that is none")
			return
		}
		v := line.Value
		switch line.Key {
		case "header":
			if v.Parent != "" && v.Parent != repo.Commit(branch) {
				fail(w, http.StatusPreconditionFailed, "", "A commit has happened since. Please refresh and try again.")
				return
			}
			if v.Summary == "" {
				fail(w, http.StatusBadRequest, "", "a summary is missing")
				return
			}
		case "file":
			content, err := base64.StdEncoding.DecodeString(v.Content)
			if err != nil || v.Encoding != "base64" || inLFS(v.Path, len(content)) {
				fail(w, http.StatusBadRequest, "", "a file that cannot go with a commit: "+v.Path)
				return
			}
			files[v.Path] = string(content)
		case "lfsFile":
			content, ok := s.objects[v.OID]
			if !ok || v.Algo != "sha256" {
				fail(w, http.StatusBadRequest, "", "an object that was not uploaded: "+v.Path)
				return
			}
			files[v.Path] = content
		case "deletedFile":
			if _, ok := files[v.Path]; !ok {
				fail(w, http.StatusNotFound, "EntryNotFound", "A file with this name doesn't exist")
				return
			}
			delete(files, v.Path)
		}
	}
	repo.Branches[branch] = files
	sha := repo.Commit(branch)
	s.commits++
	reply(w, map[string]any{"success": true, "commitOid": sha, "commitUrl": s.URL + "/" + repo.Kind + "s/" + repo.ID + "/commit/" + sha})
}

// Contents gives what a branch or tag of a dataset holds.
func (s *Server) Contents(id, revision string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	files, _, _ := s.repos["datasets/"+id].at(revision)
	return maps.Clone(files)
}

// Commits counts the commits that were made.
func (s *Server) Commits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commits
}

// Private tells whether a dataset is.
func (s *Server) Private(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repos["datasets/"+id].Private
}

// Tag names what main holds now.
func (s *Server) Tag(id, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo := s.repos["datasets/"+id]
	repo.Tags[name] = maps.Clone(repo.Branches["main"])
}
