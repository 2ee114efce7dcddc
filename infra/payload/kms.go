package payload

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/rebased/rebased"
)

// kms asks AWS KMS for the keys that it has wrapped: one signed call of its JSON protocol a key, when a program starts
// (https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html). Its zero value reads the settings at first use.
type kms struct {
	settings *aws.Config
	endpoint string
}

// Bounds of a call.
const (
	kmsWait     = 10 * time.Second
	kmsAttempts = 4
	kmsPause    = 200 * time.Millisecond // doubles
	kmsLimit    = 64 << 10
)

// contextKey is what a wrapped key is bound to, beside its name: the encryption context that it was made with.
const contextKey = "rebased-payload-key"

// secret gives the 32 bytes of a key.
func (k *kms) secret(ctx context.Context, env Environment, id, value string) ([]byte, error) {
	blob, isWrapped := strings.CutPrefix(value, wrapped)
	secret, err := decode(blob)
	if err != nil {
		return nil, err
	}
	if isWrapped {
		if secret, err = k.unwrap(ctx, env, id, secret); err != nil {
			return nil, err
		}
	}
	return checked(secret)
}

func (k *kms) unwrap(ctx context.Context, env Environment, id string, blob []byte) ([]byte, error) {
	if k.settings == nil {
		settings, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, rebased.E(rebased.Invalid, "read the AWS settings: %s", rebased.Quote(err.Error(), ""))
		}
		if k.endpoint = lookup(env, "AWS_ENDPOINT_URL_KMS"); k.endpoint == "" {
			if settings.Region == "" {
				return nil, rebased.E(rebased.Invalid, "AWS KMS has wrapped it, and no AWS region is set: set AWS_REGION")
			}
			k.endpoint = "https://kms." + settings.Region + "." + domain(settings.Region)
		}
		if err := checkEndpoint(k.endpoint); err != nil {
			return nil, err
		}
		k.settings = &settings
	}
	body, err := json.Marshal(map[string]any{"CiphertextBlob": blob, "EncryptionContext": map[string]string{contextKey: id}})
	if err != nil {
		return nil, err
	}
	pause := kmsPause
	for attempt := 1; ; attempt++ {
		secret, err := k.call(ctx, body)
		if kind := rebased.KindOf(err); kind != rebased.Unavailable && kind != rebased.Throttled || attempt == kmsAttempts {
			return secret, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// checkEndpoint refuses an address that keys would come from in plain.
func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !IsLoopback(u.Host)) {
		return rebased.E(rebased.Invalid, "AWS_ENDPOINT_URL_KMS must be https://host[:port], or http:// and this machine: what it answers are keys")
	}
	return nil
}

// call is one attempt.
func (k *kms) call(ctx context.Context, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, kmsWait)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(k.endpoint, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "AWS_ENDPOINT_URL_KMS must be https://host[:port]")
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", "TrentService.Decrypt")
	found, err := k.settings.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, rebased.E(rebased.Unauthorized, "no credentials for AWS KMS: set AWS_*, a profile or a role: %s", rebased.Quote(err.Error(), ""))
	}
	quote := func(said string) string { // the token is sent, and some servers say back what was signed
		if found.SessionToken != "" {
			said = strings.ReplaceAll(said, found.SessionToken, "***")
		}
		return rebased.Quote(said, found.SecretAccessKey)
	}
	sum := sha256.Sum256(body)
	region := k.settings.Region
	if region == "" {
		region = "us-east-1" // a name to sign with, for another server
	}
	if err := v4.NewSigner().SignHTTP(ctx, found, request, hex.EncodeToString(sum[:]), "kms", region, time.Now()); err != nil {
		return nil, rebased.E(rebased.Invalid, "sign a request to AWS KMS: %s", quote(err.Error()))
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return nil, rebased.E(rebased.Unavailable, "ask AWS KMS at %s: %s", k.endpoint, quote(err.Error()))
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, kmsLimit))
	if err != nil {
		return nil, rebased.E(rebased.Unavailable, "read the answer of AWS KMS at %s: %w", k.endpoint, err)
	}
	var answer struct {
		Plaintext []byte `json:"Plaintext"`
		Type      string `json:"__type"`
		Message   string `json:"message"`
	}
	malformed := json.Unmarshal(said, &answer)
	if response.StatusCode != http.StatusOK {
		_, name, ok := strings.Cut(answer.Type, "#")
		if !ok {
			name = answer.Type
		}
		return nil, rebased.E(kindOf(response.StatusCode, name), "AWS KMS at %s does not unwrap it (%d %s %s): it needs kms:Decrypt, and the encryption context that it was wrapped with, %s=NAME",
			k.endpoint, response.StatusCode, quote(name), quote(answer.Message), contextKey)
	}
	if malformed != nil {
		return nil, rebased.E(rebased.Invalid, "the answer of %s is not that of AWS KMS", k.endpoint)
	}
	return answer.Plaintext, nil
}

// kindOf reads the name of an error of KMS.
func kindOf(status int, name string) rebased.Kind {
	switch {
	case name == "ThrottlingException", status == http.StatusTooManyRequests:
		return rebased.Throttled
	case status >= http.StatusInternalServerError:
		return rebased.Unavailable
	case name == "AccessDeniedException", status == http.StatusForbidden, status == http.StatusUnauthorized:
		return rebased.Unauthorized
	}
	return rebased.Invalid
}

// domain is where the hosts of a region are.
func domain(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "amazonaws.com.cn"
	case strings.HasPrefix(region, "eusc-"):
		return "amazonaws.eu"
	}
	return "amazonaws.com"
}
