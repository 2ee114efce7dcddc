package hub

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rebased/rebased"
)

// refusal gives an answer that is none its kind, from the status and what the hub says in X-Error-Code, and says what to do.
func (h *Hub) refusal(repo Repo, op string, response *http.Response) error {
	said := h.quote(response.Header.Get("X-Error-Message"))
	kind, text := rebased.Invalid, "HTTP "+strconv.Itoa(response.StatusCode)
	elsewhere := response.Request.URL.Host != h.endpoint.Host // signed addresses of files run out, and are made anew for each request
	switch status := response.StatusCode; {
	case elsewhere && status < 500 && status != http.StatusTooManyRequests:
		kind = rebased.Unavailable
	case response.Header.Get("X-Error-Code") == "GatedRepo":
		kind, text = rebased.Unauthorized, h.gated(repo)
	case strings.Contains(said, "is disabled"):
		kind, text = rebased.Unauthorized, fmt.Sprintf("%s is disabled by the hub, see %s", repo, h.page(repo))
	case response.Header.Get("X-Error-Code") == "RevisionNotFound":
		kind, text = rebased.NotFound, fmt.Sprintf("%s has no revision %q", repo, repo.revision())
	case response.Header.Get("X-Error-Code") == "EntryNotFound":
		kind, text = rebased.NotFound, fmt.Sprintf("%s has no such file at revision %q", repo, repo.revision())
	case status == http.StatusUnauthorized && h.token != "" && response.Header.Get("X-Error-Code") != "RepoNotFound":
		kind, text = rebased.Unauthorized, "the hub does not accept the token: set HF_TOKEN"+h.holder+" to a valid one"
	case status == http.StatusUnauthorized, status == http.StatusNotFound:
		// Without a valid token the hub answers 401 for what does not exist, as for what is private.
		kind, text = rebased.NotFound, fmt.Sprintf("%s does not exist at %s, or is private: correct the name, or set HF_TOKEN%s to a token that may read it",
			repo, h.endpoint.Host, h.holder)
	case status == http.StatusForbidden:
		kind, text = rebased.Unauthorized, fmt.Sprintf("the token may not read %s: set HF_TOKEN%s to one that may, see %s", repo, h.holder, h.page(repo))
	case status == http.StatusTooManyRequests:
		kind, text = rebased.Throttled, "the hub asks to send fewer requests"
	case status == http.StatusRequestTimeout, status == http.StatusRequestedRangeNotSatisfiable, status >= 500, status < 300:
		kind = rebased.Unavailable
	}
	if said != "" && kind != rebased.NotFound && kind != rebased.Unauthorized {
		text += ": " + said
	}
	return &rebased.Error{Kind: kind, Op: op, RetryAfter: retryAfter(response.Header, time.Now()), Err: errors.New(text)}
}

func (h *Hub) gated(repo Repo) string {
	if h.token == "" {
		return fmt.Sprintf("%s is gated: accept its terms at %s and set HF_TOKEN%s to a token of that account", repo, h.page(repo), h.holder)
	}
	return fmt.Sprintf("%s is gated and the account of HF_TOKEN has no access: accept its terms at %s", repo, h.page(repo))
}

// rateLimit is the IETF draft's header, which the hub sends: "api";r=0;t=55 says that no request is left for 55 seconds.
var rateLimit = regexp.MustCompile(`;\s*r=0\s*;\s*t=(\d+)`)

// maxRetryAfter bounds a wait that a server asks for.
const maxRetryAfter = time.Hour

// retryAfter reads how long the server asks to wait: seconds, an HTTP date, or what its rate limit says. 0 when it says nothing.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if value == "" {
		if m := rateLimit.FindStringSubmatch(header.Get("Ratelimit")); m != nil {
			value = m[1]
		}
	}
	return rebased.ParseRetryAfter(value, now, maxRetryAfter)
}

// quote repeats what a server said, without the token.
func (h *Hub) quote(said string) string { return rebased.Quote(said, h.token) }

// cause takes the address off an error of net/http: signed addresses of files are secrets for as long as they are good.
func cause(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	}
	return err
}
