package e2e

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/stacktest"
)

// TestNoSecretIsWrittenAnywhere runs what keys are used for, and what is said where they are refused, and then looks for them in all that was written:
// the bucket, Temporal's database, the index, the logs and what the commands print.
func TestNoSecretIsWrittenAnywhere(t *testing.T) {
	t.Parallel()
	s, task := demoStack(t, stacktest.Options{}, 60, map[string]any{"handoff": map[string]any{"approval": true}})
	keys := s.Folder().Credentials
	secrets := map[string]string{
		"bucket": keys.S3SecretKey, "Qdrant": keys.QdrantAPIKey, "teacher": keys.TeacherAPIKey,
		"wrong teacher": "sk-canary-of-a-teacher-0001", "Anthropic": "sk-ant-canary-0002", "hub": "hf_canary0003", "Bedrock": "bedrock-canary-0004",
		"webhook": base64.StdEncoding.EncodeToString([]byte("canary of a webhook, number 0005")), "payloads": base64.StdEncoding.EncodeToString([]byte("canary of payloads, number 00006")),
		"session": "session-canary-0007", "collector": "collector-canary-0008",
	}
	var said strings.Builder
	run := func(want int, args ...string) string {
		out, errs, code := s.Run(args...)
		if said.WriteString(out + errs); code != want {
			t.Fatalf("rebased %s: exit status %d, want %d: %s%s", strings.Join(args, " "), code, want, out, errs)
		}
		return out
	}
	anyhow := func(args ...string) { // its end depends on what of the world it finds
		out, errs, _ := s.Run(args...)
		said.WriteString(out + errs)
	}
	restart := func(env ...string) {
		s.KillWorker()
		s.SetEnv(env...)
		s.StartWorker()
	}

	build := result(t, run(3, "build", "-f", task, "--json")).Build
	run(0, "builds", "approve", build)
	if got := result(t, run(0, "builds", "watch", build, "--json")); got.State != rebased.StateReleased {
		t.Fatalf("got %+v", got)
	}
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // refuses all, and says back what it was sent
		body, err := httputil.DumpRequest(r, true)
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write(append([]byte("with "+r.Header.Get("X-Amz-Security-Token")+r.Header.Get("Authorization")+"\n"), body...))
	}))
	t.Cleanup(echo.Close)
	handsOff := []string{
		"REBASED_WEBHOOK_SECRET=whsec_" + secrets["webhook"], "REBASED_WEBHOOK_ALLOW=" + strings.TrimPrefix(echo.URL, "http://"), "AWS_ENDPOINT_URL_SQS=" + echo.URL,
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + echo.URL, "OTEL_EXPORTER_OTLP_HEADERS=authorization=" + secrets["collector"],
	}
	restart(handsOff...)
	to := map[string]any{"webhook": map[string]any{"url": echo.URL + "/versions"}, "sqs": map[string]any{"queue_url": echo.URL + "/1/versions"}}
	run(0, "build", "-f", demoTask(t, 40, map[string]any{"handoff": to}))
	waitUntil(t, "both targets have refused", func() bool {
		found := show(t, s).Deliveries
		return found["webhook"].State == "undelivered" && found["sqs"].State == "undelivered"
	})
	run(0, "versions", "show", "demo")
	private := map[string]any{"handoff": map[string]any{"webhook": map[string]any{"url": "https://169.254.169.254/latest"}}}
	run(2, "build", "-f", demoTask(t, 40, private))
	restart(append(handsOff, "REBASED_PAYLOAD_KEYS=canary="+secrets["payloads"])...)
	run(2, "build", "-f", demoTask(t, 40, private))
	anyhow("doctor")
	s.SetEnv("AWS_SESSION_TOKEN=" + secrets["session"]) // the gateway takes none
	anyhow("corpus", "ls")

	restart("OPENAI_API_KEY="+secrets["wrong teacher"], "ANTHROPIC_API_KEY="+secrets["Anthropic"], "HF_TOKEN="+secrets["hub"],
		"HF_ENDPOINT=http://127.0.0.1:1", "AWS_BEARER_TOKEN_BEDROCK="+secrets["Bedrock"], "ANTHROPIC_BASE_URL=http://127.0.0.1:1")
	run(2, "build", "-f", demoTask(t, 20, nil))
	claude := map[string]any{"teacher": map[string]any{"provider": "anthropic", "model": "claude"}}
	run(2, "build", "-f", demoTask(t, 20, map[string]any{"transform": claude}))
	run(0, "doctor", "--help")
	anyhow("doctor")
	run(0, "builds", "ls")
	logs := s.WorkerLog()
	s.KillAll()

	where := map[string]string{"the worker's log": logs, "what the commands print": said.String()}
	files := 0
	err := filepath.WalkDir(s.Dir(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "credentials.json" {
			return err
		}
		body, err := os.ReadFile(path)
		files++
		for of, secret := range secrets {
			if bytes.Contains(body, []byte(secret)) {
				t.Errorf("the key of the %s stands in %s", of, path)
			}
		}
		return err
	})
	if err != nil || files < 20 {
		t.Fatalf("read %d files: %v", files, err)
	}
	for name, text := range where {
		if text == "" {
			t.Errorf("nothing was seen of %s", name)
		}
		for of, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("the key of the %s stands in %s:\n%s", of, name, text)
			}
		}
	}
}
