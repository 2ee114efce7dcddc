package app

import (
	"bufio"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
)

var payloadKey = "REBASED_PAYLOAD_KEYS=k1=" + base64.StdEncoding.EncodeToString(make([]byte, 32))

func TestTheCodecServerServesUntilItIsStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	said, stderr := io.Pipe()
	status := make(chan int, 1)
	go func() {
		a := newApp([]string{payloadKey, "REBASED_CODEC_TOKEN=0123456789abcdef"}, strings.NewReader(""), io.Discard, stderr)
		status <- a.run(ctx, []string{"codec-server", "--listen", "127.0.0.1:0", "--origin", "https://temporal.example"})
		stderr.Close()
	}()
	line, err := bufio.NewReader(said).ReadString('\n')
	address, rest, ok := strings.Cut(strings.TrimPrefix(line, "codec server on "), ", ")
	if err != nil || !ok || rest != "for pages of https://temporal.example\n" {
		t.Fatalf("said %q, %v", line, err)
	}
	for token, want := range map[string]int{"0123456789abcdef": http.StatusOK, "0123456789abcdeF": http.StatusUnauthorized} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/decode", strings.NewReader("{}"))
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %s", token, response.Status)
		}
	}
	stop()
	if got := <-status; got != exitDone {
		t.Errorf("status %d", got)
	}
}

func TestACodecServerThatWouldHandOutSecretsIsRefused(t *testing.T) {
	const token = "REBASED_CODEC_TOKEN=0123456789abcdef"
	for _, c := range []struct {
		args, environ []string
		says          string
	}{
		{nil, nil, "no key is set"},
		{[]string{"--listen", "0.0.0.0:0"}, []string{payloadKey}, "everybody who reaches it would read"},
		{[]string{"--listen", ":0", "--behind-proxy"}, []string{payloadKey}, "everybody who reaches it would read"},
		{[]string{"--listen", ":0"}, []string{payloadKey, token}, "would cross the network in plain"},
		{[]string{"--origin", "https://temporal.example/"}, []string{payloadKey}, "--origin must be"},
		{[]string{"--origin", "*"}, []string{payloadKey}, "--origin must be"},
		{[]string{"--tls-cert", "x.pem"}, []string{payloadKey}, "--tls-cert and --tls-key"},
		{[]string{"--ask-temporal"}, []string{payloadKey, token}, "use one"},
		{nil, []string{payloadKey, "REBASED_CODEC_TOKEN=short"}, "must have 16 or more"},
	} {
		var stderr strings.Builder
		a := newApp(c.environ, strings.NewReader(""), io.Discard, &stderr)
		status := a.run(t.Context(), append([]string{"codec-server"}, c.args...))
		if status != exitRefused || !strings.Contains(stderr.String(), c.says) || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%v: status %d: %s", c.args, status, stderr.String())
		}
	}
}
