package webhook

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/publish"
	"github.com/rebased/rebased/infra/porttest"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" //nolint:gosec // of the specification's examples
	other  = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// receiver is a server that verifies what comes, as the specification's library does.
type receiver struct {
	*httptest.Server
	t      *testing.T
	secret string

	mu       sync.Mutex
	answer   http.HandlerFunc // nil = 200
	requests []*http.Request
	bodies   [][]byte
}

func newReceiver(t *testing.T, serve func(http.Handler) *httptest.Server) *receiver {
	r := &receiver{t: t, secret: secret}
	r.Server = serve(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	verifier, invalid := standardwebhooks.NewWebhook(r.secret)
	if err != nil || invalid != nil {
		r.t.Error(err, invalid)
		return
	}
	if err := verifier.Verify(body, request.Header); err != nil {
		r.t.Errorf("a receiver refuses the signature: %v", err)
	}
	r.mu.Lock()
	r.requests, r.bodies = append(r.requests, request), append(r.bodies, body)
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, request)
	}
}

func (r *receiver) answers(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) messages() (all [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, body := range r.bodies {
		var e struct {
			Type string
			Data json.RawMessage
		}
		if err := json.Unmarshal(body, &e); err != nil || e.Type != "version.released" {
			r.t.Errorf("body %s: %v", body, err)
		}
		all = append(all, e.Data)
	}
	return all
}

func (r *receiver) hostPort() string {
	_, at, _ := strings.Cut(r.URL, "://")
	return at
}

func open(t *testing.T, c Config) *Publisher {
	t.Helper()
	if c.Secrets == "" {
		c.Secrets = secret
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func to(address string) rebased.Handoff {
	return rebased.Handoff{Webhook: &rebased.WebhookSpec{URL: address}}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

var released = publish.Message{
	Task: "squad", Version: "0123456789ab", Build: "1", ReleasedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), IdempotencyKey: "handoff/squad/0123456789ab",
}

func TestPublisherKeepsItsPromises(t *testing.T) {
	for name, serve := range map[string]func(http.Handler) *httptest.Server{"http": httptest.NewServer, "https": httptest.NewTLSServer} {
		t.Run(name, func(t *testing.T) {
			porttest.Publisher(t, func(t *testing.T) porttest.Receiver {
				r := newReceiver(t, serve)
				roots := x509.NewCertPool()
				if r.Certificate() != nil {
					roots.AddCert(r.Certificate())
				}
				return porttest.Receiver{
					Publisher: open(t, Config{Allow: r.hostPort(), Authorities: roots}), To: to(r.URL + "/hook?a=b"), Received: r.messages, Asks: 7 * time.Second,
					Busy: func() {
						r.answers(func(w http.ResponseWriter, _ *http.Request) {
							w.Header().Set("Retry-After", "7")
							w.WriteHeader(http.StatusTooManyRequests)
						})
					},
					Down:    func() { r.answers(status(http.StatusBadGateway)) },
					Refuses: func() { r.answers(status(http.StatusGone)) },
					Hangs: func() <-chan struct{} {
						taken := make(chan struct{})
						r.answers(func(_ http.ResponseWriter, request *http.Request) {
							close(taken)
							<-request.Context().Done()
						})
						return taken
					},
					Says: func(said string) {
						r.answers(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, said) })
					},
				}
			})
		})
	}
}

func TestARequestHasTheHeadersOfStandardWebhooks(t *testing.T) {
	r := newReceiver(t, httptest.NewServer)
	p := open(t, Config{Allow: r.hostPort()})
	if _, err := p.Publish(t.Context(), to(r.URL), released); err != nil {
		t.Fatal(err)
	}
	h := r.requests[0].Header
	for name, want := range map[string]string{
		"webhook-id": released.IdempotencyKey, "idempotency-key": released.IdempotencyKey, "content-type": "application/json", "user-agent": "rebased",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	want := `{"type":"version.released","timestamp":"2026-01-02T03:04:05Z","data":{"task":"squad","version":"0123456789ab","build":"1","uri":"","manifest":"",` +
		`"released_at":"2026-01-02T03:04:05Z","idempotency_key":"handoff/squad/0123456789ab"}}`
	if got := string(r.bodies[0]); got != want {
		t.Errorf("body\n%s\nwant\n%s", got, want)
	}
}

// TestTheSignatureIsThatOfTheSpecification takes the example that Svix publishes with the scheme (docs.svix.com, "Verifying Webhooks Manually").
func TestTheSignatureIsThatOfTheSpecification(t *testing.T) {
	s, err := parseSecrets(secret)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.sign(parse(t, "https://ci.test"), "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestWhileSecretsAreRotatedReceiversMayKnowTheOldOneOrTheNewOne(t *testing.T) {
	for _, known := range []string{secret, other} {
		r := newReceiver(t, httptest.NewServer)
		r.secret = known
		p := open(t, Config{Allow: r.hostPort(), Secrets: other + "\n" + secret})
		if _, err := p.Publish(t.Context(), to(r.URL), released); err != nil {
			t.Error(err)
		}
	}
}

func TestAnOriginsOwnSecretIsUsedForItAlone(t *testing.T) {
	r := newReceiver(t, httptest.NewServer)
	r.secret = other
	p := open(t, Config{Allow: r.hostPort() + ",127.0.0.1:1", Secrets: r.URL + "=" + other})
	if _, err := p.Publish(t.Context(), to(r.URL), released); err != nil {
		t.Error(err)
	}
	err := p.Check(t.Context(), to("http://127.0.0.1:1"))
	if rebased.KindOf(err) != rebased.Unauthorized || !strings.Contains(err.Error(), "REBASED_WEBHOOK_SECRET") {
		t.Errorf("another origin, for which there is no secret: %v", err)
	}
	r.secret = secret
	p = open(t, Config{Allow: r.hostPort(), Secrets: "https://ci.test=" + other + " " + secret})
	if _, err := p.Publish(t.Context(), to(r.URL), released); err != nil {
		t.Error(err)
	}
}

func TestBadSettingsAreRefusedWithoutTheSecret(t *testing.T) {
	for _, c := range []Config{
		{Secrets: "hush"},
		{Secrets: "whsec_hush!"},
		{Secrets: "whsec_aHVzaA=="},
		{Secrets: secret + " https://ci.test/path=" + other},
		{Secrets: "=" + other},
		{Allow: "10.0.0.0/33"},
		{Allow: "ci.test"},
		{Allow: "https://ci.test:443"},
		{Allow: ":80"},
	} {
		_, err := New(c)
		if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "REBASED_WEBHOOK_") || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "AAECAw") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestStatusesSayWhetherToComeAgain(t *testing.T) {
	for code, kind := range map[int]rebased.Kind{
		201: "", 204: "", 299: "",
		301: rebased.Invalid, 400: rebased.Invalid, 422: rebased.Invalid, 401: rebased.Unauthorized, 403: rebased.Unauthorized, 404: rebased.NotFound, 410: rebased.NotFound,
		408: rebased.Unavailable, 409: rebased.Unavailable, 425: rebased.Unavailable, 429: rebased.Throttled, 500: rebased.Unavailable, 501: rebased.Unavailable, 503: rebased.Unavailable,
	} {
		r := newReceiver(t, httptest.NewServer)
		r.answers(status(code))
		if _, err := open(t, Config{Allow: r.hostPort()}).Publish(t.Context(), to(r.URL), released); rebased.KindOf(err) != kind {
			t.Errorf("%d: %v", code, err)
		}
	}
}

func TestErrorsShowNeitherPathNorQuery(t *testing.T) {
	r := newReceiver(t, httptest.NewServer)
	r.answers(status(http.StatusTeapot))
	address := r.URL + "/T0K3N?key=T0K3N"
	p := open(t, Config{Allow: r.hostPort()})
	_, refused := p.Publish(t.Context(), to(address), released)
	r.Close()
	_, gone := p.Publish(t.Context(), to(address), released)
	private := p.Check(t.Context(), to("https://10.0.0.1/T0K3N"))
	for _, err := range []error{refused, gone, private} {
		if err == nil || strings.Contains(err.Error(), "T0K3N") {
			t.Errorf("got %v", err)
		}
	}
}
