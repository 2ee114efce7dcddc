package teacher

import (
	"encoding/json"
	"net/http"
	"regexp"
	"time"
)

// Anthropic's batches: requests go in with the call that makes the batch, and there is no name to find it by.

// messageBatch is a batch as it is shown.
type messageBatch struct {
	ID         string         `json:"id"`
	Type       string         `json:"type"`
	Status     string         `json:"processing_status"`
	Counts     map[string]int `json:"request_counts"`
	CreatedAt  string         `json:"created_at"`
	ExpiresAt  string         `json:"expires_at"`
	EndedAt    *string        `json:"ended_at"`
	ResultsURL *string        `json:"results_url"`
}

const messageBatches = "/v1/messages/batches"

func (s *Server) anthropicBatches() {
	s.mux.HandleFunc("POST "+messageBatches, s.makeMessageBatch)
	s.mux.HandleFunc("GET "+messageBatches, s.listMessageBatches)
	s.mux.HandleFunc("GET "+messageBatches+"/{id}", s.withBatch(anthropic(), isAnthropic, func(w http.ResponseWriter, b *batch) {
		writeJSON(w, http.StatusOK, showMessages(b))
	}))
	s.mux.HandleFunc("POST "+messageBatches+"/{id}/cancel", s.withBatch(anthropic(), isAnthropic, func(w http.ResponseWriter, b *batch) {
		b, ok := s.cancel(b.id)
		if !ok {
			anthropic().refuse(w, *refuse("Batch " + b.id + " cannot be canceled: it has ended"))
			return
		}
		writeJSON(w, http.StatusOK, showMessages(b))
	}))
	s.mux.HandleFunc("GET "+messageBatches+"/{id}/results", s.withBatch(anthropic(), isAnthropic, messageResults))
}

func isAnthropic(b *batch) bool { return b.messages }

var customID = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func (s *Server) makeMessageBatch(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Requests []struct {
			ID     string          `json:"custom_id"`
			Params json.RawMessage `json:"params"`
		} `json:"requests"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBatch)).Decode(&in); err != nil || len(in.Requests) == 0 {
		anthropic().refuse(w, *refuse("the request makes no batch: it needs requests"))
		return
	}
	seen := map[string]bool{}
	lines := make([]batchLine, len(in.Requests))
	for i, q := range in.Requests {
		if !customID.MatchString(q.ID) || seen[q.ID] {
			anthropic().refuse(w, *refuse("requests: custom_id must be 1 to 64 of a-z, A-Z, 0-9, _ and -, and no other's"))
			return
		}
		seen[q.ID] = true
		lines[i] = batchLine{q.ID, q.Params}
	}
	b, cut := s.add(batch{dialect: anthropic(), messages: true, lines: lines})
	if cut {
		cutOff(w, nil)
		return
	}
	writeJSON(w, http.StatusOK, showMessages(b))
}

func (s *Server) listMessageBatches(w http.ResponseWriter, r *http.Request) {
	page, more := s.newest(isAnthropic, r.URL.Query().Get("after_id"), limitOf(r))
	out := struct {
		Data    []messageBatch `json:"data"`
		HasMore bool           `json:"has_more"`
		FirstID *string        `json:"first_id"`
		LastID  *string        `json:"last_id"`
	}{Data: make([]messageBatch, len(page)), HasMore: more}
	for i, b := range page {
		out.Data[i] = showMessages(b)
	}
	if n := len(page); n > 0 {
		out.FirstID, out.LastID = &page[0].id, &page[n-1].id
	}
	writeJSON(w, http.StatusOK, out)
}

func showMessages(b *batch) messageBatch {
	counts := b.tally()
	const day = 24 * time.Hour
	out := messageBatch{
		ID: b.id, Type: "message_batch", Status: "in_progress", CreatedAt: b.made.UTC().Format(time.RFC3339), ExpiresAt: b.made.Add(day).UTC().Format(time.RFC3339),
		Counts: map[string]int{
			"processing": counts["processing"], "succeeded": counts["answered"], "errored": counts["refused"] + counts["errored"],
			"canceled": counts["canceled"], "expired": counts["expired"],
		},
	}
	if b.outcomes == nil {
		return out
	}
	if b.failure != "" { // there is no failure of the whole here: each request has failed
		out.Counts["errored"] = len(b.lines)
	}
	ended, results := b.made.Add(b.takes).UTC().Format(time.RFC3339), messageBatches+"/"+b.id+"/results"
	out.Status, out.EndedAt, out.ResultsURL = "ended", &ended, &results
	return out
}

func messageResults(w http.ResponseWriter, b *batch) {
	if b.outcomes == nil {
		anthropic().refuse(w, *refuse("the batch has not ended"))
		return
	}
	w.Header().Set("Content-Type", "application/x-jsonl")
	lines := json.NewEncoder(w)
	write := func(id string, result any) bool {
		return lines.Encode(map[string]any{"custom_id": id, "result": result}) == nil
	}
	for _, o := range b.outcomes {
		var result any
		switch o.status {
		case "answered":
			result = map[string]any{"type": "succeeded", "message": o.body}
		case "refused", "errored":
			result = map[string]any{"type": "errored", "error": o.body}
		default:
			result = map[string]any{"type": o.status}
		}
		if !write(o.id, result) {
			return // the client left
		}
	}
	if b.failure != "" {
		for _, l := range b.lines {
			if !write(l.id, map[string]any{"type": "errored", "error": anthropicProblem(refusal{status: http.StatusInternalServerError, message: b.failure})}) {
				return
			}
		}
	}
}
