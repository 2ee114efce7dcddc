package openai

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	sdk "github.com/openai/openai-go/v3"
)

// schemas remembers which models refuse a JSON schema of the answer. Servers do not say what they take, so requests carry their schema until one is
// refused for it. Those that are under way then are refused beside it, which costs nothing; nobody waits for a first one to find out.
type schemas struct {
	mu      sync.Mutex
	refused map[string]bool // by model
}

// ask sends a request with its schema where the model is not known to refuse one, else without. try sends it once.
func (s *schemas) ask(model string, try func(schema bool) error) error {
	if !s.wanted(model) {
		return try(false)
	}
	err := try(true)
	if !refusesSchema(err) {
		return err
	}
	s.refuse(model)
	return try(false)
}

// wanted tells whether requests to a model carry their schema.
func (s *schemas) wanted(model string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.refused[model]
}

// refuse takes in that a model has refused a schema.
func (s *schemas) refuse(model string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused == nil {
		s.refused = map[string]bool{}
	}
	s.refused[model] = true
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
