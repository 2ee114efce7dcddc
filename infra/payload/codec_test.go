package payload_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	commonpb "go.temporal.io/api/common/v1"
	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/payload"
)

// environment is a list of variables.
type environment map[string]string

func (e environment) LookupEnv(name string) (string, bool) {
	value, ok := e[name]
	return value, ok
}

// secret makes a key of a name: 32 bytes in base64.
func secret(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// open makes the codec of named keys, of which each has the secret of its name.
func open(t *testing.T, ids ...string) *payload.Codec {
	t.Helper()
	entries := make([]string, len(ids))
	for i, id := range ids {
		entries[i] = id + "=" + secret(id)
	}
	return load(t, environment{"REBASED_PAYLOAD_KEYS": strings.Join(entries, ",")})
}

func load(t *testing.T, env environment) *payload.Codec {
	t.Helper()
	codec, err := payload.Load(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	return codec
}

// options are those of a client with a codec.
func options(codec *payload.Codec) (o client.Options) {
	codec.Configure(&o)
	return o
}

type order struct {
	Task string `json:"task"`
	Key  string `json:"task_key"`
}

var squad = order{"squad", "tasks/squad/x.yaml"}

func seal(t *testing.T, codec *payload.Codec, value any) *commonpb.Payload {
	t.Helper()
	p, err := options(codec).DataConverter.ToPayload(value)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhatIsSealedIsReadBackAndShowsNothing(t *testing.T) {
	codec := open(t, "k1")
	p := seal(t, codec, squad)
	if whole, _ := proto.Marshal(p); strings.Contains(string(whole), "squad") || strings.Contains(string(whole), "json/plain") {
		t.Errorf("it shows %q", whole)
	}
	if string(p.GetMetadata()["encoding"]) != "binary/encrypted" || string(p.GetMetadata()["encryption-key-id"]) != "k1" {
		t.Errorf("metadata %v", p.GetMetadata())
	}
	var got order
	if err := options(codec).DataConverter.FromPayload(p, &got); err != nil || got != squad {
		t.Errorf("%+v, %v", got, err)
	}
	if again := seal(t, codec, squad); string(again.GetData()) == string(p.GetData()) {
		t.Error("two payloads of the same value are alike: the nonce is not random")
	}
}

func TestAfterARotationTheFirstKeySealsAndTheOthersOpen(t *testing.T) {
	before, after := open(t, "k1"), open(t, "k2", "k1")
	p := seal(t, after, squad)
	if id := string(p.GetMetadata()["encryption-key-id"]); id != "k2" {
		t.Errorf("sealed with %s", id)
	}
	var got order
	if err := options(after).DataConverter.FromPayload(seal(t, before, squad), &got); err != nil || got != squad {
		t.Errorf("%+v, %v", got, err)
	}
	err := options(before).DataConverter.FromPayload(p, &got)
	wantError(t, err, rebased.Unauthorized, `a payload in Temporal is encrypted with key "k2", which is not set here: add it to REBASED_PAYLOAD_KEYS, behind the first`)
}

func TestAKeyBehindPlainReadsAndDoesNotSeal(t *testing.T) {
	codec := load(t, environment{"REBASED_PAYLOAD_KEYS": "plain,k1=" + secret("k1")})
	var got order
	if err := options(codec).DataConverter.FromPayload(seal(t, open(t, "k1"), squad), &got); err != nil || got != squad {
		t.Errorf("%+v, %v", got, err)
	}
	if encoding := string(seal(t, codec, squad).GetMetadata()["encoding"]); encoding != "json/plain" {
		t.Errorf("written as %s", encoding)
	}
	if failure := options(codec).FailureConverter.ErrorToFailure(errors.New("plain")); failure.GetMessage() != "plain" {
		t.Errorf("a failure is written as %v", failure)
	}
}

func TestWhatIsNotSealedStaysReadable(t *testing.T) {
	p := seal(t, load(t, environment{}), squad)
	if string(p.GetMetadata()["encoding"]) != "json/plain" {
		t.Fatalf("metadata %v", p.GetMetadata())
	}
	var got order
	if err := options(open(t, "k1")).DataConverter.FromPayload(p, &got); err != nil || got != squad {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAChangedPayloadAndAnotherKeyOfTheNameAreRefused(t *testing.T) {
	codec := open(t, "k1")
	p := seal(t, codec, squad)
	says := `a payload in Temporal that names key "k1" does not open with it`
	for i := range p.GetData() {
		changed := proto.Clone(p).(*commonpb.Payload)
		changed.Data[i] ^= 1
		wantError(t, options(codec).DataConverter.FromPayload(changed, &order{}), rebased.Invalid, says)
	}
	short := proto.Clone(p).(*commonpb.Payload)
	short.Data = short.GetData()[:5]
	wantError(t, options(codec).DataConverter.FromPayload(short, &order{}), rebased.Invalid, says)
	other := load(t, environment{"REBASED_PAYLOAD_KEYS": "k1=" + secret("another")})
	wantError(t, options(other).DataConverter.FromPayload(p, &order{}), rebased.Invalid, says)
}

// TestTheFormIsThatOfTemporalsSamples opens what Python's cryptography has sealed: a hand-off may be to a program in any language.
func TestTheFormIsThatOfTemporalsSamples(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	golden := &commonpb.Payload{}
	if err := protojson.Unmarshal(text, golden); err != nil {
		t.Fatal(err)
	}
	codec := load(t, environment{"REBASED_PAYLOAD_KEYS": "golden=" + secret("rebased golden key")})
	var got order
	if err := options(codec).DataConverter.FromPayload(golden, &got); err != nil || got != squad {
		t.Errorf("%+v, %v", got, err)
	}
	if ours := seal(t, codec, squad); len(ours.GetData()) != len(golden.GetData()) || len(ours.GetMetadata()) != len(golden.GetMetadata()) {
		t.Errorf("sealed as %v, want a form like %v", ours, golden)
	}
}

func TestMessagesOfFailuresAreSealed(t *testing.T) {
	codec := open(t, "k1")
	failures := options(codec).FailureConverter
	cause := temporal.NewApplicationError("the secret of the instruction", "Invalid", "a secret detail")
	failure := failures.ErrorToFailure(cause)
	if whole := fmt.Sprint(failure); strings.Contains(whole, "secret") {
		t.Errorf("the failure shows %s", whole)
	}
	back := failures.FailureToError(proto.Clone(failure).(*failurepb.Failure))
	var application *temporal.ApplicationError
	if !errors.As(back, &application) || application.Message() != "the secret of the instruction" || application.Type() != "Invalid" {
		t.Errorf("read back as %v", back)
	}
	unread := options(open(t, "k2")).FailureConverter.FailureToError(failure)
	if !errors.As(unread, &application) || !strings.Contains(application.Message(), `the message cannot be read: a payload in Temporal is encrypted with key "k1"`) || application.Type() != "Invalid" {
		t.Errorf("without the key it reads %v", unread)
	}
	plain := options(load(t, environment{})).FailureConverter.ErrorToFailure(cause)
	if plain.GetMessage() != "the secret of the instruction" {
		t.Errorf("without keys the message is %q", plain.GetMessage())
	}
}

// TestWorkflowCodePanicsForAMissingKey holds what keeps a build: the SDK ends a workflow whose argument gives an error, and waits where it panics.
func TestWorkflowCodePanicsForAMissingKey(t *testing.T) {
	sealed, err := options(open(t, "k1")).DataConverter.ToPayloads(squad)
	if err != nil {
		t.Fatal(err)
	}
	inWorkflow := options(load(t, environment{})).DataConverter.(workflow.ContextAware).WithWorkflowContext(nil)
	var got order
	func() {
		defer func() {
			if said := fmt.Sprint(recover()); !strings.Contains(said, `is encrypted with key "k1"`) {
				t.Errorf("panic: %s", said)
			}
		}()
		err := inWorkflow.FromPayloads(sealed, &got)
		t.Errorf("no panic, error %v", err)
	}()
	if err := inWorkflow.FromPayloads(&commonpb.Payloads{Payloads: []*commonpb.Payload{{Metadata: map[string][]byte{converter.MetadataEncoding: []byte("none")}}}}, &got); err == nil {
		t.Error("another error is to stay one")
	}
	outside := inWorkflow.(workflow.ContextAware).WithContext(t.Context())
	wantError(t, outside.FromPayloads(sealed, &got), rebased.Unauthorized, `is encrypted with key "k1"`)
}

func TestKeysAreReadFromAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	text := "# made on 2026-11-26\r\nk2=" + secret("k2") + "\r\n\nk1=" + secret("k1") + " # old\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	codec := load(t, environment{"REBASED_PAYLOAD_KEYS_FILE": path})
	var got order
	if err := options(codec).DataConverter.FromPayload(seal(t, open(t, "k1"), squad), &got); err != nil || got != squad {
		t.Errorf("%+v, %v", got, err)
	}
	if id := string(seal(t, codec, squad).GetMetadata()["encryption-key-id"]); id != "k2" {
		t.Errorf("sealed with %s", id)
	}
}

func TestKeysThatCannotBeUsedAreRefusedByPlaceAndNotByValue(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const hush = "aHVzaC1odXNo"
	for _, c := range []struct {
		name string
		env  environment
		says string
	}{
		{"no name", environment{"REBASED_PAYLOAD_KEYS": hush}, "REBASED_PAYLOAD_KEYS: entry 1 must be NAME=KEY"},
		{"a name that is none", environment{"REBASED_PAYLOAD_KEYS": "k1=" + secret("k1") + ",k 2=" + hush}, "REBASED_PAYLOAD_KEYS: entry 2 must be NAME=KEY"},
		{"too short", environment{"REBASED_PAYLOAD_KEYS": "k1=" + hush}, `REBASED_PAYLOAD_KEYS: key "k1": has 9 bytes, must have 32: make one with openssl rand -base64 32`},
		{"no base64", environment{"REBASED_PAYLOAD_KEYS": "k1=hush!"}, `REBASED_PAYLOAD_KEYS: key "k1": is not in base64: make one with openssl rand -base64 32`},
		{"twice", environment{"REBASED_PAYLOAD_KEYS": "k1=" + secret("k1") + ",k1=" + secret("k2")}, `REBASED_PAYLOAD_KEYS: key "k1" is there twice`},
		{"both", environment{"REBASED_PAYLOAD_KEYS": "k1=" + secret("k1"), "REBASED_PAYLOAD_KEYS_FILE": file("")}, "REBASED_PAYLOAD_KEYS and REBASED_PAYLOAD_KEYS_FILE are both set: set one of them"},
		{"no file", environment{"REBASED_PAYLOAD_KEYS_FILE": "/nowhere/keys"}, "REBASED_PAYLOAD_KEYS_FILE: open /nowhere/keys"},
		{"an empty file", environment{"REBASED_PAYLOAD_KEYS_FILE": file("# none\n")}, "REBASED_PAYLOAD_KEYS_FILE: the file has no key"},
		{"a large file", environment{"REBASED_PAYLOAD_KEYS_FILE": file(strings.Repeat("#", 70_000))}, "is over 64 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := payload.Load(t.Context(), c.env)
			wantError(t, err, rebased.Invalid, c.says)
			if strings.Contains(fmt.Sprint(err), "hush") || strings.Contains(fmt.Sprint(err), hush) {
				t.Errorf("it shows the key: %v", err)
			}
		})
	}
}

func wantError(t *testing.T, err error, kind rebased.Kind, says string) {
	t.Helper()
	if err == nil || rebased.KindOf(err) != kind || !strings.Contains(err.Error(), says) {
		t.Errorf("got %q of kind %q, want %q: %q", fmt.Sprint(err), rebased.KindOf(err), kind, says)
	}
}
