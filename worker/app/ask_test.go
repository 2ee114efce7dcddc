package app

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthAsksTheWorkerOfTheSameEnvironment(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
	}))
	address := strings.TrimPrefix(server.URL, "http://")
	_, port, _ := strings.Cut(address, ":")
	health := func(address string) (int, string) {
		var out, errs bytes.Buffer
		code := Main(t.Context(), []string{"--health"}, []string{"REBASED_HEALTH_ADDR=" + address}, &out, &errs)
		return code, out.String() + errs.String()
	}
	for _, address := range []string{address, "0.0.0.0:" + port, ":" + port} {
		if code, said := health(address); code != exitDone || said != "" {
			t.Errorf("%s: exit status %d, %s", address, code, said)
		}
	}
	status = http.StatusServiceUnavailable
	if code, said := health(address); code != exitFailed || !strings.Contains(said, "503") {
		t.Errorf("a worker that is not well: exit status %d, %s", code, said)
	}
	server.Close()
	for _, address := range []string{address, "off", "nowhere"} {
		if code, said := health(address); code != exitFailed || !strings.HasPrefix(said, "rebased-worker: ") || strings.Count(said, "\n") != 1 {
			t.Errorf("%s: exit status %d, %s", address, code, said)
		}
	}
}
