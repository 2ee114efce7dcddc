package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/teacher/bedrock"
	"github.com/rebased/rebased/infra/teacher/client"
)

// provider is a server that notes which authorization came with each request. It speaks as much of the protocol as opening takes.
type fakeProvider struct {
	*httptest.Server
	redirect string // "" = answer

	mu   sync.Mutex
	keys []string
}

func newProvider(t *testing.T) *fakeProvider {
	p := &fakeProvider{}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *fakeProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.keys = append(p.keys, r.Header.Get("Authorization"))
	p.mu.Unlock()
	if p.redirect != "" {
		http.Redirect(w, r, p.redirect, http.StatusTemporaryRedirect)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/models"):
		_, _ = io.WriteString(w, `{"data": [{"id": "m"}]}`)
	case strings.HasSuffix(r.URL.Path, "/embeddings"):
		_, _ = io.WriteString(w, `{"data": [{"index": 0, "embedding": [1, 0]}]}`)
	default:
		_, _ = io.WriteString(w, `{"choices": [{"message": {"content": "x"}}]}`)
	}
}

// got is what came since the last look.
func (p *fakeProvider) got() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	keys := p.keys
	p.keys = nil
	return keys
}

// askAt opens the teacher of a task with a base URL, asks it and lists its models.
func askAt(t *testing.T, teachers *teachers, baseURL string) error {
	t.Helper()
	task := rebased.Teacher{Provider: "openai", BaseURL: baseURL}
	teacher, err := teachers.Open(task)
	if err != nil {
		return err
	}
	if _, err := teacher.Ask(t.Context(), llm.Request{Model: "m"}); err != nil {
		return err
	}
	_, err = teachers.Models(t.Context(), task)
	return err
}

func TestTheKeyGoesToTheWorkersOwnServerAndToAllowedOriginsOnly(t *testing.T) {
	own, allowed, foreign := newProvider(t), newProvider(t), newProvider(t)
	teachers := newTeachers(settingsOf(t,
		"OPENAI_BASE_URL="+own.URL+"/v1", "OPENAI_API_KEY="+secret, "REBASED_TEACHER_ORIGINS="+allowed.URL,
	), bedrock.Account{}, client.NewHTTP())
	with, without := []string{"Bearer " + secret, "Bearer " + secret}, []string{"", ""}
	for _, c := range []struct {
		baseURL string
		server  *fakeProvider
		want    []string
	}{
		{"", own, with},
		{own.URL + "/v1", own, with},
		{own.URL + "/other/v2/", own, with},
		{allowed.URL + "/v1", allowed, with},
		{foreign.URL + "/v1", foreign, without},
		{foreign.URL + "/" + own.URL, foreign, without},
	} {
		if err := askAt(t, teachers, c.baseURL); err != nil {
			t.Errorf("%q: %v", c.baseURL, err)
		}
		if got := c.server.got(); !slices.Equal(got, c.want) {
			t.Errorf("%q was sent %q, want %q", c.baseURL, got, c.want)
		}
	}
}

// roundTrip is a transport that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAnAddressThatOnlyLooksLikeTheOwnServerGetsNoKey(t *testing.T) {
	var sent []string
	server := &fakeProvider{}
	pool := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		sent = append(sent, fmt.Sprintf("%s %s %t", r.URL.Scheme, r.URL.Host, strings.Contains(fmt.Sprint(r.Header), secret)))
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		return w.Result(), nil
	})}
	teachers := newTeachers(settingsOf(t, "OPENAI_BASE_URL=https://api.example/v1", "OPENAI_API_KEY="+secret), bedrock.Account{}, pool)
	for baseURL, want := range map[string]string{
		"https://api.example/v1":             "https api.example true",
		"https://API.example/v1":             "https API.example true",
		"http://api.example/v1":              "http api.example false",
		"https://api.example:444/v1":         "https api.example:444 false",
		"https://api.example.evil.test":      "https api.example.evil.test false",
		"https://evil.test/api.example":      "https evil.test false",
		"https://xapi.example/v1":            "https xapi.example false",
		"https://evil.test\\@api.example/v1": "", // refused: no host that everybody reads alike
		"https://api.example@evil.test/v1":   "",
		"//api.example/v1":                   "",
		"api.example/v1":                     "",
	} {
		sent = nil
		err := askAt(t, teachers, baseURL)
		if (err != nil) != (want == "") {
			t.Errorf("%q: %v", baseURL, err)
		}
		for _, got := range sent {
			if got != want {
				t.Errorf("%q: sent to %q, want %q", baseURL, got, want)
			}
		}
	}
}

func TestAServerCannotSendTheKeyOn(t *testing.T) {
	own, foreign := newProvider(t), newProvider(t)
	own.redirect = foreign.URL
	err := askAt(t, newTeachers(settingsOf(t, "OPENAI_BASE_URL="+own.URL, "OPENAI_API_KEY="+secret), bedrock.Account{}, client.NewHTTP()), "")
	if err == nil || !strings.Contains(err.Error(), "redirects to") || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v", err)
	}
	if got := foreign.got(); len(got) != 0 {
		t.Errorf("the redirect was followed with %q", got)
	}
}

func TestATeacherIsOpenedOnceAnAddress(t *testing.T) {
	teachers := newTeachers(settingsOf(t, "OPENAI_BASE_URL=http://own"), bedrock.Account{}, client.NewHTTP())
	open := func(baseURL string) llm.Teacher {
		teacher, err := teachers.Open(rebased.Teacher{Provider: "openai", BaseURL: baseURL})
		if err != nil {
			t.Fatal(err)
		}
		return teacher
	}
	if open("") != open("http://own") || open("") == open("http://other") {
		t.Error("teachers are not kept by their address")
	}
}

func TestEncodersGetTheKeyForTheOwnServerAndAreOpenedOnce(t *testing.T) {
	own := newProvider(t)
	encoders := newEncoders(t.Context(), settingsOf(t, "OPENAI_BASE_URL="+own.URL, "OPENAI_API_KEY="+secret), models{})
	first, err := encoders.Open(t.Context(), "openai:m")
	if err != nil {
		t.Fatal(err)
	}
	again, err := encoders.Open(t.Context(), "openai:m")
	if got := own.got(); err != nil || first != again || first.Identity() != "openai:m:2:windows-16x1000" || !slices.Equal(got, []string{"Bearer " + secret}) {
		t.Errorf("%v and %v, %v, requests with %q", first, again, err, got)
	}
}

func TestEncodersAreOpenedByTheNamesOfTaskFiles(t *testing.T) {
	encoders := newEncoders(t.Context(), settingsOf(t), models{})
	if e, err := encoders.Open(t.Context(), "static"); err != nil || e.Dimensions() < 1 {
		t.Errorf("static: %v", err)
	}
	for _, name := range []string{"", "Static", "bert", "openai:", "static:./folder", "transformer:./folder"} {
		if _, err := encoders.Open(t.Context(), name); rebased.KindOf(err) != rebased.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestEachProviderHasItsOwnKey(t *testing.T) {
	type sent struct{ bearer, key string }
	var got []sent
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, sent{r.Header.Get("Authorization"), r.Header.Get("X-Api-Key")})
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"data": []}`)
	}))
	defer own.Close()
	teachers := newTeachers(settingsOf(t,
		"OPENAI_BASE_URL="+own.URL, "OPENAI_API_KEY=a", "ANTHROPIC_BASE_URL="+own.URL, "ANTHROPIC_API_KEY=b",
	), bedrock.Account{}, client.NewHTTP())
	for _, provider := range []string{"openai", "anthropic"} {
		if _, err := teachers.Models(t.Context(), rebased.Teacher{Provider: provider}); err != nil {
			t.Error(err)
		}
	}
	if want := []sent{{"Bearer a", ""}, {"", "b"}}; !slices.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
	if _, err := teachers.Open(rebased.Teacher{Provider: "acme"}); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("a provider that is none: %v", err)
	}
}
