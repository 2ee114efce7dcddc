#!/bin/sh
# Makes the accounts of the worker and the command line, or gives them the secrets of today.
set -eu
account() {
	versitygw admin create-user --access "$1" --secret "$2" --role user ||
		versitygw admin update-user --access "$1" --secret "$2" --role user
}
account rebased-worker "$S3_WORKER_SECRET"
account rebased-starter "$S3_STARTER_SECRET"
