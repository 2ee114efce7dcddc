package bedrock_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/teacher/bedrock"
)

func hexSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// signatureOf computes Signature Version 4 of a request as AWS documents it; path is as the signature has it, escaped once more than on the wire
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
func signatureOf(r *http.Request, path, body, secret, region string) string {
	_, list, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	canonical := r.Method + "\n" + path + "\n\n"
	for name := range strings.SplitSeq(list, ";") {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		canonical += name + ":" + value + "\n"
	}
	canonical += "\n" + list + "\n" + hexSum(body)
	at := r.Header.Get("X-Amz-Date")
	key := []byte("AWS4" + secret)
	for _, part := range []string{at[:8], region, "bedrock", "aws4_request", "AWS4-HMAC-SHA256\n" + at + "\n" + at[:8] + "/" + region + "/bedrock/aws4_request\n" + hexSum(canonical)} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}

func TestRequestsAreSignedForTheirBodyModelAndRegion(t *testing.T) {
	var got, want, token string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got, token = r.Header.Get("Authorization"), r.Header.Get("X-Amz-Security-Token")
		want = signatureOf(r, "/model/arn%253Aaws%253Abedrock%253Aeu-west-1%253A1%253Ainference-profile%252Fm/converse", string(body), "hush", "eu-west-1")
		_, _ = io.WriteString(w, message(plain, "end_turn").Body)
	})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	teacher := open(t, bedrock.Config{BaseURL: url, Account: account("hush"), Now: func() time.Time { return at }})
	_, err := teacher.Ask(t.Context(), llm.Request{Model: "arn:aws:bedrock:eu-west-1:1:inference-profile/m", Prompt: "p"})
	if err != nil || !strings.Contains(got, "Credential=AKID/20260102/eu-west-1/bedrock/aws4_request") || !strings.HasSuffix(got, "Signature="+want) || token != session {
		t.Errorf("%v: %s, want the signature %s", err, got, want)
	}
}

func TestTheAccountIsThatOfTheAWSSettings(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_REGION": "eu-north-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": t.TempDir() + "/none", "AWS_SHARED_CREDENTIALS_FILE": t.TempDir() + "/none",
	} {
		t.Setenv(name, value)
	}
	got, err := bedrock.LoadAccount(t.Context())
	if err != nil || got.Region != "eu-north-1" {
		t.Fatalf("%+v, %v", got, err)
	}
	if found, err := got.Credentials.Retrieve(t.Context()); err != nil || found.AccessKeyID != "AKID" || found.SecretAccessKey != "hush" {
		t.Errorf("%s, %v", found.AccessKeyID, err)
	}
	t.Setenv("AWS_PROFILE", "gone")
	if _, err := bedrock.LoadAccount(t.Context()); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("a profile that is not there: %v", err)
	}
}

func TestTheRegionIsTheHostsWhereItNamesOne(t *testing.T) {
	for baseURL, region := range map[string]string{
		"":                    "eu-west-1",
		"http://bedrock.test": "eu-west-1",
		"http://bedrock-runtime.us-east-2.amazonaws.com":               "us-east-2",
		"http://bedrock-runtime-fips.us-west-2.amazonaws.com":          "us-west-2",
		"http://vpce-1-a.bedrock-runtime.us-east-1.vpce.amazonaws.com": "us-east-1",
	} {
		var got string
		pool := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			got = r.Header.Get("Authorization")
			return nil, io.EOF
		})}
		_, _ = open(t, bedrock.Config{BaseURL: baseURL, Account: account("s"), HTTP: pool}).Ask(t.Context(), llm.Request{Model: "m"})
		if !strings.Contains(got, "/"+region+"/bedrock/") {
			t.Errorf("%q: signed with %s, want region %s", baseURL, got, region)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestARegionHasItsAddress(t *testing.T) {
	for region, want := range map[string]string{
		"eu-west-1":      "https://bedrock-runtime.eu-west-1.amazonaws.com",
		"cn-north-1":     "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
		"eusc-de-east-1": "https://bedrock-runtime.eusc-de-east-1.amazonaws.eu",
	} {
		if got := open(t, bedrock.Config{Account: bedrock.Account{Region: region}}).Endpoint(); got != want {
			t.Errorf("%s: %s", region, got)
		}
	}
}

func TestAnAddressThatIsNoneIsRefused(t *testing.T) {
	for _, address := range []string{"", "localhost:80", "ftp://a", "https://", "https://u:p@a", "https://a?b=c"} {
		if _, err := bedrock.New(bedrock.Config{BaseURL: address}); rebased.KindOf(err) != rebased.Invalid {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestAnAPIKeyComesBeforeTheAccount(t *testing.T) {
	var got string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		_, _ = io.WriteString(w, message(plain, "end_turn").Body)
	})
	_, err := open(t, bedrock.Config{BaseURL: url, Account: account("s"), APIKey: "k"}).Ask(t.Context(), llm.Request{Model: "m", Prompt: "p"})
	if err != nil || got != "Bearer k" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestModelsAreNotListedButCredentialsAreLookedFor(t *testing.T) {
	imds := &smithy.OperationError{ServiceID: "ec2imds", Err: &smithyhttp.RequestSendError{Err: errors.New("no route")}}
	sts := &smithy.OperationError{ServiceID: "STS", Err: &smithyhttp.RequestSendError{Err: errors.New("no route")}}
	for name, c := range map[string]struct {
		fails error
		kind  rebased.Kind
	}{
		"there":        {nil, rebased.NotFound},
		"no machine":   {imds, rebased.Unauthorized},
		"not set":      {errors.New("static credentials are empty"), rebased.Unauthorized},
		"out of reach": {sts, rebased.Unavailable},
	} {
		provider := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "s"}, c.fails
		})
		teacher := open(t, bedrock.Config{Account: bedrock.Account{Region: "eu-west-1", Credentials: provider}})
		_, err := teacher.Models(t.Context())
		if rebased.KindOf(err) != c.kind || errors.Is(err, llm.ErrNotBilled) != (c.kind == rebased.Unavailable) {
			t.Errorf("%s: %v has kind %q", name, err, rebased.KindOf(err))
		}
	}
	if _, err := open(t, bedrock.Config{BaseURL: "http://a"}).Models(t.Context()); rebased.KindOf(err) != rebased.Unauthorized {
		t.Errorf("without an account: %v", err)
	}
}
