// Package bedrock is the teacher adapter for the Converse API of Amazon Bedrock, which asks every model in one form. The wire format is spoken here;
// credentials, region and signature are those of the AWS SDK's core, since Bedrock's own client would take the worker over its size
// (docs/decisions.md). It sends a request once; retries are the runner's, in activities/llm.
package bedrock

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/encoding/httpbinding"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/teacher/client"
)

// Config says which server is asked, and as whom. Secrets are held in memory alone: they never stand in an error, a log or a stored answer.
type Config struct {
	BaseURL string // "" = BaseURLOf(Account.Region)
	Account Account
	APIKey  string // of Bedrock; it comes before the account's credentials
	HTTP    *http.Client
	Now     func() time.Time // nil = time.Now
}

// Teacher implements llm.Teacher.
type Teacher struct {
	endpoint    string
	region      string // that requests are signed for
	credentials aws.CredentialsProvider
	apiKey      string
	signer      *v4.Signer
	http        *http.Client
	now         func() time.Time
	unmarked    sync.Map // models that refuse marks of the prompt cache
}

var _ llm.Teacher = (*Teacher)(nil)

// New checks the address; it makes no connection.
func New(c Config) (*Teacher, error) {
	if c.BaseURL == "" {
		c.BaseURL = BaseURLOf(c.Account.Region)
	}
	if c.BaseURL == "" {
		return nil, rebased.E(rebased.Invalid, "no AWS region is set: set AWS_REGION or AWS_ENDPOINT_URL_BEDROCK_RUNTIME where the worker runs")
	}
	address, err := client.Address(c.BaseURL)
	if err != nil {
		return nil, err
	}
	if c.HTTP == nil {
		c.HTTP = client.NewHTTP()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Teacher{
		endpoint: strings.TrimSuffix(c.BaseURL, "/"), region: regionOf(address.Hostname(), c.Account.Region),
		credentials: c.Account.Credentials, apiKey: c.APIKey, signer: v4.NewSigner(), http: c.HTTP, now: c.Now,
	}, nil
}

// Endpoint implements llm.Teacher.
func (t *Teacher) Endpoint() string { return t.endpoint }

// Ask implements llm.Teacher. A model that refuses marks of the prompt cache is asked again without, and from then on.
func (t *Teacher) Ask(ctx context.Context, r llm.Request) (llm.Answer, error) {
	_, refused := t.unmarked.Load(r.Model)
	marked := !refused && marks(r)
	answer, err := t.send(ctx, r, marked)
	if marked && refusesMark(err) {
		t.unmarked.Store(r.Model, true)
		return t.send(ctx, r, false)
	}
	return answer, err
}

func (t *Teacher) send(ctx context.Context, r llm.Request, marked bool) (llm.Answer, error) {
	op, body := "ask the teacher at "+t.endpoint, requestOf(r, marked)
	target := t.endpoint + "/model/" + httpbinding.EscapePath(r.Model, true) + "/converse"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return llm.Answer{}, &rebased.Error{Kind: rebased.Invalid, Op: op, Err: err}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	used, err := t.authorize(ctx, request, body)
	if err != nil {
		return llm.Answer{}, err
	}
	response, err := t.http.Do(request)
	if err != nil {
		return llm.Answer{}, client.Broken(ctx, op, err, used.key)
	}
	defer func() { _ = response.Body.Close() }() // read to its end, or given up
	reply, err := io.ReadAll(response.Body)
	if err != nil {
		return llm.Answer{}, client.Broken(ctx, op, err, used.key)
	}
	if response.StatusCode != http.StatusOK {
		return llm.Answer{}, t.refusal(op, response, reply, used)
	}
	answer, err := read(reply)
	if err != nil {
		return llm.Answer{}, &rebased.Error{Kind: rebased.Unavailable, Op: op, Err: err}
	}
	answer.Model, answer.At = r.Model, t.now().UnixMilli() // a reply does not name the model
	return answer, nil
}

// Models proves that there are credentials, then says NotFound: the runtime lists no models, so a task must name one.
func (t *Teacher) Models(ctx context.Context) ([]string, error) {
	if _, err := t.retrieve(ctx); err != nil {
		return nil, err
	}
	return nil, rebased.E(rebased.NotFound, "transform.teacher.model: is required: Bedrock at %s lists no models", t.endpoint)
}
