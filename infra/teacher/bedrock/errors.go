package bedrock

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/teacher/client"
)

// errMark says that a model refused a mark of the prompt cache.
var errMark = errors.New("the model refuses marks of the prompt cache")

func refusesMark(err error) bool { return errors.Is(err, errMark) }

// refusal makes an error of a reply that is no answer.
func (t *Teacher) refusal(op string, response *http.Response, body []byte, used secrets) error {
	name, said := exceptionOf(response.Header, body)
	kind, cause := classify(response.StatusCode, response.Header, name, said)
	if kind == rebased.Unauthorized {
		advice := "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, profile or role"
		if t.apiKey != "" {
			advice = "check AWS_BEARER_TOKEN_BEDROCK"
		}
		return rebased.E(kind, "the teacher at %s refused the credentials (HTTP %d): %s: %s", t.endpoint, response.StatusCode, advice, used.quote(said))
	}
	return client.Refusal{Op: op, Kind: kind, Cause: cause, Said: used.quote(said), Response: response, Now: t.now()}.Error()
}

// exceptionOf reads an exception's name and what it says. AWS puts the name into a header or the body, with a namespace before it ("…#") or an
// address after it (":…").
func exceptionOf(header http.Header, body []byte) (name, said string) {
	var in struct {
		Type    string `json:"__type"`
		Message string `json:"message"` // some services write Message, which is read too
	}
	if json.Unmarshal(body, &in) != nil {
		in.Message = ""
	}
	name = header.Get("X-Amzn-Errortype")
	if name == "" {
		name = in.Type
	}
	name, _, _ = strings.Cut(name, ":")
	return name[strings.LastIndex(name, "#")+1:], in.Message
}

func classify(status int, header http.Header, name, message string) (rebased.Kind, error) {
	said := strings.ToLower(message)
	kind := kindOf(status, header, name)
	switch {
	case kind != rebased.Invalid && kind != rebased.Unauthorized:
		return kind, nil
	case strings.Contains(said, "prompt caching"), strings.Contains(said, "cachepoint"):
		return rebased.Invalid, errMark
	case kind == rebased.Unauthorized:
		return kind, nil
	case status == http.StatusRequestEntityTooLarge, tooLong(said):
		return rebased.Rejected, llm.ErrTooLong
	case strings.Contains(said, "content filtering policy"):
		return rebased.Rejected, llm.ErrRefused
	}
	return rebased.Invalid, nil
}

// kindOf goes by the exception's name, and by the status of one that has none or another.
func kindOf(status int, header http.Header, name string) rebased.Kind {
	switch name {
	case "ThrottlingException", "ModelNotReadyException":
		return rebased.Throttled
	case "ServiceQuotaExceededException":
		return rebased.Exhausted
	case "ExpiredTokenException", "IncompleteSignature", "InvalidSignatureException", "MissingAuthenticationTokenException": // some with status 400
		return rebased.Unauthorized
	}
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && header.Get("Retry-After") != "":
		return rebased.Throttled
	case status == http.StatusUnauthorized, status == http.StatusForbidden: // AccessDeniedException, UnrecognizedClientException
		return rebased.Unauthorized
	case status == http.StatusNotFound: // ResourceNotFoundException
		return rebased.NotFound
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusFailedDependency, // Model{Timeout,Error}Exception
		status >= http.StatusInternalServerError, status < http.StatusBadRequest: // below 400: no error, and no answer
		return rebased.Unavailable
	}
	return rebased.Invalid
}

// tooLong knows what models say of a prompt over their context. They word it as they like; a maxTokens that is too large for a model is not meant.
func tooLong(said string) bool {
	for _, text := range []string{
		"input is too long", "prompt is too long", "too many input tokens", "number of input tokens exceeds", "exceed context limit",
		"maximum context length", "expected maxlength",
	} {
		if strings.Contains(said, text) {
			return true
		}
	}
	return strings.Contains(said, "exceeds the maximum") && (strings.Contains(said, "input") || strings.Contains(said, "prompt"))
}
