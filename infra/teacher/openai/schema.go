package openai

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	sdk "github.com/openai/openai-go/v3"
)

// schemas remembers which models take a JSON schema of the answer. Servers do not say, so the first request with one finds it out; others for the
// same model wait for that, instead of being refused side by side.
type schemas struct {
	mu     sync.Mutex
	models map[string]*trial
}

// trial is what is known of one model.
type trial struct {
	over  chan struct{} // closed when known is set, or the trial has shown nothing
	known bool
	takes bool
}

// ask sends a request with its schema where the model takes one, else without. try sends it once.
func (s *schemas) ask(ctx context.Context, model string, try func(schema bool) error) error {
	for {
		t, first := s.find(model)
		if !first {
			select {
			case <-t.over:
			case <-ctx.Done():
				return ctx.Err()
			}
			if !t.known {
				continue // the trial broke off: another one
			}
			return try(t.takes)
		}
		err := try(true)
		refused := refusesSchema(err)
		s.settle(model, t, err == nil || refused, !refused)
		if refused {
			return try(false)
		}
		return err
	}
}

func (s *schemas) find(model string) (t *trial, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t = s.models[model]; t != nil {
		return t, false
	}
	t = &trial{over: make(chan struct{})}
	s.models[model] = t
	return t, true
}

func (s *schemas) settle(model string, t *trial, known, takes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.known, t.takes = known, takes
	if !known {
		delete(s.models, model)
	}
	close(t.over)
}

// prefers tells whether requests of a batch carry their schema: nobody can try a batch first, so they do until it is known that the model takes
// none.
func (s *schemas) prefers(model string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.models[model]
	return t == nil || !t.known || t.takes
}

// refused takes in that a model has refused a schema.
func (s *schemas) refused(model string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	over := make(chan struct{})
	close(over)
	s.models[model] = &trial{over: over, known: true}
}

// refusesSchema tells a server that does not know schemas from one that refuses a request for another reason: it names what it does not know.
func refusesSchema(err error) bool {
	var api *sdk.Error
	if !errors.As(err, &api) {
		return false
	}
	switch api.StatusCode {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusNotImplemented:
	default:
		return false
	}
	return namesSchema(api.Message + " " + api.Param + " " + api.RawJSON())
}

// namesSchema tells a refusal that is about the schema by what it names.
func namesSchema(said string) bool {
	said = strings.ToLower(said)
	for _, name := range []string{"response_format", "json_schema", "structured output", "guided"} {
		if strings.Contains(said, name) {
			return true
		}
	}
	return false
}

// responseFormat asks for answers that keep to a schema.
func responseFormat(schema string) json.RawMessage {
	return json.RawMessage(`{"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":` + schema + `}}`)
}
