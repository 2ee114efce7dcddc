package payload_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/payload"
)

const ui = "https://temporal.example"

func serve(t *testing.T, codec *payload.Codec, c payload.ServerConfig) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(payload.NewServer(codec, c).Handler)
	t.Cleanup(server.Close)
	return server
}

// TestTheServerOpensAndSealsForTemporalsOwnClient asks with the SDK's client of codec servers.
func TestTheServerOpensAndSealsForTemporalsOwnClient(t *testing.T) {
	codec := open(t, "k1")
	client := converter.NewRemotePayloadCodec(converter.RemotePayloadCodecOptions{Endpoint: serve(t, codec, payload.ServerConfig{}).URL})
	plain := seal(t, load(t, environment{}), squad)
	opened, err := client.Decode([]*commonpb.Payload{seal(t, codec, squad), plain})
	if err != nil || len(opened) != 2 || !proto.Equal(opened[0], plain) || !proto.Equal(opened[1], plain) {
		t.Errorf("opened %v, %v", opened, err)
	}
	sealed, err := client.Encode([]*commonpb.Payload{plain})
	if err != nil || len(sealed) != 1 || string(sealed[0].GetMetadata()["encoding"]) != "binary/encrypted" {
		t.Errorf("sealed %v, %v", sealed, err)
	}
	_, err = client.Decode([]*commonpb.Payload{seal(t, open(t, "k2"), squad)})
	if err == nil || !strings.Contains(err.Error(), `is encrypted with key "k2", which is not set here`) {
		t.Errorf("error %v", err)
	}
}

// request is what a browser or a command line sends.
type request struct {
	method, path, host, origin, authorization, body string
}

// ask gives the status, the headers and the text of an answer.
func ask(t *testing.T, server *httptest.Server, in request) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), in.method, server.URL+in.path, strings.NewReader(in.body))
	if err != nil {
		t.Fatal(err)
	}
	if in.host != "" {
		r.Host = in.host
	}
	for name, value := range map[string]string{"Origin": in.origin, "Authorization": in.authorization} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(said)
}

func TestPagesOfOtherOriginsAndOtherNamesOfTheMachineAreRefused(t *testing.T) {
	server := serve(t, open(t, "k1"), payload.ServerConfig{Origins: []string{ui}})
	for _, c := range []struct {
		request
		status int
	}{
		{request{method: "POST", path: "/decode", body: `{}`}, http.StatusOK},
		{request{method: "POST", path: "/decode", body: `{}`, origin: ui}, http.StatusOK},
		{request{method: "POST", path: "/decode", body: `{}`, host: "localhost:8081"}, http.StatusOK},
		{request{method: "POST", path: "/decode", body: `{}`, host: "[::1]:8081"}, http.StatusOK},
		{request{method: "POST", path: "/decode", body: `{}`, origin: ui + ".evil.example"}, http.StatusForbidden},
		{request{method: "POST", path: "/decode", body: `{}`, origin: "null"}, http.StatusForbidden},
		{request{method: "OPTIONS", path: "/decode", origin: "https://evil.example"}, http.StatusForbidden},
		{request{method: "POST", path: "/decode", body: `{}`, host: "evil.example"}, http.StatusForbidden},
		{request{method: "POST", path: "/decode", body: `{}`, host: "127.0.0.1.evil.example:8081"}, http.StatusForbidden},
		{request{method: "GET", path: "/decode"}, http.StatusNotFound},
		{request{method: "POST", path: "/keys", body: `{}`}, http.StatusNotFound},
		{request{method: "POST", path: "/decode", body: `{`}, http.StatusBadRequest},
		{request{method: "POST", path: "/decode", body: strings.Repeat(" ", 17<<20)}, http.StatusBadRequest},
	} {
		status, headers, said := ask(t, server, c.request)
		if status != c.status {
			t.Errorf("%s %s from %q by %q: %d %s, want %d", c.method, c.path, c.origin, c.host, status, said, c.status)
		}
		if allowed := headers.Get("Access-Control-Allow-Origin"); (allowed != "") != (c.origin == ui) {
			t.Errorf("%q is told that %q may ask", c.origin, allowed)
		}
	}
}

func TestABrowserIsToldWhatTheUIMaySend(t *testing.T) {
	status, headers, _ := ask(t, serve(t, open(t, "k1"), payload.ServerConfig{Origins: []string{ui}, Authorize: refuse}), request{method: "OPTIONS", path: "/decode", origin: ui})
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": ui, "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Namespace",
		"Access-Control-Allow-Credentials": "true", "Vary": "Origin", "Access-Control-Allow-Private-Network": "",
	} {
		if got := headers.Get(name); got != want || status != http.StatusNoContent {
			t.Errorf("%d: %s: %q, want %q", status, name, got, want)
		}
	}
}

func refuse(_ context.Context, authorization string) error {
	switch authorization {
	case "Bearer good":
		return nil
	case "Bearer later":
		return rebased.E(rebased.Unavailable, "Temporal is down")
	}
	return rebased.E(rebased.Unauthorized, "no")
}

func TestWhoMayNotReadIsRefused(t *testing.T) {
	server := serve(t, open(t, "k1"), payload.ServerConfig{Authorize: refuse})
	for authorization, want := range map[string]int{
		"": http.StatusUnauthorized, "Bearer bad": http.StatusUnauthorized, "Bearer later": http.StatusBadGateway, "Bearer good": http.StatusOK,
	} {
		status, _, said := ask(t, server, request{method: "POST", path: "/decode", body: `{}`, host: "codec.example", authorization: authorization})
		if status != want {
			t.Errorf("%q: %d %s", authorization, status, said)
		}
	}
}
