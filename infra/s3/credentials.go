package s3

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/rebased/rebased"
)

// credentials gives the errors of the SDK's chain their kind: the chain's last resort, the metadata service of an EC2 machine, fails like a
// network where there is no such machine, and to try again would not help.
type credentials struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.CredentialsProvider.Retrieve(ctx)
	if err == nil || ctx.Err() != nil {
		return found, err
	}
	kind := kindOf(err)
	var operation *smithy.OperationError
	if kind == rebased.Invalid || errors.As(err, &operation) && operation.ServiceID == "ec2imds" && statusOf(err) == 0 {
		kind = rebased.Unauthorized
	}
	return found, rebased.E(kind, "no credentials for the bucket: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role: %s",
		oneLine(err.Error()))
}
