#!/bin/sh
# Makes Temporal's two databases in PostgreSQL and brings their schemas up to this version of the tools. Run again it does what is left.
set -eu
for database in temporal temporal_visibility; do
	tool() { temporal-sql-tool --plugin postgres12 --endpoint postgres --port 5432 --user temporal --database "$database" "$@"; }
	versions=/etc/temporal/schema/postgresql/v12/${database#temporal_}/versioned
	tool create-database
	tool setup-schema -v 0.0 # leaves a newer one as it is
	tool update-schema -d "$versions"
done
