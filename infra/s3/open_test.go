package s3

import (
	"net/http"
	"testing"

	"github.com/rebased/rebased"
)

func TestOpenRefusesWhatIsNoStore(t *testing.T) {
	settings(t, map[string]string{"AWS_REGION": "eu-west-1"})
	for _, uri := range []string{"", "bucket", "s3://", "s3:///prefix", "https://bucket", "s3://user@bucket", "s3://b ucket"} {
		_, err := Open(t.Context(), uri)
		wantError(t, err, rebased.Invalid, "the store must be s3://bucket[/prefix], got ")
	}
}

func TestOpenReadsBucketAndPrefix(t *testing.T) {
	settings(t, map[string]string{"AWS_REGION": "eu-west-1"})
	for uri, want := range map[string]string{
		"s3://bucket": "s3://bucket/k", "s3://bucket/": "s3://bucket/k", "s3://bucket/a/b/": "s3://bucket/a/b/k", "s3://bucket//a": "s3://bucket/a/k",
	} {
		store, err := Open(t.Context(), uri)
		if err != nil {
			t.Fatal(err)
		}
		if got := store.URI("k"); got != want {
			t.Errorf("%s: k stands at %s, want %s", uri, got, want)
		}
	}
}

func TestOpenNeedsARegionOrAnEndpoint(t *testing.T) {
	settings(t, nil)
	_, err := Open(t.Context(), "s3://bucket")
	wantError(t, err, rebased.Invalid, "no AWS region is set")
}

func TestAnotherServerIsAddressedByPath(t *testing.T) {
	for endpoint, want := range map[string]bool{"": false, "http://localhost:1": true} {
		settings(t, map[string]string{"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL_S3": endpoint})
		store, err := Open(t.Context(), "s3://bucket")
		if err != nil {
			t.Fatal(err)
		}
		if got := store.client.Options().UsePathStyle; got != want {
			t.Errorf("endpoint %q: by path %v, want %v", endpoint, got, want)
		}
	}
}

func TestCredentialsThatAreMissingAreUnauthorized(t *testing.T) {
	settings(t, map[string]string{"AWS_REGION": "eu-west-1"})
	store, err := Open(t.Context(), "s3://bucket")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = store.Get(t.Context(), "k")
	wantError(t, err, rebased.Unauthorized, "get k: no credentials for the bucket: set AWS_ACCESS_KEY_ID")
}

func TestPingRefusesABucketWithoutConditions(t *testing.T) {
	deleted := false
	store, _ := scripted(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		deleted = deleted || r.Method == http.MethodDelete
		w.Header().Set("ETag", `"always the same"`)
	})
	wantError(t, store.Ping(t.Context()), rebased.Invalid, "bucket bucket ignores If-None-Match")
	if !deleted {
		t.Fatal("the probe was left behind")
	}
}

func TestPingSaysWhyTheBucketCannotBeWritten(t *testing.T) {
	store, _ := scripted(t, func(w http.ResponseWriter, _ *http.Request, _ int) { fail(w, 403, "AccessDenied") })
	wantError(t, store.Ping(t.Context()), rebased.Unauthorized, "put probes/")
}
