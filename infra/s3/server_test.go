package s3

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// script answers the n-th request (from 0) that reaches the server.
type script func(w http.ResponseWriter, r *http.Request, n int)

// server counts requests and answers them by a script.
type server struct {
	url    string
	answer script

	mu       sync.Mutex
	requests []string // method and path
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	n := len(s.requests)
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	s.answer(w, r, n)
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// scripted starts a server and opens s3://bucket/base on it with waits of no length.
func scripted(t *testing.T, answer script) (*Store, *server) {
	t.Helper()
	s := &server{answer: answer}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.url = web.URL
	settings(t, map[string]string{"AWS_ENDPOINT_URL_S3": web.URL, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"})
	store, err := Open(t.Context(), "s3://bucket/base")
	if err != nil {
		t.Fatal(err)
	}
	store.pace.backoff = time.Microsecond
	return store, s
}

// settings makes the environment hold these settings of AWS and no others.
func settings(t *testing.T, set map[string]string) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "",
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "", "AWS_SESSION_TOKEN": "",
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ROLE_ARN": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "", "AWS_MAX_ATTEMPTS": "7",
	} {
		t.Setenv(name, value)
	}
	for name, value := range set {
		t.Setenv(name, value)
	}
}

// fail answers as S3 does.
func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>in\nlines</Message></Error>", code)
}

// cut closes the connection without an answer.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	conn.Close()
}
