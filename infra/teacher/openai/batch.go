package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/teacher/client"
)

// Batches: a file of requests is uploaded, a batch made of it, and the files that it ends in are read. A batch carries its name in its metadata, so
// that it can be found again.

const batchWindow = "24h" // the only one there is

// Keys of a batch's metadata.
const (
	nameKey  = "rebased_name"
	modelKey = "rebased_model"
)

// batchBody is what is read of a batch.
type batchBody struct {
	ID         string            `json:"id"`
	Status     string            `json:"status"`
	CreatedAt  int64             `json:"created_at"` // Unix seconds
	OutputFile string            `json:"output_file_id"`
	ErrorFile  string            `json:"error_file_id"`
	Metadata   map[string]string `json:"metadata"`
	Errors     struct {
		Data []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"data"`
	} `json:"errors"`
}

// requestLine is a line of the file of requests.
type requestLine struct {
	ID     string          `json:"custom_id"`
	Method string          `json:"method"`
	URL    string          `json:"url"`
	Body   json.RawMessage `json:"body"`
}

// Submit implements llm.Batcher.
func (t *Teacher) Submit(ctx context.Context, name string, requests []llm.Request) (string, error) {
	file, err := t.upload(ctx, requests)
	if err != nil {
		return "", client.NotBilled(err) // without a batch nothing is
	}
	body, err := json.Marshal(map[string]any{
		"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": batchWindow,
		"metadata": map[string]string{nameKey: name, modelKey: requests[0].Model},
	})
	if err != nil {
		return "", err
	}
	var made batchBody
	err = t.reply(ctx, &made, http.MethodPost, "batches", option.WithRequestBody("application/json", body))
	if err == nil && !client.ID(made.ID) {
		err = rebased.E(rebased.Unavailable, "ask the teacher at %s: it made a batch without a name", t.endpoint)
	}
	return made.ID, client.Unsure(err)
}

// upload stores a file of requests with the provider.
func (t *Teacher) upload(ctx context.Context, requests []llm.Request) (file string, err error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("purpose", "batch") // a buffer takes all
	part, _ := form.CreateFormFile("file", "requests.jsonl")
	lines := json.NewEncoder(part)
	lines.SetEscapeHTML(false)
	for _, r := range requests {
		schema := r.Schema != "" && t.schemas.wanted(r.Model)
		if err := lines.Encode(requestLine{string(r.Key()), http.MethodPost, "/v1/chat/completions", t.body(r, schema)}); err != nil {
			return "", err
		}
	}
	_ = form.Close()
	var made struct {
		ID string `json:"id"`
	}
	err = t.reply(ctx, &made, http.MethodPost, "files", option.WithRequestBody(form.FormDataContentType(), body.Bytes()))
	if err == nil && !client.ID(made.ID) {
		err = rebased.E(rebased.Unavailable, "ask the teacher at %s: it took a file and gave it no name", t.endpoint)
	}
	return made.ID, err
}

// reply sends a request and reads its reply.
func (t *Teacher) reply(ctx context.Context, into any, method, path string, options ...option.RequestOption) error {
	var body []byte
	if err := t.send(ctx, &body, method, path, options...); err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return rebased.E(rebased.Unavailable, "ask the teacher at %s about batches: the reply is no JSON", t.endpoint)
	}
	return nil
}

// send has the SDK send a request to another path than that of chat completions: its services for files and batches would add 0.3 MB of types that
// nobody reads. A request without a body is sent without.
func (t *Teacher) send(ctx context.Context, into any, method, path string, options ...option.RequestOption) error {
	elsewhere := func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
		r.Method, r.URL.Path = method, strings.TrimSuffix(r.URL.Path, "chat/completions")+path
		if method == http.MethodGet {
			r.Body, r.GetBody, r.ContentLength = nil, nil, 0
			r.Header.Del("Content-Type")
		}
		return next(r)
	}
	_, err := t.chat.New(ctx, sdk.ChatCompletionNewParams{}, append(options, option.WithMiddleware(elsewhere), option.WithResponseBodyInto(into))...)
	if err != nil {
		return t.kindOf(ctx, err)
	}
	return nil
}

// Find implements llm.Batcher. Batches are listed newest first.
func (t *Teacher) Find(ctx context.Context, name string, _ int, since time.Time) (found []llm.Found, err error) {
	const page = 100
	for after := ""; ; {
		var list struct {
			Data    *[]batchBody `json:"data"`
			HasMore bool         `json:"has_more"`
		}
		query := []option.RequestOption{option.WithQuery("limit", strconv.Itoa(page))}
		if after != "" {
			query = append(query, option.WithQuery("after", after))
		}
		if err := t.reply(ctx, &list, http.MethodGet, "batches", query...); err != nil {
			return nil, err
		}
		if list.Data == nil {
			return nil, rebased.E(rebased.Unavailable, "ask the teacher at %s about batches: the reply is no list", t.endpoint)
		}
		for _, b := range *list.Data {
			if time.Unix(b.CreatedAt, 0).Before(since.Truncate(time.Second)) {
				return found, nil
			}
			if b.Metadata[nameKey] == name {
				if !client.ID(b.ID) {
					return nil, rebased.E(rebased.Invalid, "the teacher at %s calls a batch %q, which cannot be asked for: build without transform.batch", t.endpoint, rebased.Quote(b.ID, t.key))
				}
				found = append(found, llm.Found{ID: b.ID, Named: true})
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

func (t *Teacher) batch(ctx context.Context, id string) (b batchBody, err error) {
	if err = t.reply(ctx, &b, http.MethodGet, "batches/"+id); err == nil && b.ID != id {
		err = rebased.E(rebased.Unavailable, "ask the teacher at %s about a batch: the reply is about none", t.endpoint)
	}
	return b, err
}

// Look implements llm.Batcher.
func (t *Teacher) Look(ctx context.Context, id string) (llm.BatchState, error) {
	b, err := t.batch(ctx, id)
	if err != nil {
		return llm.BatchState{}, err
	}
	switch b.Status {
	case "completed", "expired", "cancelled":
		return llm.BatchState{Ended: true}, nil
	case "failed":
		state := llm.BatchState{Ended: true, Failure: "no reason given"}
		if len(b.Errors.Data) > 0 {
			first := b.Errors.Data[0]
			state.Failure, state.Full = rebased.Quote(first.Code+": "+first.Message, t.key), first.Code == "token_limit_exceeded"
		}
		return state, nil
	case "validating", "in_progress", "finalizing", "cancelling":
		return llm.BatchState{}, nil
	}
	return llm.BatchState{}, rebased.E(rebased.Unavailable, "ask the teacher at %s: a batch has the unknown status %q", t.endpoint, rebased.Quote(b.Status, t.key))
}

// Results implements llm.Batcher.
func (t *Teacher) Results(ctx context.Context, id string) iter.Seq2[llm.BatchResult, error] {
	return func(yield func(llm.BatchResult, error) bool) {
		b, err := t.batch(ctx, id)
		if err != nil {
			yield(llm.BatchResult{}, err)
			return
		}
		for _, file := range []string{b.OutputFile, b.ErrorFile} {
			if file != "" && !client.ID(file) {
				yield(llm.BatchResult{}, rebased.E(rebased.Invalid, "the teacher at %s calls a file %q, which cannot be asked for", t.endpoint, rebased.Quote(file, t.key)))
				return
			}
			if file != "" && !t.read(ctx, file, b.Metadata[modelKey], yield) {
				return
			}
		}
	}
}

// read yields the results that stand in a file; false = nobody wants more.
func (t *Teacher) read(ctx context.Context, file, model string, yield func(llm.BatchResult, error) bool) bool {
	var response *http.Response
	if err := t.send(client.Large(ctx), &response, http.MethodGet, "files/"+file+"/content"); err != nil {
		return yield(llm.BatchResult{}, err)
	}
	defer response.Body.Close()
	for line, err := range client.Lines(ctx, "read the results of the teacher at "+t.endpoint, response.Body, t.key) {
		if err != nil {
			return yield(llm.BatchResult{}, err)
		}
		if result, ok := t.result(line, model); ok && !yield(result, nil) {
			return false
		}
	}
	return true
}

// result reads a line of results.
func (t *Teacher) result(line []byte, model string) (llm.BatchResult, bool) {
	var in struct {
		ID       string `json:"custom_id"`
		Response *struct {
			Status int             `json:"status_code"`
			Body   json.RawMessage `json:"body"`
		} `json:"response"`
		Error *struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(line, &in) != nil || in.ID == "" {
		return llm.BatchResult{}, false
	}
	out := llm.BatchResult{Key: llm.Key(in.ID), Reason: "no reason given"}
	switch {
	case in.Response != nil && in.Response.Status == http.StatusOK:
		answer, err := read(in.Response.Body)
		if err != nil {
			out.Reason, out.Unknown = err.Error(), true
			break
		}
		answer.At = t.now().UnixMilli()
		out.Answer, out.Reason = &answer, ""
	case in.Response != nil:
		said := string(in.Response.Body)
		if in.Response.Status == http.StatusBadRequest && namesSchema(said) {
			t.schemas.refuse(model)
		}
		status := in.Response.Status
		out.Refused = status >= http.StatusBadRequest && status < http.StatusInternalServerError && status != http.StatusTooManyRequests
		out.Reason = rebased.Quote("HTTP "+strconv.Itoa(in.Response.Status)+": "+said, t.key)
	case in.Error != nil:
		out.Reason = rebased.Quote(in.Error.Code+": "+in.Error.Message, t.key)
	}
	return out, true
}

// CancelBatch implements llm.Batcher.
func (t *Teacher) CancelBatch(ctx context.Context, id string) error {
	var canceled batchBody
	err := t.reply(ctx, &canceled, http.MethodPost, "batches/"+id+"/cancel")
	if kind := rebased.KindOf(err); kind == rebased.Invalid || kind == rebased.Unavailable {
		if b, looked := t.Look(ctx, id); looked == nil && b.Ended { // there is nothing to cancel
			return nil
		}
	}
	return err
}
