package teacher_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rebased/rebased/infra/local/teacher"
)

// BenchmarkAnswer is the time of one answer without the network.
func BenchmarkAnswer(b *testing.B) {
	server, err := teacher.New(teacher.Config{APIKey: key})
	if err != nil {
		b.Fatal(err)
	}
	examples := head(
		"Question: What city? Context: "+strings.Repeat("Super Bowl 50 was an American football game. ", 20), "Santa Clara",
		"Question: What river? Context: "+strings.Repeat("Warsaw is the capital of Poland. ", 20), "Vistula River",
		"Question: Which party? Context: "+strings.Repeat("The Ottoman empire gave way. ", 20), "the party",
	)
	n := 0
	for b.Loop() {
		n++
		row := fmt.Sprintf(`{"id": "%d", "context": "%s", "question": "Which town?", "answer": "Bern"}`, n, strings.Repeat("Bern stands on the Aare. ", 10))
		body, err := json.Marshal(asking(transformPrompt(examples, row)))
		if err != nil {
			b.Fatal(err)
		}
		request := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(string(body)))
		request.Header.Set("Authorization", "Bearer "+key)
		recorder := httptest.NewRecorder()
		server.ServeHTTP(recorder, request)
		if recorder.Code != http.StatusOK {
			b.Fatal(recorder.Body)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "answers/s")
}
