package teacher

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// OpenAI's batches: a file of requests is uploaded, a batch made of it, and its results are files too.

// openAIBatch is a batch as it is shown.
type openAIBatch struct {
	ID         string            `json:"id"`
	Object     string            `json:"object"`
	Endpoint   string            `json:"endpoint"`
	Window     string            `json:"completion_window"`
	Status     string            `json:"status"`
	CreatedAt  int64             `json:"created_at"`
	OutputFile string            `json:"output_file_id,omitempty"`
	ErrorFile  string            `json:"error_file_id,omitempty"`
	Errors     *batchErrors      `json:"errors"`
	Counts     map[string]int    `json:"request_counts"`
	Metadata   map[string]string `json:"metadata"`
}

type batchErrors struct {
	Object string       `json:"object"`
	Data   []batchError `json:"data"`
}

type batchError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

const chatPath = "/v1/chat/completions"

func (s *Server) openAIBatches() {
	s.mux.HandleFunc("POST /v1/files", s.upload)
	s.mux.HandleFunc("GET /v1/files/{id}/content", s.content)
	s.mux.HandleFunc("POST /v1/batches", s.makeOpenAIBatch)
	s.mux.HandleFunc("GET /v1/batches", s.listOpenAIBatches)
	s.mux.HandleFunc("GET /v1/batches/{id}", s.withBatch(openAI(), isOpenAI, func(w http.ResponseWriter, b *batch) {
		writeJSON(w, http.StatusOK, showOpenAI(b))
	}))
	s.mux.HandleFunc("POST /v1/batches/{id}/cancel", s.withBatch(openAI(), isOpenAI, func(w http.ResponseWriter, b *batch) {
		b, ok := s.cancel(b.id)
		if !ok {
			openAI().refuse(w, refusal{http.StatusConflict, "invalid_request_error", "", "Cannot cancel a batch with status '" + showOpenAI(b).Status + "'."})
			return
		}
		writeJSON(w, http.StatusOK, showOpenAI(b))
	}))
}

func isOpenAI(b *batch) bool { return !b.messages }

// withBatch finds the batch that a path names.
func (s *Server) withBatch(d dialect, ours func(*batch) bool, do func(http.ResponseWriter, *batch)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b := s.look(r.PathValue("id"))
		if b == nil || !ours(b) {
			d.refuse(w, refusal{http.StatusNotFound, "invalid_request_error", "", "no batch " + strconv.Quote(r.PathValue("id"))})
			return
		}
		do(w, b)
	}
}

// upload takes a file of requests.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	const inMemory = 32 << 20
	r.Body = http.MaxBytesReader(w, r.Body, maxBatch)
	if err := r.ParseMultipartForm(inMemory); err != nil { //nolint:gosec // the body is bounded above
		openAI().refuse(w, *refuse("the upload is no form: " + err.Error()))
		return
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }()
	file, _, err := r.FormFile("file")
	if err != nil || r.FormValue("purpose") != "batch" {
		openAI().refuse(w, *refuse("purpose must be batch, and file a file of requests"))
		return
	}
	defer file.Close()
	body, err := io.ReadAll(file)
	if err != nil {
		openAI().refuse(w, *refuse("the file could not be read: " + err.Error()))
		return
	}
	sum := sha256.Sum256(body)
	id := "file-" + hex.EncodeToString(sum[:12])
	s.batches.mu.Lock()
	if s.batches.files == nil {
		s.batches.files = map[string][]byte{}
	}
	s.batches.files[id] = body
	s.batches.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"id": id, "object": "file", "bytes": len(body), "created_at": created, "filename": "requests.jsonl", "purpose": "batch"})
}

// makeOpenAIBatch makes a batch of an uploaded file. A file that is wrong shows in the batch, not here.
func (s *Server) makeOpenAIBatch(w http.ResponseWriter, r *http.Request) {
	var in struct {
		File     string            `json:"input_file_id"`
		Endpoint string            `json:"endpoint"`
		Window   string            `json:"completion_window"`
		Metadata map[string]string `json:"metadata"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&in); err != nil {
		openAI().refuse(w, *refuse("the request makes no batch: " + err.Error()))
		return
	}
	s.batches.mu.Lock()
	file, there := s.batches.files[in.File]
	s.batches.mu.Unlock()
	if !there || in.Endpoint != chatPath || in.Window != "24h" {
		openAI().refuse(w, *refuse("a batch needs an uploaded file, endpoint " + chatPath + " and completion_window 24h"))
		return
	}
	lines, wrong := readLines(file)
	b, cut := s.add(batch{dialect: openAI(), name: in.Metadata, lines: lines, failure: wrong})
	if cut {
		cutOff(w, nil)
		return
	}
	writeJSON(w, http.StatusOK, showOpenAI(b))
}

// readLines reads a file of requests, or says what is wrong with it.
func readLines(file []byte) (lines []batchLine, wrong string) {
	seen := map[string]bool{}
	scanner := bufio.NewScanner(bytes.NewReader(file))
	scanner.Buffer(nil, maxRequest)
	for scanner.Scan() {
		var in struct {
			ID     string          `json:"custom_id"`
			Method string          `json:"method"`
			URL    string          `json:"url"`
			Body   json.RawMessage `json:"body"`
		}
		switch err := json.Unmarshal(scanner.Bytes(), &in); {
		case err != nil || in.Method != http.MethodPost || in.URL != chatPath:
			return nil, "invalid_json_line"
		case in.ID == "" || seen[in.ID]:
			return nil, "duplicate_custom_id"
		}
		seen[in.ID] = true
		lines = append(lines, batchLine{in.ID, bytes.Clone(in.Body)})
	}
	if scanner.Err() != nil || len(lines) == 0 {
		return nil, "empty_file"
	}
	return lines, ""
}

func (s *Server) listOpenAIBatches(w http.ResponseWriter, r *http.Request) {
	page, more := s.newest(isOpenAI, r.URL.Query().Get("after"), limitOf(r))
	shown := make([]openAIBatch, len(page))
	for i, b := range page {
		shown[i] = showOpenAI(b)
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": shown, "has_more": more})
}

// limitOf is how many entries a list is asked for.
func limitOf(r *http.Request) int {
	const most, standard = 100, 20
	if n, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && n > 0 {
		return min(n, most)
	}
	return standard
}

func showOpenAI(b *batch) openAIBatch {
	counts := b.tally()
	out := openAIBatch{
		ID: b.id, Object: "batch", Endpoint: chatPath, Window: "24h", Status: "in_progress", CreatedAt: b.made.Unix(), Metadata: b.name,
		Counts: map[string]int{"total": len(b.lines), "completed": counts["answered"], "failed": counts["refused"] + counts["errored"]},
	}
	switch {
	case b.failure != "":
		out.Status = "failed"
		out.Errors = &batchErrors{"list", []batchError{{b.failure, "the batch failed: " + b.failure}}}
		return out
	case b.outcomes == nil:
		return out
	case b.canceled:
		out.Status = "cancelled"
	case counts["expired"] > 0:
		out.Status = "expired"
	default:
		out.Status = "completed"
	}
	if counts["answered"] > 0 {
		out.OutputFile = "output-" + b.id
	}
	if counts["answered"] < len(b.outcomes) {
		out.ErrorFile = "errors-" + b.id
	}
	return out
}

// content gives a file of results.
func (s *Server) content(w http.ResponseWriter, r *http.Request) {
	kind, id, _ := strings.Cut(r.PathValue("id"), "-")
	b := s.look(id)
	if b == nil || b.outcomes == nil || (kind != "output" && kind != "errors") {
		openAI().refuse(w, refusal{http.StatusNotFound, "invalid_request_error", "", "no file " + strconv.Quote(r.PathValue("id"))})
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	lines := json.NewEncoder(w)
	for i, o := range b.outcomes {
		if (o.status == "answered") != (kind == "output") || o.status == "canceled" {
			continue
		}
		if lines.Encode(resultLine(b.id, i, o)) != nil {
			return // the client left
		}
	}
}

func resultLine(batch string, i int, o outcome) map[string]any {
	line := map[string]any{"id": batch + "_" + strconv.Itoa(i), "custom_id": o.id, "response": nil, "error": nil}
	if o.status == "expired" {
		line["error"] = batchError{"batch_expired", "This request could not be executed before the completion window expired."}
		return line
	}
	status := http.StatusOK
	if o.refusal != nil {
		status = o.refusal.status
	}
	line["response"] = map[string]any{"status_code": status, "request_id": "req_" + strconv.Itoa(i), "body": o.body}
	return line
}
