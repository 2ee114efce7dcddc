package bedrock

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

// Account is whose credentials sign the requests, and the region that they are sent to.
type Account struct {
	Region      string // "" = not set
	Credentials aws.CredentialsProvider
}

// LoadAccount reads region and credentials by the AWS SDK's own chain: AWS_*, profiles, roles. It connects to nothing.
func LoadAccount(ctx context.Context) (Account, error) {
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return Account{}, rebased.E(rebased.Invalid, "read the AWS settings: %s", rebased.Quote(err.Error(), ""))
	}
	return Account{Region: settings.Region, Credentials: settings.Credentials}, nil
}

// host is how the runtime's hosts begin; the region follows.
const host = "bedrock-runtime"

// BaseURLOf is the address of Bedrock in a region, as the SDK's endpoint rules have it; "" without one.
func BaseURLOf(region string) string {
	if region == "" {
		return ""
	}
	domain := "amazonaws.com"
	switch {
	case strings.HasPrefix(region, "cn-"):
		domain = "amazonaws.com.cn"
	case strings.HasPrefix(region, "eusc-"):
		domain = "amazonaws.eu"
	}
	return "https://" + host + "." + region + "." + domain
}

// regionOf is the region that a host name names (bedrock-runtime.eu-west-1.amazonaws.com, those of FIPS and of VPC endpoints too); that of the
// account for another host.
func regionOf(name, otherwise string) string {
	labels := strings.Split(strings.ToLower(name), ".")
	for i, label := range labels {
		if (label == host || label == host+"-fips") && i+1 < len(labels) {
			return labels[i+1]
		}
	}
	if otherwise == "" {
		return "us-east-1" // a name to sign with; what other servers expect when none is said
	}
	return otherwise
}

// secrets are what a request was sent with: the secret access key or API key, and the session's token.
type secrets struct{ key, session string }

// quote repeats what a server said. Bedrock says back what was to be signed, the session's token with it.
func (s secrets) quote(said string) string {
	if s.session != "" {
		said = strings.ReplaceAll(said, s.session, "***")
	}
	return rebased.Quote(said, s.key)
}

// authorize gives a request the API key, or signs it.
func (t *Teacher) authorize(ctx context.Context, request *http.Request, body []byte) (secrets, error) {
	found, err := t.retrieve(ctx)
	if err != nil {
		return secrets{}, err
	}
	if t.apiKey != "" {
		request.Header.Set("Authorization", "Bearer "+t.apiKey)
		return secrets{key: t.apiKey}, nil
	}
	sum := sha256.Sum256(body)
	if err := t.signer.SignHTTP(ctx, found, request, hex.EncodeToString(sum[:]), "bedrock", t.region, t.now()); err != nil {
		return secrets{}, rebased.E(rebased.Invalid, "sign a request to %s: %s", t.endpoint, rebased.Quote(err.Error(), found.SecretAccessKey))
	}
	return secrets{key: found.SecretAccessKey, session: found.SessionToken}, nil
}

const keyAdvice = "set AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role, where the worker runs"

// retrieve gives the credentials of the account; none where an API key stands in for them.
func (t *Teacher) retrieve(ctx context.Context) (aws.Credentials, error) {
	if t.apiKey != "" {
		return aws.Credentials{}, nil
	}
	if t.credentials == nil {
		return aws.Credentials{}, rebased.E(rebased.Unauthorized, "no credentials for Bedrock: %s", keyAdvice)
	}
	found, err := t.credentials.Retrieve(ctx)
	switch {
	case err == nil:
		return found, nil
	case ctx.Err() != nil:
		return found, ctx.Err()
	case passes(err):
		said := fmt.Errorf("%s (%w)", rebased.Quote(err.Error(), ""), llm.ErrNotBilled)
		return found, &rebased.Error{Kind: rebased.Unavailable, Op: "get credentials for Bedrock", Err: said}
	}
	return found, rebased.E(rebased.Unauthorized, "no credentials for Bedrock: %s: %s", keyAdvice, rebased.Quote(err.Error(), ""))
}

// passes tells a failure of the service that gives credentials from credentials that are not there. The chain's last resort, the metadata service
// of an EC2 machine, fails like a network where there is no such machine.
func passes(err error) bool {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) && response.Response != nil {
		status := response.HTTPStatusCode()
		return status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
	}
	var operation *smithy.OperationError
	if errors.As(err, &operation) && operation.ServiceID == "ec2imds" {
		return false
	}
	var send *smithyhttp.RequestSendError
	return errors.As(err, &send)
}
