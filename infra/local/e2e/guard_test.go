package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/versity/versitygw/iamapi/policy"
	"github.com/versity/versitygw/iamapi/types"
)

// access is one thing that a request needs a permission for.
type access struct {
	action, resource string // resource is an ARN
	write            write
}

// write is how a request writes, for conditions on that.
type write string

const (
	free        write = "unconditional"
	ifNoneMatch write = "s3:if-none-match"
	ifMatch     write = "s3:if-match"
	part        write = "part" // of an upload, which is no object yet
)

func (a access) String() string {
	return strings.TrimSpace(a.action + " " + strings.TrimPrefix(a.resource, "arn:aws:s3:::") + " " + string(a.write))
}

// context is what conditions may ask about the request.
func (a access) context() map[string][]string {
	context := map[string][]string{"aws:SecureTransport": {"true"}}
	if a.write != "" {
		context["s3:ObjectCreationOperation"] = []string{fmt.Sprint(a.write != part)}
	}
	if a.write == ifNoneMatch || a.write == ifMatch {
		context[string(a.write)] = []string{"*"}
	}
	return context
}

// guard stands before the bucket as IAM does: a request that its policy does not allow is refused, and what was asked for is remembered. Signatures are
// left to the gateway behind it.
type guard struct {
	Address string

	policy string // of who comes this way
	both   string // with that of the bucket

	mu     sync.Mutex
	asked  map[access]bool
	denied map[access]bool
}

// newGuard makes a way to the gateway under the policies of who comes and of the bucket. The end of the test closes it.
func newGuard(t *testing.T, gateway, policy, bucketPolicy string) *guard {
	t.Helper()
	g := &guard{policy: policy, both: joined(t, policy, bucketPolicy), asked: map[access]bool{}, denied: map[access]bool{}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: gateway})
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: g.hideMissing,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		Transport:      &http.Transport{DialContext: (&net.Dialer{}).DialContext, MaxIdleConnsPerHost: 64, DisableCompression: true},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, a := range accessesOf(r) {
			if !g.allow(a) {
				w.Header().Set("Content-Type", "application/xml")
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.WriteString(w, refusal)
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	g.Address = server.Listener.Addr().String()
	return g
}

const refusal = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>no statement allows it</Message></Error>`

// hideMissing does as S3: who may not list the bucket is not told that an object is missing, but refused. The request has no prefix, so that a
// condition on one would not help.
func (g *guard) hideMissing(r *http.Response) error {
	bucket, key := bucketAndKey(r.Request)
	read := r.Request.Method == http.MethodGet || r.Request.Method == http.MethodHead
	if r.StatusCode != http.StatusNotFound || !read || key == "" || g.allow(access{action: "s3:ListBucket", resource: "arn:aws:s3:::" + bucket}) {
		return nil
	}
	_ = r.Body.Close()
	r.StatusCode, r.Status = http.StatusForbidden, "403 Forbidden"
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader("")), 0
	r.Header.Set("Content-Length", "0")
	return nil
}

func (g *guard) allow(a access) bool {
	allowed := allows(g.both, a)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked[a] = true
	if !allowed {
		g.denied[a] = true
	}
	return allowed
}

// refused gives what was asked for and not allowed.
func (g *guard) refused() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return sortedAccesses(g.denied)
}

func sortedAccesses(set map[access]bool) (all []string) {
	for a := range set {
		all = append(all, a.String())
	}
	slices.Sort(all)
	return all
}

// allows has a policy decide, by the evaluator of the gateway's own IAM service.
func allows(document string, a access) bool {
	request := policy.RequestContext{Action: a.action, Resource: a.resource, Condition: a.context()}
	return policy.EvaluateIdentityPolicies([]types.PolicyEntry{{PolicyDocument: document}}, request) == policy.DecisionAllow
}

func bucketAndKey(r *http.Request) (bucket, key string) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return bucket, key
}

// accessesOf gives the permissions that S3 wants for a request, as its reference says. A request of which it is not known needs what nobody has.
func accessesOf(r *http.Request) []access {
	bucket, key := bucketAndKey(r)
	arn := "arn:aws:s3:::" + bucket
	query := r.URL.Query()
	if key == "" {
		listing := r.Method == http.MethodGet && query.Get("list-type") == "2"
		if listing || r.Method == http.MethodHead {
			return []access{{action: "s3:ListBucket", resource: arn}}
		}
		return []access{{action: "unknown:" + r.Method + r.URL.RawQuery, resource: arn}}
	}
	arn += "/" + key
	query.Del("x-id")
	how := free
	if r.Header.Get("If-None-Match") == "*" {
		how = ifNoneMatch
	}
	switch what := r.Method + " " + strings.Join(slices.Sorted(maps.Keys(query)), " "); {
	case r.Header.Get("X-Amz-Copy-Source") != "":
	case what == "GET ", what == "HEAD ":
		return []access{{action: "s3:GetObject", resource: arn}}
	case what == "PUT " && r.Header.Get("If-Match") != "": // S3 wants that the writer may read what it compares with
		return []access{{"s3:PutObject", arn, ifMatch}, {action: "s3:GetObject", resource: arn}}
	case what == "PUT ", what == "POST uploadId":
		return []access{{"s3:PutObject", arn, how}}
	case what == "PUT partNumber uploadId", what == "POST uploads":
		return []access{{"s3:PutObject", arn, part}}
	case what == "DELETE ":
		return []access{{action: "s3:DeleteObject", resource: arn}}
	case what == "DELETE uploadId":
		return []access{{action: "s3:AbortMultipartUpload", resource: arn}}
	}
	return []access{{action: "unknown:" + r.Method, resource: arn}}
}

// policyOf reads a policy that is shipped, for a bucket and a prefix.
func policyOf(t *testing.T, name string, replace ...string) string {
	t.Helper()
	body, err := os.ReadFile("../../deploy/s3/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(replace...).Replace(string(body))
}

// statement is one of a policy; the principal of a bucket's is everybody.
type statement struct {
	Sid, Effect      string
	Action, Resource any
	Condition        map[string]map[string]string `json:",omitempty"`
}

// joined makes one policy of several.
func joined(t *testing.T, documents ...string) string {
	t.Helper()
	var all []statement
	for _, document := range documents {
		all = append(all, statementsOf(t, document)...)
	}
	return documentOf(t, all)
}

func statementsOf(t *testing.T, document string) []statement {
	t.Helper()
	var read struct{ Statement []statement }
	if err := json.Unmarshal([]byte(document), &read); err != nil {
		t.Fatal(err)
	}
	return read.Statement
}

func documentOf(t *testing.T, statements []statement) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// superfluous gives the permissions of a policy, an action on a resource each, without which all that was asked for would have been allowed too.
func (g *guard) superfluous(t *testing.T) (needless []string) {
	t.Helper()
	var single []statement
	for _, s := range statementsOf(t, g.policy) {
		for _, action := range texts(s.Action) {
			for _, resource := range texts(s.Resource) {
				single = append(single, statement{Effect: s.Effect, Action: action, Resource: resource})
			}
		}
	}
	for a := range g.asked { // who begins an upload must be able to drop it
		if abort := (access{action: "s3:AbortMultipartUpload", resource: a.resource}); a.write == part && !allows(g.policy, abort) {
			t.Errorf("an upload can be begun and not be dropped: no %s", abort)
		}
	}
	for i, s := range single {
		without := documentOf(t, slices.Delete(slices.Clone(single), i, i+1))
		missed := false
		for a := range g.asked {
			missed = missed || !allows(without, a)
		}
		if !missed {
			needless = append(needless, fmt.Sprint(s.Action, " ", s.Resource))
		}
	}
	return needless
}

// texts reads a JSON value that is a text or a list of them.
func texts(value any) (all []string) {
	if text, ok := value.(string); ok {
		return []string{text}
	}
	list, _ := value.([]any)
	for _, v := range list {
		all = append(all, fmt.Sprint(v))
	}
	return all
}
