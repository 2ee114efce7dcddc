package anthropic

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/teacher/client"
)

// Batches: requests go in with the call that makes the batch, which keeps no name: those that may be the one looked for are told by their size and,
// once they have ended, by their results.

const batchesPath = "v1/messages/batches"

// batchBody is what is read of a batch.
type batchBody struct {
	ID        string         `json:"id"`
	Status    string         `json:"processing_status"`
	CreatedAt time.Time      `json:"created_at"`
	Counts    map[string]int `json:"request_counts"` // their sum is the number of requests
}

// Submit implements llm.Batcher.
func (t *Teacher) Submit(ctx context.Context, _ string, requests []llm.Request) (string, error) {
	type entry struct {
		ID     string          `json:"custom_id"`
		Params json.RawMessage `json:"params"`
	}
	body := struct {
		Requests []entry `json:"requests"`
	}{make([]entry, len(requests))}
	for i, r := range requests {
		body.Requests[i] = entry{string(r.Key()), requestOf(r)}
	}
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		return "", err
	}
	var made batchBody
	err := t.call(ctx, http.MethodPost, batchesPath, &made, option.WithRequestBody("application/json", encoded.Bytes()))
	if err == nil && !client.ID(made.ID) {
		err = rebased.E(rebased.Unavailable, "ask the teacher at %s: it made a batch without a name", t.endpoint)
	}
	return made.ID, client.Unsure(err)
}

// call sends one request and reads its reply.
func (t *Teacher) call(ctx context.Context, method, path string, reply any, options ...option.RequestOption) error {
	var body []byte
	if err := t.sdk.Execute(ctx, method, path, nil, &body, options...); err != nil {
		return t.kindOf(ctx, err)
	}
	if err := json.Unmarshal(body, reply); err != nil {
		return rebased.E(rebased.Unavailable, "ask the teacher at %s: %s %s: the reply is no JSON", t.endpoint, method, path)
	}
	return nil
}

// requests is how many a batch holds.
func (b *batchBody) requests() (sum int) {
	for _, n := range b.Counts {
		sum += n
	}
	return sum
}

// Find implements llm.Batcher. Batches are listed newest first.
func (t *Teacher) Find(ctx context.Context, _ string, requests int, since time.Time) (found []llm.Found, err error) {
	const page = 100
	for after := ""; ; {
		var list struct {
			Data    *[]batchBody `json:"data"`
			HasMore bool         `json:"has_more"`
		}
		query := []option.RequestOption{option.WithQuery("limit", strconv.Itoa(page))}
		if after != "" {
			query = append(query, option.WithQuery("after_id", after))
		}
		if err := t.call(ctx, http.MethodGet, batchesPath, &list, query...); err != nil {
			return nil, err
		}
		if list.Data == nil {
			return nil, rebased.E(rebased.Unavailable, "ask the teacher at %s about batches: the reply is no list", t.endpoint)
		}
		for _, b := range *list.Data {
			switch {
			case b.CreatedAt.Before(since.Truncate(time.Second)):
				return found, nil
			case b.requests() != requests:
			case !client.ID(b.ID):
				return nil, rebased.E(rebased.Invalid, "the teacher at %s calls a batch %q, which cannot be asked for: build without transform.batch", t.endpoint, rebased.Quote(b.ID, t.key))
			default:
				found = append(found, llm.Found{ID: b.ID})
			}
		}
		if !list.HasMore || len(*list.Data) == 0 {
			return found, nil
		}
		next := (*list.Data)[len(*list.Data)-1].ID
		if next == "" || next == after {
			return nil, rebased.E(rebased.Unavailable, "ask the teacher at %s about batches: its list does not go on", t.endpoint)
		}
		after = next
	}
}

// Look implements llm.Batcher.
func (t *Teacher) Look(ctx context.Context, id string) (llm.BatchState, error) {
	var b batchBody
	if err := t.call(ctx, http.MethodGet, batchesPath+"/"+id, &b); err != nil {
		return llm.BatchState{}, err
	}
	switch b.Status {
	case "ended":
		return llm.BatchState{Ended: true}, nil
	case "in_progress", "canceling":
		return llm.BatchState{}, nil
	}
	return llm.BatchState{}, rebased.E(rebased.Unavailable, "ask the teacher at %s: a batch has the unknown status %q", t.endpoint, rebased.Quote(b.Status, t.key))
}

// Results implements llm.Batcher.
func (t *Teacher) Results(ctx context.Context, id string) iter.Seq2[llm.BatchResult, error] {
	return func(yield func(llm.BatchResult, error) bool) {
		var response *http.Response
		err := t.sdk.Execute(client.Large(ctx), http.MethodGet, batchesPath+"/"+id+"/results", nil, &response)
		if err != nil {
			yield(llm.BatchResult{}, t.kindOf(ctx, err))
			return
		}
		defer response.Body.Close()
		for line, err := range client.Lines(ctx, "read the results of the teacher at "+t.endpoint, response.Body, t.key) {
			if err != nil {
				yield(llm.BatchResult{}, err)
				return
			}
			if result, ok := t.result(line); ok && !yield(result, nil) {
				return
			}
		}
	}
}

// result reads a line of results.
func (t *Teacher) result(line []byte) (llm.BatchResult, bool) {
	var in struct {
		ID     string `json:"custom_id"`
		Result struct {
			Type    string          `json:"type"` // succeeded, errored, canceled, expired
			Message json.RawMessage `json:"message"`
			Error   json.RawMessage `json:"error"`
		} `json:"result"`
	}
	if json.Unmarshal(line, &in) != nil || in.ID == "" {
		return llm.BatchResult{}, false
	}
	out := llm.BatchResult{Key: llm.Key(in.ID)}
	if in.Result.Type != "succeeded" {
		out.Reason = rebased.Quote(in.Result.Type+" "+string(in.Result.Error), t.key)
		out.Refused = strings.Contains(string(in.Result.Error), "invalid_request_error")
		return out, true
	}
	answer, err := read(in.Result.Message)
	if err != nil {
		out.Reason, out.Unknown = err.Error(), true
		return out, true
	}
	answer.At = t.now().UnixMilli()
	out.Answer = &answer
	return out, true
}

// CancelBatch implements llm.Batcher.
func (t *Teacher) CancelBatch(ctx context.Context, id string) error {
	var canceled batchBody
	err := t.call(ctx, http.MethodPost, batchesPath+"/"+id+"/cancel", &canceled)
	if kind := rebased.KindOf(err); kind == rebased.Invalid || kind == rebased.Unavailable {
		if b, looked := t.Look(ctx, id); looked == nil && b.Ended { // there is nothing to cancel
			return nil
		}
	}
	return err
}
