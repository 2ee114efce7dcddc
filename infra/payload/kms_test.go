package payload_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/payload"
)

// keyService is AWS KMS as its documentation has it: Decrypt of the JSON protocol, signed with Signature Version 4.
type keyService struct {
	t      *testing.T
	secret string                                // access key
	keys   map[string]string                     // by ciphertext: the plaintext, in base64
	fail   func(call int) (status int, _ string) // 0 = not
	calls  int
}

func (s *keyService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls++
	body, _ := io.ReadAll(r.Body)
	if got := r.Header.Get("Authorization"); !strings.HasSuffix(got, "Signature="+s.signature(r, string(body))) || !strings.Contains(got, "/eu-west-1/kms/aws4_request") {
		s.t.Errorf("signed as %s", got)
	}
	if s.fail != nil {
		if status, name := s.fail(s.calls); status != 0 {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"__type":%q,"message":"said with %s and %s"}`, name, s.secret, r.Header.Get("X-Amz-Security-Token"))
			return
		}
	}
	var in struct {
		CiphertextBlob    []byte
		EncryptionContext map[string]string
	}
	err := json.Unmarshal(body, &in)
	key, ok := s.keys[in.EncryptionContext["rebased-payload-key"]+"/"+string(in.CiphertextBlob)]
	if err != nil || !ok || r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("X-Amz-Target") != "TrentService.Decrypt" || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"InvalidCiphertextException"}`)
		return
	}
	fmt.Fprintf(w, `{"EncryptionAlgorithm":"SYMMETRIC_DEFAULT","KeyId":"arn:aws:kms:eu-west-1:1:key/x","Plaintext":%q}`, key)
}

func hexSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// signature computes Signature Version 4 of a request (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
func (s *keyService) signature(r *http.Request, body string) string {
	_, list, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	canonical := r.Method + "\n/\n\n"
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
	if len(at) < 8 {
		return "none"
	}
	key := []byte("AWS4" + s.secret)
	for _, part := range []string{at[:8], "eu-west-1", "kms", "aws4_request", "AWS4-HMAC-SHA256\n" + at + "\n" + at[:8] + "/eu-west-1/kms/aws4_request\n" + hexSum(canonical)} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}

// serveKeys starts the service and gives the environment that points at it.
func serveKeys(t *testing.T, s *keyService) environment {
	t.Helper()
	s.t, s.secret = t, "access-hush"
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": s.secret, "AWS_SESSION_TOKEN": "session-hush", "AWS_REGION": "eu-west-1", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
	} {
		t.Setenv(name, value)
	}
	return environment{"AWS_ENDPOINT_URL_KMS": server.URL, "REBASED_PAYLOAD_KEYS": "k2=kms:" + base64.StdEncoding.EncodeToString([]byte("wrapped")) + ",k1=" + secret("k1")}
}

func TestAKeyThatKMSHasWrappedIsUnwrapped(t *testing.T) {
	service := &keyService{keys: map[string]string{"k2/wrapped": secret("k2")}}
	p := seal(t, load(t, serveKeys(t, service)), squad)
	var got order
	if err := options(open(t, "k2")).DataConverter.FromPayload(p, &got); err != nil || got != squad {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAKeyIsUnwrappedOverTLSOnly(t *testing.T) {
	for _, endpoint := range []string{"http://kms.example", "http://10.0.0.1:4566", "ftp://kms.example", "https://", "https://ada:hush@kms.example"} {
		service := &keyService{}
		env := serveKeys(t, service)
		env["AWS_ENDPOINT_URL_KMS"] = endpoint
		_, err := payload.Load(t.Context(), env)
		wantError(t, err, rebased.Invalid, "AWS_ENDPOINT_URL_KMS must be https://")
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("said: %v", err)
		}
	}
}

func TestAWrappedKeyIsBoundToItsName(t *testing.T) {
	_, err := payload.Load(t.Context(), serveKeys(t, &keyService{keys: map[string]string{"k9/wrapped": secret("k2")}}))
	wantError(t, err, rebased.Invalid, `REBASED_PAYLOAD_KEYS: key "k2": AWS KMS at`)
	wantError(t, err, rebased.Invalid, `the encryption context that it was wrapped with, rebased-payload-key=NAME`)
}

func TestKMSThatIsDownIsAskedAgainAndARefusalIsTold(t *testing.T) {
	service := &keyService{keys: map[string]string{"k2/wrapped": secret("k2")}, fail: func(call int) (int, string) {
		if call == 1 {
			return http.StatusBadRequest, "ThrottlingException"
		}
		return map[bool]int{true: http.StatusInternalServerError}[call == 2], "KMSInternalException"
	}}
	load(t, serveKeys(t, service))
	if service.calls != 3 {
		t.Errorf("%d calls", service.calls)
	}
	service = &keyService{fail: func(int) (int, string) { return http.StatusBadRequest, "AccessDeniedException" }}
	_, err := payload.Load(t.Context(), serveKeys(t, service))
	wantError(t, err, rebased.Unauthorized, `AccessDeniedException said with *** and ***`)
	if service.calls != 1 {
		t.Errorf("a refusal was asked for %d times", service.calls)
	}
}
