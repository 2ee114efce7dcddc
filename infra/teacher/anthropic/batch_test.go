package anthropic_test

import (
	"testing"
	"time"

	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/porttest"
	"github.com/rebased/rebased/infra/teacher/anthropic"
)

func TestBatchesKeepTheirPromises(t *testing.T) {
	first, second := porttest.BatchKeys()
	says := func(request string, status int, body string) porttest.Exchange {
		return porttest.Exchange{Request: request, Reply: porttest.Reply{Status: status, Body: body}}
	}
	made := func(status int, body string) []porttest.Exchange {
		return []porttest.Exchange{says("POST /v1/messages/batches", status, body)}
	}
	look := func(status int, body string) []porttest.Exchange {
		return []porttest.Exchange{says("GET /v1/messages/batches/batch_1", status, body)}
	}
	stands := func(status string) []porttest.Exchange {
		return look(200, `{"id":"batch_1","type":"message_batch","processing_status":"`+status+`","created_at":"2026-01-02T03:00:00Z"}`)
	}
	results := func(status int, body string) []porttest.Exchange {
		return []porttest.Exchange{says("GET /v1/messages/batches/batch_1/results", status, body)}
	}
	fault := func(kind, message string) string {
		return `{"type":"error","error":{"type":"` + kind + `","message":"` + message + `"}}`
	}
	throttled := made(429, fault("rate_limit_error", "slow down"))
	throttled[0].Header = map[string]string{"Retry-After": "7"}
	page := made(200, "<html>")
	page[0].Header = map[string]string{"Content-Type": "text/html"}
	answered := `{"custom_id":"` + first + `","result":{"type":"succeeded","message":{"id":"m","type":"message","role":"assistant","model":"m-1","content":[{"type":"text","text":"to p"}],"stop_reason":"end_turn","usage":{"input_tokens":12,"output_tokens":3}}}}` + "\n"
	batch := func(id, created string, counts string) string {
		return `{"id":"` + id + `","created_at":"` + created + `","request_counts":{` + counts + `}}`
	}
	porttest.TeacherBatchWire(t, porttest.BatchWire{
		Open: func(t *testing.T, url, key string, now time.Time) llm.Batcher {
			t.Helper()
			b, err := anthropic.New(anthropic.Config{BaseURL: url, APIKey: key, Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			return b
		},
		Lacks: []string{"look, canceled", "look, expired", "look, failed", "look, queue full"}, // a batch ends, whatever became of its requests
		Says: map[string][]porttest.Exchange{
			"submit":                         made(200, `{"id":"batch_1","type":"message_batch","processing_status":"in_progress"}`),
			"submit, throttled for 7 s":      throttled,
			"submit, key wrong":              made(401, fault("authentication_error", "invalid x-api-key %KEY")),
			"submit, quota spent":            made(400, fault("invalid_request_error", "Your credit balance is too low to access the Anthropic API.")),
			"submit, bad request":            made(400, fault("invalid_request_error", "requests: too many")),
			"submit, no batches here":        made(404, fault("not_found_error", "Not Found")),
			"submit, server fault":           made(500, fault("api_error", "Internal server error")),
			"submit, a page":                 page,
			"submit, a batch without a name": made(200, `{"type":"message_batch"}`),
			"find, on the second page, none older than an hour": {
				says("GET /v1/messages/batches?limit=100", 200, `{"data":[`+batch("batch_9", "2026-01-02T03:04:00Z", `"processing":1`)+`,`+
					batch("batch_8", "2026-01-02T03:03:00Z", `"processing":3`)+`],"has_more":true,"first_id":"batch_9","last_id":"batch_8"}`),
				says("GET /v1/messages/batches?after_id=batch_8&limit=100", 200, `{"data":[`+batch("batch_1", "2026-01-02T03:02:00Z", `"processing":0,"succeeded":1,"errored":1`)+`,`+
					batch("batch_0", "2026-01-02T01:00:00Z", `"processing":2`)+`],"has_more":true}`),
			},
			"find, no batches here":         {says("GET /v1/messages/batches?limit=100", 404, fault("not_found_error", "Not Found"))},
			"find, a reply that is no list": {says("GET /v1/messages/batches?limit=100", 200, `{}`)},
			"find, a list that goes on with itself": {
				says("GET /v1/messages/batches?limit=100", 200, `{"data":[`+batch("batch_9", "2026-01-02T03:04:00Z", `"processing":1`)+`],"has_more":true}`),
				says("GET /v1/messages/batches?after_id=batch_9&limit=100", 200, `{"data":[`+batch("batch_9", "2026-01-02T03:04:00Z", `"processing":1`)+`],"has_more":true}`),
			},
			"find, a batch that cannot be asked for": {
				says("GET /v1/messages/batches?limit=100", 200, `{"data":[`+batch("a/b", "2026-01-02T03:04:00Z", `"processing":2`)+`],"has_more":false}`),
			},
			"results, one that cannot be read":   results(200, `{"custom_id":"`+first+`","result":{"type":"succeeded","message":{"type":"odd"}}}`),
			"look, under way":                    stands("in_progress"),
			"look, ended":                        stands("ended"),
			"look, canceling":                    stands("canceling"),
			"look, gone":                         look(404, fault("not_found_error", "No such batch")),
			"look, a state nobody knows":         stands("dreaming"),
			"results, one answered, one refused": results(200, answered+"\nno line\n"+`{"custom_id":"`+second+`","result":{"type":"errored","error":`+fault("invalid_request_error", "refused here %KEY")+`}}`),
			"results, one answered, one expired": results(200, answered+`{"custom_id":"`+second+`","result":{"type":"expired"}}`),
			"results, of none":                   results(200, ""),
			"results, gone":                      results(404, fault("not_found_error", "archived")),
			"cancel":                             {says("POST /v1/messages/batches/batch_1/cancel", 200, `{"id":"batch_1","processing_status":"canceling"}`)},
			"cancel, of one that has ended": {
				says("POST /v1/messages/batches/batch_1/cancel", 400, fault("invalid_request_error", "Batch batch_1 cannot be canceled")), stands("ended")[0],
			},
		},
	})
}
