package s3

import (
	"crypto/md5"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
)

// datasetsBucket serves objects of the bucket "data".
func datasetsBucket(t *testing.T, objects map[string]string) (*Origin, *server) {
	t.Helper()
	_, server := scripted(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch body, there := objects[key]; {
		case bucket == "locked":
			fail(w, http.StatusForbidden, "AccessDenied")
		case bucket != "data":
			fail(w, http.StatusNotFound, "NoSuchBucket")
		case key == "":
			fmt.Fprint(w, "<ListBucketResult>")
			for _, key := range slices.Sorted(maps.Keys(objects)) {
				if strings.HasPrefix(key, r.URL.Query().Get("prefix")) {
					fmt.Fprintf(w, "<Contents><Key>%s</Key><Size>%d</Size><ETag>&quot;%x&quot;</ETag></Contents>", key, len(objects[key]), md5.Sum([]byte(objects[key])))
				}
			}
			fmt.Fprint(w, "</ListBucketResult>")
		case !there:
			fail(w, http.StatusNotFound, "NoSuchKey")
		case r.Header.Get("If-Match") != "" && r.Header.Get("If-Match") != fmt.Sprintf(`"%x"`, md5.Sum([]byte(body))):
			fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
		default:
			w.Header().Set("ETag", fmt.Sprintf(`"%x"`, md5.Sum([]byte(body))))
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(body))
		}
	})
	return &Origin{}, server
}

func contents(t *testing.T, o *Origin, file rebased.Source) (string, error) {
	t.Helper()
	r, err := o.Open(t.Context(), file)
	if err != nil {
		return "", err
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	return string(body), err
}

func TestAPrefixIsLaidOutAsAFolderIs(t *testing.T) {
	o, _ := datasetsBucket(t, map[string]string{
		"sets/hub/": "", "sets/hub/a--b/train.jsonl": "{}\n", "sets/hub/datasets.jsonl": `{"dataset":"a/b","license":"mit"}`,
		"sets/hub/note.bin": "x", "sets/hub/.hidden.csv": "x", "sets/hub2/c.csv": "x", "sets/hub/empty.csv": "",
	})
	for _, source := range []string{"s3://data/sets/hub", "s3://data/sets/hub/"} {
		found, err := o.List(t.Context(), source)
		if err != nil || len(found.Sources) != 2 || len(found.Skipped) != 1 {
			t.Fatalf("%s: %+v, %v", source, found, err)
		}
		got := found.Sources[0]
		want := rebased.Source{
			Path: "a--b/train.jsonl", Size: 3, DatasetID: rebased.DatasetID{Name: "a/b", Config: "default", Split: "train"}, License: "mit",
			Address: "s3://data/sets/hub/a--b/train.jsonl", ETag: fmt.Sprintf("%x", md5.Sum([]byte("{}\n"))),
		}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if body, err := contents(t, o, got); err != nil || body != "{}\n" {
			t.Errorf("read %q, %v", body, err)
		}
		if body, err := contents(t, o, found.Sources[1]); err != nil || body != "" {
			t.Errorf("an empty object: %q, %v", body, err)
		}
	}
}

func TestOneObjectIsASourceToo(t *testing.T) {
	o, _ := datasetsBucket(t, map[string]string{"sets/c.csv": "q\nx\n", "sets/c.csv.bak": "y"})
	found, err := o.List(t.Context(), "s3://data/sets/c.csv")
	if err != nil || len(found.Sources) != 1 || found.Sources[0].Name != "c" || found.Sources[0].Address != "s3://data/sets/c.csv" {
		t.Fatalf("%+v, %v", found, err)
	}
	if body, err := contents(t, o, found.Sources[0]); err != nil || body != "q\nx\n" {
		t.Errorf("read %q, %v", body, err)
	}
}

func TestAnObjectThatHasChangedSinceTheListingIsRefused(t *testing.T) {
	objects := map[string]string{"c.csv": "q\nx\n"}
	o, _ := datasetsBucket(t, objects)
	found, err := o.List(t.Context(), "s3://data")
	if err != nil || len(found.Sources) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	objects["c.csv"] = "q\ny\n"
	_, err = contents(t, o, found.Sources[0])
	wantError(t, err, rebased.Conflict, "the object has changed since it was listed")
}

func TestAPrefixThatCannotBeReadSaysWhatToDo(t *testing.T) {
	o, _ := datasetsBucket(t, map[string]string{"sets/c.csv": "x"})
	for source, want := range map[string]struct {
		kind   rebased.Kind
		begins string
	}{
		"s3://data/none":   {rebased.NotFound, "there is no such object, and none under it"},
		"s3://nowhere/set": {rebased.NotFound, "list set/*: bucket nowhere does not exist"},
		"s3://locked/set":  {rebased.Unauthorized, "list set/*: the worker's AWS credentials may not read bucket locked"},
		"s3:///set":        {rebased.Invalid, "must be s3://bucket[/prefix]"},
	} {
		_, err := o.List(t.Context(), source)
		wantError(t, err, want.kind, want.begins)
	}
	var _ ingest.Origin = o
}

func TestABucketIsReadInItsRegion(t *testing.T) {
	for name, status := range map[string]int{"moved": http.StatusMovedPermanently, "refused": http.StatusBadRequest, "there": http.StatusOK} {
		o := &Origin{}
		scripted(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			w.Header().Set("X-Amz-Bucket-Region", "eu-south-2")
			switch signed := strings.Contains(r.Header.Get("Authorization"), "/eu-south-2/s3/"); {
			case !signed && r.Method == http.MethodHead:
				w.WriteHeader(status)
			case !signed:
				fail(w, http.StatusMovedPermanently, "PermanentRedirect")
			default:
				fmt.Fprint(w, `<ListBucketResult><Contents><Key>a.csv</Key><Size>1</Size><ETag>"e"</ETag></Contents></ListBucketResult>`)
			}
		})
		if found, err := o.List(t.Context(), "s3://data"); err != nil || len(found.Sources) != 1 {
			t.Errorf("%s: got %v, %v", name, found, err)
		}
	}
}
