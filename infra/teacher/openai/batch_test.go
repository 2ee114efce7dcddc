package openai_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/porttest"
	"github.com/rebased/rebased/infra/teacher/openai"
)

// says is one exchange.
func says(request string, status int, body string) porttest.Exchange {
	return porttest.Exchange{Request: request, Reply: porttest.Reply{Status: status, Body: body}}
}

func TestBatchesKeepTheirPromises(t *testing.T) {
	first, second := porttest.BatchKeys()
	upload := says("POST /files", 200, `{"id":"file_1","object":"file","bytes":9,"filename":"requests.jsonl","purpose":"batch"}`)
	made := func(status int, body string) []porttest.Exchange {
		return []porttest.Exchange{upload, says("POST /batches", status, body)}
	}
	look := func(status int, body string) []porttest.Exchange {
		return []porttest.Exchange{says("GET /batches/batch_1", status, body)}
	}
	stands := func(status string) []porttest.Exchange {
		return look(200, `{"id":"batch_1","object":"batch","status":"`+status+`","created_at":1767323045,"errors":null}`)
	}
	throttled := made(429, `{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}`)
	throttled[1].Header = map[string]string{"Retry-After": "7"}
	const answered = `{"status_code":200,"request_id":"r","body":{"id":"c","object":"chat.completion","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"to p"},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}}`
	ended := look(200, `{"id":"batch_1","status":"completed","output_file_id":"file_2","error_file_id":"file_3","metadata":{"rebased_name":"name-1","rebased_model":"m"}}`)[0]
	missing := `{"error":{"message":"No batch found","type":"invalid_request_error","code":null}}`
	porttest.TeacherBatchWire(t, porttest.BatchWire{
		Named: true,
		Open: func(t *testing.T, url, key string, now time.Time) llm.Batcher {
			t.Helper()
			b, err := openai.New(openai.Config{BaseURL: url, APIKey: key, Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			return b
		},
		Says: map[string][]porttest.Exchange{
			"submit":                         made(200, `{"id":"batch_1","object":"batch","status":"validating"}`),
			"submit, throttled for 7 s":      throttled,
			"submit, key wrong":              {says("POST /files", 401, `{"error":{"message":"Incorrect API key provided: %KEY","code":"invalid_api_key"}}`)},
			"submit, quota spent":            made(429, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}`),
			"submit, bad request":            made(400, `{"error":{"message":"metadata is too long","type":"invalid_request_error","code":null}}`),
			"submit, no batches here":        {says("POST /files", 404, `{"detail":"Not Found"}`)},
			"submit, server fault":           made(500, `{"error":{"message":"oops","type":"server_error"}}`),
			"submit, a page":                 {upload, {Request: "POST /batches", Reply: porttest.Reply{Status: 200, Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>"}}},
			"submit, a batch without a name": made(200, `{"object":"batch"}`),
			"find, on the second page, none older than an hour": {
				says("GET /batches?limit=100", 200, `{"object":"list","data":[{"id":"batch_9","created_at":1767323040,"metadata":null},{"id":"batch_8","created_at":1767323030,"metadata":{"rebased_name":"name-2"}}],"has_more":true}`),
				says("GET /batches?after=batch_8&limit=100", 200, `{"object":"list","data":[{"id":"batch_1","created_at":1767323020,"metadata":{"rebased_name":"name-1"}},{"id":"batch_0","created_at":1767310000,"metadata":{"rebased_name":"name-1"}}],"has_more":true}`),
			},
			"find, no batches here":         {says("GET /batches?limit=100", 404, `{"detail":"Not Found"}`)},
			"find, a reply that is no list": {says("GET /batches?limit=100", 200, `{}`)},
			"find, a list that goes on with itself": {
				says("GET /batches?limit=100", 200, `{"data":[{"id":"batch_9","created_at":1767323040}],"has_more":true}`),
				says("GET /batches?after=batch_9&limit=100", 200, `{"data":[{"id":"batch_9","created_at":1767323040}],"has_more":true}`),
			},
			"find, a batch that cannot be asked for": {
				says("GET /batches?limit=100", 200, `{"data":[{"id":"a/b","created_at":1767323040,"metadata":{"rebased_name":"name-1"}}],"has_more":false}`),
			},
			"results, one that cannot be read": {
				says("GET /batches/batch_1", 200, `{"id":"batch_1","status":"completed","output_file_id":"file_2"}`),
				says("GET /files/file_2/content", 200, `{"custom_id":"`+first+`","response":{"status_code":200,"body":{"choices":[]}}}`),
			},
			"look, under way":            stands("in_progress"),
			"look, ended":                stands("completed"),
			"look, canceling":            stands("cancelling"),
			"look, canceled":             stands("cancelled"),
			"look, expired":              stands("expired"),
			"look, failed":               look(200, `{"id":"batch_1","status":"failed","errors":{"object":"list","data":[{"code":"invalid_json_line","message":"the file is wrong"}]}}`),
			"look, queue full":           look(200, `{"id":"batch_1","status":"failed","errors":{"data":[{"code":"token_limit_exceeded","message":"Enqueued token limit reached"}]}}`),
			"look, gone":                 look(404, missing),
			"look, a state nobody knows": stands("dreaming"),
			"results, one answered, one refused": {
				ended,
				says("GET /files/file_2/content", 200, `{"id":"b1","custom_id":"`+first+`","response":`+answered+`,"error":null}`+"\n\nno line\n"),
				says("GET /files/file_3/content", 200, `{"id":"b2","custom_id":"`+second+`","response":{"status_code":400,"body":{"error":{"message":"refused here %KEY"}}},"error":null}`+"\n"),
			},
			"results, one answered, one expired": {
				ended,
				says("GET /files/file_2/content", 200, `{"custom_id":"`+first+`","response":`+answered+`}`),
				says("GET /files/file_3/content", 200, `{"custom_id":"`+second+`","response":null,"error":{"code":"batch_expired","message":"This request could not be executed before the completion window expired."}}`),
			},
			"results, of none": stands("cancelled"),
			"results, gone":    {ended, says("GET /files/file_2/content", 404, missing), says("GET /files/file_3/content", 404, missing)},
			"cancel":           {says("POST /batches/batch_1/cancel", 200, `{"id":"batch_1","status":"cancelling"}`)},
			"cancel, of one that has ended": {
				says("POST /batches/batch_1/cancel", 409, `{"error":{"message":"Cannot cancel a batch with status 'completed'."}}`), stands("completed")[0],
			},
		},
	})
}

func TestABatchLearnsFromItsResultsThatAModelTakesNoSchema(t *testing.T) {
	withSchema := llm.Request{Model: "m", Prompt: "p", MaxTokens: 9, Schema: `{"type":"object"}`}
	file := ""
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/files":
			body, _ := io.ReadAll(r.Body)
			file = string(body)
			reply(w, 200, `{"id":"file_1"}`)
		case "/batches":
			reply(w, 200, `{"id":"batch_1"}`)
		case "/batches/batch_1":
			reply(w, 200, `{"id":"batch_1","status":"completed","error_file_id":"file_2","metadata":{"rebased_model":"m"}}`)
		default:
			reply(w, 200, `{"custom_id":"`+string(withSchema.Key())+`","response":{"status_code":400,"body":{"error":{"message":"response_format json_schema is not supported"}}}}`)
		}
	})
	b, err := openai.New(openai.Config{BaseURL: server})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		id, err := b.Submit(t.Context(), "n", []llm.Request{withSchema})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(file, "json_schema"); got != want {
			t.Errorf("the batch carries a schema: %v, want %v", got, want)
		}
		for _, err := range b.Results(t.Context(), id) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAnUploadThatFailsHasMadeNoBatch(t *testing.T) {
	teacher := open(t, openai.Config{BaseURL: serve(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, 502, `{}`) })})
	_, err := teacher.Submit(t.Context(), "n", []llm.Request{{Model: "m", Prompt: "p"}})
	if rebased.KindOf(err) != rebased.Unavailable || !errors.Is(err, llm.ErrNotBilled) {
		t.Errorf("error is %v", err)
	}
}
