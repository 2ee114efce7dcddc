#!/bin/sh
# Makes the namespace and the two search attributes. Run again it changes nothing.
set -eu
tries=0
until temporal operator cluster health >/dev/null; do
	tries=$((tries + 1))
	if [ "$tries" -ge 30 ]; then
		echo "Temporal at $TEMPORAL_ADDRESS is not healthy" >&2
		exit 1
	fi
	sleep 2
done
if ! temporal operator namespace describe --namespace default >/dev/null 2>&1; then
	temporal operator namespace create --namespace default --retention "$RETENTION"
fi
attributes=$(temporal operator search-attribute list --namespace default)
for name in RebasedTask RebasedState; do
	case $attributes in
	*"$name"*) ;;
	*) temporal operator search-attribute create --namespace default --name "$name" --type Keyword ;;
	esac
done
