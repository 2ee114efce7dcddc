// Package sqs hands released versions to a queue of Amazon SQS: one SendMessage of the JSON protocol (docs.aws.amazon.com, "Amazon SQS API Reference").
// The wire format is spoken here; credentials, region and signature are those of the AWS SDK's core, as in infra/teacher/bedrock. It stands behind
// publish.Publisher.
package sqs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/publish"
)

// Bounds of one request.
const (
	within   = 30 * time.Second
	maxReply = 64 << 10 // bytes
)

// Config says as whom messages are sent. Secrets are held in memory alone.
type Config struct {
	Region      string // that requests to Endpoint are signed for; "" = us-east-1
	Credentials aws.CredentialsProvider
	Endpoint    string // AWS_ENDPOINT_URL_SQS: another server that may be sent signed requests; "" = none
	Transport   http.RoundTripper
	Now         func() time.Time // nil = time.Now
}

// Publisher implements publish.Publisher.
type Publisher struct {
	config Config
	own    string // origin of Endpoint
	http   *http.Client
	signer *v4.Signer
}

var _ publish.Publisher = (*Publisher)(nil)

// New checks the settings; it makes no connection.
func New(c Config) (*Publisher, error) {
	own := ""
	if c.Endpoint != "" {
		address, err := url.Parse(c.Endpoint)
		if err != nil || address.Host == "" || address.User != nil || address.Scheme != "https" && address.Scheme != "http" {
			return nil, rebased.E(rebased.Invalid, "AWS_ENDPOINT_URL_SQS: must be http(s)://host[:port]")
		}
		own = origin(address)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	client := &http.Client{Transport: c.Transport, Timeout: within, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // it would carry the session's token elsewhere
	}}
	return &Publisher{config: c, own: own, http: client, signer: v4.NewSigner()}, nil
}

// hosts of SQS, as the SDK's endpoint rules and the reference of regions have them: one of the groups is the region, or none is, for us-east-1.
var hosts = regexp.MustCompile(`^(?:sqs(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|api\.aws|api\.amazonwebservices\.com\.cn)|` +
	`vpce-[a-z0-9-]+\.sqs\.([a-z0-9-]+)\.vpce\.amazonaws\.com|(?:([a-z0-9-]+)\.)?queue\.amazonaws\.com)$`)

// queue is where a task's messages go.
type queue struct {
	url, endpoint, region string
	fifo                  bool
}

// Check implements publish.Publisher. The credentials are looked up, which may ask a service of the machine for them.
func (p *Publisher) Check(ctx context.Context, to rebased.Handoff) error {
	if _, err := p.queue(to); err != nil {
		return err
	}
	_, err := p.credentials(ctx)
	return err
}

// queue reads the queue's URL. The request is signed, with the session's token in it, so only SQS itself and the operator's own server get one.
func (p *Publisher) queue(to rebased.Handoff) (queue, error) {
	if to.SQS == nil {
		return queue{}, rebased.E(rebased.Invalid, "the task names no queue of SQS")
	}
	address, err := url.Parse(to.SQS.QueueURL)
	if err != nil || strings.Trim(address.Path, "/") == "" {
		return queue{}, rebased.E(rebased.Invalid, "handoff.sqs.queue_url has no queue: it is https://sqs.<region>.amazonaws.com/<account>/<name>")
	}
	q := queue{url: to.SQS.QueueURL, endpoint: origin(address) + "/", fifo: strings.HasSuffix(address.Path, ".fifo"), region: p.config.Region}
	if p.own != "" && origin(address) == p.own {
		if q.region == "" {
			q.region = "us-east-1"
		}
		return q, nil
	}
	found := hosts.FindStringSubmatch(strings.ToLower(address.Host))
	if found == nil || address.Scheme != "https" {
		return queue{}, rebased.E(rebased.Unauthorized, "%s is no address of SQS, so it is sent no signed request: an operator can name it to the workers as AWS_ENDPOINT_URL_SQS", origin(address))
	}
	q.region = strings.Join(found[1:], "")
	if q.region == "" {
		q.region = "us-east-1"
	}
	return q, nil
}

func (p *Publisher) credentials(ctx context.Context) (aws.Credentials, error) {
	const advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role, where the workers run"
	if p.config.Credentials == nil {
		return aws.Credentials{}, rebased.E(rebased.Unauthorized, "no credentials for SQS: %s", advice)
	}
	found, err := p.config.Credentials.Retrieve(ctx)
	switch {
	case err == nil:
		return found, nil
	case ctx.Err() != nil:
		return found, ctx.Err()
	}
	return found, rebased.E(rebased.Unauthorized, "no credentials for SQS: %s: %s", advice, rebased.Quote(err.Error(), ""))
}

// message is the input of SendMessage.
type message struct {
	QueueURL        string               `json:"QueueUrl"`
	Body            string               `json:"MessageBody"`
	Attributes      map[string]attribute `json:"MessageAttributes"`
	GroupID         string               `json:"MessageGroupId,omitempty"`
	DeduplicationID string               `json:"MessageDeduplicationId,omitempty"`
}

type attribute struct {
	DataType    string `json:"DataType"`
	StringValue string `json:"StringValue"`
}

// Publish implements publish.Publisher. A FIFO queue takes the message once within its five minutes, by the idempotency key, in order for each task.
func (p *Publisher) Publish(ctx context.Context, to rebased.Handoff, m publish.Message) (publish.Receipt, error) {
	q, err := p.queue(to)
	if err != nil {
		return publish.Receipt{}, err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return publish.Receipt{}, fmt.Errorf("encode the message: %w", err)
	}
	in := message{QueueURL: q.url, Body: string(text), Attributes: map[string]attribute{"idempotency_key": {"String", m.IdempotencyKey}}}
	if q.fifo {
		in.GroupID, in.DeduplicationID = m.Task, m.IdempotencyKey
	}
	body, err := json.Marshal(in)
	if err != nil {
		return publish.Receipt{}, fmt.Errorf("encode the request: %w", err)
	}
	code, said, quote, err := p.send(ctx, q, body)
	if err != nil {
		return publish.Receipt{}, err
	}
	var reply struct {
		MessageID string `json:"MessageId"`
	}
	switch {
	case code != http.StatusOK:
		return publish.Receipt{}, refusal(q, code, said, quote)
	case json.Unmarshal(said, &reply) != nil || reply.MessageID == "":
		return publish.Receipt{}, rebased.E(rebased.Unavailable, "send to %s: the reply names no message: %s", q.endpoint, quote(string(said)))
	}
	return publish.Receipt{ID: reply.MessageID}, nil
}

// send makes one request. quote repeats what was said, without the session's token: SQS says what it was to be signed over where a signature is wrong.
func (p *Publisher) send(ctx context.Context, q queue, body []byte) (status int, said []byte, quote func(string) string, err error) {
	used, err := p.credentials(ctx)
	if err != nil {
		return 0, nil, nil, err
	}
	quote = func(said string) string { return rebased.Quote(said, used.SessionToken) }
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, q.endpoint, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, rebased.E(rebased.Invalid, "handoff.sqs.queue_url: %s", rebased.Quote(err.Error(), ""))
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	request.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
	if err := p.signer.SignHTTP(ctx, used, request, hash(body), "sqs", q.region, p.config.Now()); err != nil {
		return 0, nil, nil, rebased.E(rebased.Invalid, "sign a request to %s: %s", q.endpoint, rebased.Quote(err.Error(), used.SecretAccessKey))
	}
	response, err := p.http.Do(request)
	if err == nil {
		defer func() { _ = response.Body.Close() }() // read to its end, or given up
		status = response.StatusCode
		said, err = io.ReadAll(io.LimitReader(response.Body, maxReply))
	}
	switch {
	case err == nil:
		return status, said, quote, nil
	case ctx.Err() != nil:
		return 0, nil, nil, ctx.Err()
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	return 0, nil, nil, rebased.E(rebased.Unavailable, "send to %s: %s", q.endpoint, quote(err.Error()))
}

// kinds of the errors that SQS and AWS's front answer (SendMessage, "Common Error Types"); "AWS.SimpleQueueService." before a name is cut off.
var kinds = map[string]rebased.Kind{
	"QueueDoesNotExist": rebased.NotFound, "NonExistentQueue": rebased.NotFound, "QueueDeletedRecently": rebased.Unavailable,
	"RequestThrottled": rebased.Throttled, "ThrottlingException": rebased.Throttled, "Throttling": rebased.Throttled, "KmsThrottled": rebased.Throttled, "OverLimit": rebased.Throttled,
	"AccessDenied": rebased.Unauthorized, "AccessDeniedException": rebased.Unauthorized, "InvalidClientTokenId": rebased.Unauthorized,
	"UnrecognizedClientException": rebased.Unauthorized, "SignatureDoesNotMatch": rebased.Unauthorized, "InvalidSignatureException": rebased.Unauthorized,
	"IncompleteSignature": rebased.Unauthorized, "MissingAuthenticationToken": rebased.Unauthorized, "NotAuthorized": rebased.Unauthorized,
	"OptInRequired": rebased.Unauthorized, "InvalidSecurity": rebased.Unauthorized, "KmsAccessDenied": rebased.Unauthorized,
	"ExpiredToken": rebased.Unavailable, "ExpiredTokenException": rebased.Unavailable, "RequestExpired": rebased.Unavailable, // signed anew, they may be taken
	"InternalFailure": rebased.Unavailable, "ServiceUnavailable": rebased.Unavailable,
}

func refusal(q queue, status int, said []byte, quote func(string) string) error {
	var reply struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
		Other   string `json:"Message"`
	}
	_ = json.Unmarshal(said, &reply) // what is no JSON is told as it is
	name := reply.Type[strings.LastIndexAny(reply.Type, "#.")+1:]
	text := fmt.Sprintf("%d %s: %s", status, quote(name), quote(reply.Message+reply.Other))
	if name == "" {
		text = fmt.Sprintf("%d: %s", status, quote(string(said)))
	}
	kind, known := kinds[name]
	switch {
	case known:
	case status == http.StatusTooManyRequests:
		kind = rebased.Throttled
	case status >= http.StatusInternalServerError:
		kind = rebased.Unavailable
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		kind = rebased.Unauthorized
	default:
		kind = rebased.Invalid
	}
	return rebased.E(kind, "send to %s: %s", q.endpoint, text)
}

func origin(address *url.URL) string {
	return strings.ToLower(address.Scheme + "://" + address.Host)
}

func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
