package bedrock_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/porttest"
	"github.com/rebased/rebased/infra/teacher/bedrock"
)

// ask gives a teacher's answer to a reply.
func ask(t *testing.T, reply porttest.Reply) (llm.Answer, error) {
	t.Helper()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range reply.Header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(reply.Status)
		_, _ = io.WriteString(w, reply.Body)
	})
	return open(t, bedrock.Config{BaseURL: url, Account: account("hush")}).Ask(t.Context(), llm.Request{Model: "m", Prompt: "p"})
}

func TestExceptionsHaveTheirKinds(t *testing.T) {
	for _, c := range []struct {
		reply porttest.Reply
		kind  rebased.Kind
		cause error
	}{
		{exception(424, "ModelErrorException", "Error during model inference"), rebased.Unavailable, nil}, // may be billed
		{exception(503, "ServiceUnavailableException", "Bedrock is unable to process your request."), rebased.Unavailable, llm.ErrNotBilled},
		{with(exception(503, "ServiceUnavailableException", ""), "Retry-After", "1"), rebased.Throttled, nil},
		{exception(403, "ExpiredTokenException", "The security token included in the request is expired"), rebased.Unauthorized, nil},
		{exception(400, "IncompleteSignature", "Authorization header requires 'Signature' parameter."), rebased.Unauthorized, nil},
		{porttest.Reply{Status: 400, Body: `{"__type": "com.amazon.bedrock#ServiceQuotaExceededException"}`}, rebased.Exhausted, nil},
		{porttest.Reply{Status: 403, Body: `{"Message": "Authentication failed: Please make sure your API Key is valid."}`}, rebased.Unauthorized, nil},
		{porttest.Reply{Status: 204}, rebased.Unavailable, nil},
		{
			exception(400, "ValidationException", "The model returned the following errors: prompt is too long: 200049 tokens > 200000 maximum"),
			rebased.Rejected, llm.ErrTooLong,
		},
		{exception(400, "ValidationException", "400 Bad Request: Too many input tokens. Max input tokens: 8192, request input token count: 9279"), rebased.Rejected, llm.ErrTooLong},
		{
			exception(400, "ValidationException", "Malformed input request: expected maxLength: 50000, actual: 52611, please reformat your input and try again."),
			rebased.Rejected, llm.ErrTooLong,
		},
		{exception(400, "ValidationException", "The input length exceeds the maximum of the model"), rebased.Rejected, llm.ErrTooLong},
		{exception(400, "ThrottlingException", "Rate exceeded"), rebased.Throttled, nil},
		{exception(400, "ValidationException", "temperature exceeds the maximum of 1"), rebased.Invalid, nil},
		{exception(400, "ValidationException", "The maximum tokens you requested exceeds the model limit of 4096."), rebased.Invalid, nil},
	} {
		_, err := ask(t, c.reply)
		if rebased.KindOf(err) != c.kind {
			t.Errorf("%v: %v has kind %q, want %q", c.reply, err, rebased.KindOf(err), c.kind)
		}
		for _, cause := range []error{llm.ErrTooLong, llm.ErrNotBilled} {
			if errors.Is(err, cause) != (c.cause == cause) { //nolint:errorlint // the case's own value
				t.Errorf("%v: is %q: %v", err, cause, errors.Is(err, cause))
			}
		}
	}
}

func TestStopReasonsHaveTheirFinish(t *testing.T) {
	for stop, want := range map[string]llm.Finish{
		"end_turn": llm.FinishStop, "content_filtered": llm.FinishRefused, "guardrail_intervened": llm.FinishRefused,
		"max_tokens": llm.FinishLength, "model_context_window_exceeded": llm.FinishLength,
	} {
		if answer, err := ask(t, message(plain, stop)); err != nil || answer.Finish != want {
			t.Errorf("%s: %q, %v", stop, answer.Finish, err)
		}
	}
}

func TestTokensThatTheCacheTookInAreInput(t *testing.T) {
	answer, err := ask(t, message(`"inputTokens": 4, "outputTokens": 3, "cacheWriteInputTokens": 8`, "end_turn"))
	if err != nil || answer.Usage.InputTokens != 12 || answer.Cached != (llm.Cached{Written: 8}) {
		t.Errorf("%+v, %v", answer, err)
	}
}

func TestTheSessionTokenIsNotSaidBack(t *testing.T) {
	_, err := ask(t, exception(403, "InvalidSignatureException", `The Canonical String should have been 'x-amz-security-token:`+session+`'`))
	if rebased.KindOf(err) != rebased.Unauthorized || strings.Contains(err.Error(), session) {
		t.Error(err)
	}
}
