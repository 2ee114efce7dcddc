package sqs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/publish"
	"github.com/rebased/rebased/infra/porttest"
)

var keys = aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "hush-secret", SessionToken: "hush-token"}

func provider(context.Context) (aws.Credentials, error) { return keys, nil }

// server speaks SendMessage as the API reference describes it: JSON protocol 1.0, the operation in X-Amz-Target, errors as __type and message.
type server struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	answer   http.HandlerFunc // nil = the message is taken
	requests []message
	seen     map[string]string // message ids by deduplication id
}

func newServer(t *testing.T) *server {
	s := &server{t: t, seen: map[string]string{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var in message
	if err != nil || json.Unmarshal(body, &in) != nil || r.Method != http.MethodPost || r.URL.Path != "/" ||
		r.Header.Get("X-Amz-Target") != "AmazonSQS.SendMessage" || r.Header.Get("Content-Type") != "application/x-amz-json-1.0" {
		s.t.Errorf("%s %s %v: %s, %v", r.Method, r.URL, r.Header, body, err)
	}
	s.verify(r, body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, in)
	if s.answer != nil {
		answer := s.answer
		s.mu.Unlock()
		answer(w, r)
		s.mu.Lock()
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if strings.HasSuffix(in.QueueURL, ".fifo") != (in.GroupID != "" && in.DeduplicationID != "") {
		fail(w, http.StatusBadRequest, "MissingParameter", "The request must contain the parameter MessageGroupId.")
		return
	}
	id, again := s.seen[in.DeduplicationID]
	if !again || in.DeduplicationID == "" {
		id = fmt.Sprintf("m%d", len(s.requests))
		s.seen[in.DeduplicationID] = id
	}
	fmt.Fprintf(w, `{"MessageId": %q, "MD5OfMessageBody": "…"}`, id)
}

// verify signs the request again, with what the caller should have, and compares.
func (s *server) verify(r *http.Request, body []byte) {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		s.t.Error(err)
		return
	}
	again, err := http.NewRequest(r.Method, "http://"+r.Host+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return
	}
	for _, name := range []string{"Content-Type", "X-Amz-Target"} {
		again.Header.Set(name, r.Header.Get(name))
	}
	if err := v4.NewSigner().SignHTTP(r.Context(), keys, again, hash(body), "sqs", "eu-west-1", at); err != nil {
		s.t.Error(err)
	}
	if got, want := r.Header.Get("Authorization"), again.Header.Get("Authorization"); got != want {
		s.t.Errorf("signed as %s\nwant %s", got, want)
	}
}

func (s *server) answers(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *server) messages() (all [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.requests {
		all = append(all, []byte(m.Body))
	}
	return all
}

func fail(w http.ResponseWriter, status int, name, text string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"__type": "com.amazonaws.sqs#%s", "message": %q}`, name, text)
}

func fails(status int, name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fail(w, status, name, "no") }
}

func open(t *testing.T, endpoint string) *Publisher {
	t.Helper()
	p, err := New(Config{Region: "eu-west-1", Credentials: aws.CredentialsProviderFunc(provider), Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func to(queue string) rebased.Handoff { return rebased.Handoff{SQS: &rebased.SQSSpec{QueueURL: queue}} }

var released = publish.Message{Task: "squad", Version: "0123456789ab", IdempotencyKey: "handoff/squad/0123456789ab"}

func TestPublisherKeepsItsPromises(t *testing.T) {
	for _, queue := range []string{"/1/versions", "/1/versions.fifo"} {
		t.Run(queue, func(t *testing.T) {
			porttest.Publisher(t, func(t *testing.T) porttest.Receiver {
				s := newServer(t)
				return porttest.Receiver{
					Publisher: open(t, s.URL), To: to(s.URL + queue), Received: s.messages,
					Busy:    func() { s.answers(fails(http.StatusBadRequest, "RequestThrottled")) },
					Down:    func() { s.answers(fails(http.StatusServiceUnavailable, "ServiceUnavailable")) },
					Refuses: func() { s.answers(fails(http.StatusBadRequest, "QueueDoesNotExist")) },
					Hangs: func() <-chan struct{} {
						taken := make(chan struct{})
						s.answers(func(_ http.ResponseWriter, r *http.Request) {
							close(taken)
							<-r.Context().Done()
						})
						return taken
					},
				}
			})
		})
	}
}

func TestAFIFOQueueTakesAVersionOnceAndInOrderOfItsTask(t *testing.T) {
	s := newServer(t)
	p := open(t, s.URL)
	first, err := p.Publish(t.Context(), to(s.URL+"/1/versions.fifo"), released)
	if err != nil || first.ID != "m1" {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := p.Publish(t.Context(), to(s.URL+"/1/versions.fifo"), released); err != nil || again.ID != first.ID {
		t.Errorf("%+v, %v", again, err)
	}
	m := s.requests[0]
	if m.GroupID != "squad" || m.DeduplicationID != released.IdempotencyKey || m.Attributes["idempotency_key"] != (attribute{"String", released.IdempotencyKey}) || m.QueueURL != s.URL+"/1/versions.fifo" {
		t.Errorf("%+v", m)
	}
}

func TestSignedRequestsGoToSQSAndTheOperatorsOwnServerAlone(t *testing.T) {
	p := open(t, "http://localhost:9324")
	for queue, region := range map[string]string{
		"https://sqs.eu-central-1.amazonaws.com/1/q":               "eu-central-1",
		"https://sqs-fips.us-gov-west-1.amazonaws.com/1/q":         "us-gov-west-1",
		"https://sqs.cn-north-1.amazonaws.com.cn/1/q":              "cn-north-1",
		"https://sqs.eu-west-1.api.aws/1/q":                        "eu-west-1",
		"https://vpce-0a1-b2.sqs.us-east-2.vpce.amazonaws.com/1/q": "us-east-2",
		"https://eu-west-3.queue.amazonaws.com/1/q":                "eu-west-3",
		"https://queue.amazonaws.com/1/q":                          "us-east-1",
		"http://LOCALHOST:9324/1/q":                                "eu-west-1",
		"http://sqs.eu-central-1.amazonaws.com/1/q":                "",
		"https://sqs.eu-central-1.amazonaws.com:8443/1/q":          "",
		"https://sqs.eu-central-1.amazonaws.com.evil.test/1/q":     "",
		"https://evil.test/sqs.eu-central-1.amazonaws.com/q":       "",
		"https://sqs.evil.test?.amazonaws.com/1/q":                 "",
		"http://localhost:9325/1/q":                                "",
		"https://169.254.169.254/1/q":                              "",
	} {
		q, err := p.queue(to(queue))
		if (err == nil) != (region != "") || q.region != region {
			t.Errorf("%s: %+v, %v", queue, q, err)
		}
		if err != nil && rebased.KindOf(err) == rebased.Unauthorized && !strings.Contains(err.Error(), "AWS_ENDPOINT_URL_SQS") {
			t.Errorf("%s: %v", queue, err)
		}
	}
}

func TestErrorsOfSQSSayWhetherToComeAgainAndHoldNoSecret(t *testing.T) {
	s := newServer(t)
	p := open(t, s.URL)
	for _, c := range []struct {
		answer http.HandlerFunc
		kind   rebased.Kind
	}{
		{fails(400, "AccessDeniedException"), rebased.Unauthorized},
		{fails(403, "InvalidSecurity"), rebased.Unauthorized},
		{fails(400, "AWS.SimpleQueueService.NonExistentQueue"), rebased.NotFound},
		{fails(400, "InvalidMessageContents"), rebased.Invalid},
		{fails(403, "ExpiredToken"), rebased.Unavailable},
		{fails(403, "SomethingNew"), rebased.Unauthorized},
		{fails(429, "SomethingNew"), rebased.Throttled},
		{fails(500, "InternalFailure"), rebased.Unavailable},
		{func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }, rebased.Unavailable},
		{func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }, rebased.Unavailable},
		{func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `{"__type":"SignatureDoesNotMatch","message":"the canonical string should have been 'x-amz-security-token:%s'"}`, r.Header.Get("X-Amz-Security-Token"))
		}, rebased.Unauthorized},
		{func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.Header.Get("X-Amz-Security-Token"), http.StatusBadGateway)
		}, rebased.Unavailable},
		{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, rebased.Invalid},
	} {
		s.answers(c.answer)
		before := len(s.messages())
		_, err := p.Publish(t.Context(), to(s.URL+"/1/q"), released)
		if rebased.KindOf(err) != c.kind || strings.Contains(err.Error(), "hush") || len(s.messages()) != before+1 {
			t.Errorf("want %s: %v", c.kind, err)
		}
	}
	p.config.Credentials = nil
	if err := p.Check(t.Context(), to(s.URL+"/1/q")); rebased.KindOf(err) != rebased.Unauthorized || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("without credentials: %v", err)
	}
	if _, err := New(Config{Endpoint: "localhost"}); rebased.KindOf(err) != rebased.Invalid {
		t.Error(err)
	}
}
