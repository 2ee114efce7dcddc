package app

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/teacher/bedrock"
)

func signing(region string) bedrock.Account {
	return bedrock.Account{Region: region, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: secret}, nil
	})}
}

// bedrockAt asks Bedrock at a base URL and tells what was sent where; "" when nothing was.
func bedrockAt(t *testing.T, baseURL, region string, environ ...string) (sent string, err error) {
	t.Helper()
	pool := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		sent = scheme + " to " + r.URL.Scheme + "://" + r.URL.Host
		w := httptest.NewRecorder()
		_, _ = io.WriteString(w, `{"output": {"message": {"content": [{"text": "x"}]}}}`)
		return w.Result(), nil
	})}
	teacher, err := newTeachers(settingsOf(t, environ...), signing(region), pool).Open(rebased.Teacher{Provider: "bedrock", BaseURL: baseURL})
	if err == nil {
		_, err = teacher.Ask(t.Context(), llm.Request{Model: "m", Prompt: "p"})
	}
	return sent, err
}

func TestRequestsAreSignedForTheWorkersOwnBedrockAndAllowedOriginsOnly(t *testing.T) {
	const own, other = "https://bedrock-runtime.eu-west-1.amazonaws.com", "https://bedrock-runtime.us-east-1.amazonaws.com"
	for _, c := range []struct {
		baseURL, region, environ string
		sent                     string
		kind                     rebased.Kind
	}{
		{"", "eu-west-1", "", "AWS4-HMAC-SHA256 to " + own, ""},
		{own, "eu-west-1", "", "AWS4-HMAC-SHA256 to " + own, ""},
		{other, "eu-west-1", "", "", rebased.Unauthorized},
		{"https://evil.test", "eu-west-1", "", "", rebased.Unauthorized},
		{own + ".evil.test", "eu-west-1", "", "", rebased.Unauthorized},
		{"http://bedrock-runtime.eu-west-1.amazonaws.com", "eu-west-1", "", "", rebased.Unauthorized},
		{other, "eu-west-1", "REBASED_TEACHER_ORIGINS=" + other, "AWS4-HMAC-SHA256 to " + other, ""},
		{"", "eu-west-1", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://gateway:1/b", "AWS4-HMAC-SHA256 to http://gateway:1", ""},
		{own, "eu-west-1", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://gateway:1/b", "", rebased.Unauthorized},
		{"", "eu-west-1", "AWS_BEARER_TOKEN_BEDROCK=k", "Bearer to " + own, ""},
		{other, "eu-west-1", "AWS_BEARER_TOKEN_BEDROCK=k", "", rebased.Unauthorized},
		{"", "", "", "", rebased.Invalid},
	} {
		sent, err := bedrockAt(t, c.baseURL, c.region, c.environ)
		if sent != c.sent || rebased.KindOf(err) != c.kind || (err == nil) != (c.kind == "") {
			t.Errorf("%q with %q: sent %q, %v; want %q, %q", c.baseURL, c.environ, sent, err, c.sent, c.kind)
		}
		if err != nil && (!strings.Contains(err.Error(), "AWS_REGION") || strings.Contains(err.Error(), secret)) {
			t.Errorf("%q: the error should name the setting: %v", c.baseURL, err)
		}
	}
}
