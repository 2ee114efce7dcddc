#!/bin/sh
# Makes the bucket and gives the two accounts their permissions, those of infra/deploy/s3.
set -eu
aws s3api head-bucket --bucket rebased 2>/dev/null || aws s3api create-bucket --bucket rebased
aws s3api put-bucket-policy --bucket rebased --policy file:///scripts/bucket-policy.json
