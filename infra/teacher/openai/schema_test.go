package openai_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/teacher/openai"
)

const objectSchema = `{"type":"object"}`

// schemaServer answers or refuses requests that hold a schema, and counts them.
type schemaServer struct {
	mu             sync.Mutex
	with, without  int
	refuse         string // what it says to a schema; "" = it takes one
	broken         int    // so many requests are answered 500 first
	format         any
	release, first chan struct{} // when set: requests with a schema wait
}

func (s *schemaServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in map[string]any
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	s.format = in["response_format"]
	status, body := 200, `{"choices": [{"message": {"content": "x"}}]}`
	if s.format == nil {
		s.without++
	} else {
		s.with++
	}
	if s.format != nil && s.refuse != "" {
		status, body = 400, fmt.Sprintf(`{"error": {"message": %q}}`, s.refuse)
	}
	if s.broken > 0 {
		s.broken--
		status, body = 500, `{}`
	}
	wait := s.release
	s.mu.Unlock()
	if wait != nil && in["response_format"] != nil {
		s.first <- struct{}{}
		<-wait
	}
	reply(w, status, body)
}

func TestASchemaIsSentWhereTheModelTakesIt(t *testing.T) {
	for name, c := range map[string]struct {
		server        *schemaServer
		with, without int
		kind          rebased.Kind
	}{
		"taken":                  {&schemaServer{}, 3, 0, ""},
		"refused":                {&schemaServer{refuse: "'response_format' of type 'json_schema' is not supported with this model"}, 1, 3, ""},
		"refused in other words": {&schemaServer{refuse: "unknown variant `json_schema`"}, 1, 3, ""},
		"another reason":         {&schemaServer{refuse: "temperature must be 1"}, 3, 0, rebased.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			teacher := open(t, openai.Config{BaseURL: serve(t, c.server.ServeHTTP)})
			for range 3 {
				_, err := teacher.Ask(t.Context(), llm.Request{Model: "m", Schema: objectSchema})
				if rebased.KindOf(err) != c.kind {
					t.Errorf("got %v", err)
				}
			}
			if c.server.with != c.with || c.server.without != c.without {
				t.Errorf("%d requests with a schema and %d without, want %d and %d", c.server.with, c.server.without, c.with, c.without)
			}
		})
	}
}

func TestASchemaHasTheFormOfTheProtocol(t *testing.T) {
	server := &schemaServer{}
	teacher := open(t, openai.Config{BaseURL: serve(t, server.ServeHTTP)})
	if _, err := teacher.Ask(t.Context(), llm.Request{Model: "m", Schema: objectSchema}); err != nil {
		t.Fatal(err)
	}
	want := "map[json_schema:map[name:answer schema:map[type:object] strict:true] type:json_schema]"
	if got := fmt.Sprint(server.format); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := teacher.Ask(t.Context(), llm.Request{Model: "m"}); err != nil || server.format != nil {
		t.Errorf("without a schema: %v, %v", server.format, err)
	}
}

func TestAFailureSaysNothingAboutSchemas(t *testing.T) {
	server := &schemaServer{broken: 2}
	teacher := open(t, openai.Config{BaseURL: serve(t, server.ServeHTTP)})
	for range 2 {
		if _, err := teacher.Ask(t.Context(), llm.Request{Model: "m", Schema: objectSchema}); rebased.KindOf(err) != rebased.Unavailable {
			t.Errorf("got %v", err)
		}
	}
	if _, err := teacher.Ask(t.Context(), llm.Request{Model: "m", Schema: objectSchema}); err != nil || server.with != 3 || server.without != 0 {
		t.Errorf("%d requests with a schema, %d without, %v", server.with, server.without, err)
	}
}

func TestThoseUnderWayAreRefusedTogetherAndNobodyAfterThem(t *testing.T) {
	server := &schemaServer{refuse: "no response_format here", release: make(chan struct{}), first: make(chan struct{}, 10)}
	teacher := open(t, openai.Config{BaseURL: serve(t, server.ServeHTTP)})
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			if _, err := teacher.Ask(t.Context(), llm.Request{Model: "m", Prompt: fmt.Sprint(i), Schema: objectSchema}); err != nil {
				t.Error(err)
			}
		})
	}
	for range 10 { // none waits for another to find out
		<-server.first
	}
	close(server.release)
	all.Wait()
	if _, err := teacher.Ask(t.Context(), llm.Request{Model: "m", Schema: objectSchema}); err != nil || server.with != 10 || server.without != 11 {
		t.Errorf("%d requests with a schema and %d without, want 10 and 11: %v", server.with, server.without, err)
	}
}
