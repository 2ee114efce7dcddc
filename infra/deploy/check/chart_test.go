package check

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const chart = "../helm/rebased"

// objects are what the chart may make; each is decoded strictly, so that a field that Kubernetes does not know is an error.
type objects struct {
	deployment *apps.Deployment
	account    *core.ServiceAccount
	budget     *policy.PodDisruptionBudget
	network    *networking.NetworkPolicy
	scaled     *keda.ScaledObject
	monitor    *monitoring.PodMonitor
	rule       *monitoring.PrometheusRule
	dashboards *core.ConfigMap
	notes      string
}

// required are the values without which nothing is rendered.
const required = `
image: {repository: registry.example/rebased-worker, tag: 0.1.0}
temporal: {address: "temporal:7233"}
store: s3://data/rebased
qdrant: {url: "http://qdrant:6334"}
`

// values reads layers of YAML, later ones over earlier ones.
func values(t *testing.T, layers ...string) map[string]any {
	t.Helper()
	all := map[string]any{}
	for _, layer := range layers {
		var read map[string]any
		if err := yaml.UnmarshalStrict([]byte(layer), &read); err != nil {
			t.Fatalf("%v in\n%s", err, layer)
		}
		all = loader.MergeMaps(all, read)
	}
	return all
}

// render does as helm template: values are checked against the schema, then each file is rendered.
func render(t *testing.T, layers ...string) (map[string]string, error) {
	t.Helper()
	c, err := loader.Load(chart)
	if err != nil {
		t.Fatal(err)
	}
	in, err := util.ToRenderValues(c, values(t, layers...), common.ReleaseOptions{Name: "nightly", Namespace: "ml", Revision: 1, IsInstall: true}, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	e := engine.Engine{Strict: true}
	return e.Render(c, in)
}

func decode(t *testing.T, files map[string]string) (o objects) {
	t.Helper()
	for path, text := range files {
		name := filepath.Base(path)
		if name == "NOTES.txt" {
			o.notes = text
		}
		if !strings.HasSuffix(name, ".yaml") || strings.TrimSpace(text) == "" {
			continue
		}
		kinds := map[string]any{
			"deployment.yaml": &o.deployment, "serviceaccount.yaml": &o.account, "poddisruptionbudget.yaml": &o.budget, "networkpolicy.yaml": &o.network,
			"scaledobject.yaml": &o.scaled, "podmonitor.yaml": &o.monitor, "prometheusrule.yaml": &o.rule, "dashboards.yaml": &o.dashboards,
		}
		into, known := kinds[name]
		if !known {
			t.Errorf("%s makes what is not checked", name)
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
			t.Errorf("%s: %v in\n%s", name, err, text)
		}
	}
	return o
}

func rendered(t *testing.T, layers ...string) objects {
	t.Helper()
	files, err := render(t, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, files)
}

func TestHelmFindsNothingToSayOfTheChart(t *testing.T) {
	for _, layers := range [][]string{{required}, {required, everything}} {
		for _, m := range lint.RunAll(chart, values(t, layers...), "ml").Messages {
			if m.Severity > support.InfoSev {
				t.Error(m)
			}
		}
	}
}

// everything turns all on.
const everything = `
image: {digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000", pullSecrets: [registry]}
existingSecrets: [teacher, bucket]
temporal:
  namespace: ml
  tls: {enabled: true, secret: temporal-client, ca: true, serverName: temporal.example}
  deployment: {name: rebased, buildId: 0.1.0}
aws: {region: eu-west-1, endpoint: "https://s3.example"}
qdrant: {collection: "shards=4,on-disk", caSecret: qdrant-ca}
teacher: {openaiBaseUrl: "http://vllm:8000/v1", anthropicBaseUrl: "https://gateway.example", origins: ["https://one.example", "https://two.example"]}
env: {OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4317"}
serviceAccount: {annotations: {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/rebased-worker"}}
scratch: {size: 100Gi, storageClass: fast}
podAnnotations: {team: ml}
podLabels: {team: ml}
nodeSelector: {pool: batch}
tolerations: [{key: batch, operator: Exists}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: pool, operator: In, values: [batch]}]}]}}}
priorityClassName: low
topologySpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}]
networkPolicy:
  ingressFrom: [{namespaceSelector: {matchLabels: {name: monitoring}}}]
  egress: {qdrant: [{podSelector: {matchLabels: {app: qdrant}}}]}
keda: {enabled: true, minReplicas: 0, authenticationRef: temporal}
metrics:
  podMonitor: {enabled: true, labels: {release: prometheus}}
  rules: {enabled: true, content: "groups: [{name: g, rules: [{alert: A, expr: up == 0, for: 5m, labels: {severity: page}}]}]"}
  dashboards: {enabled: true, files: {rebased.json: "{\"title\": \"rebased\"}"}}
`

func TestTheChartMakesWhatKubernetesKnows(t *testing.T) {
	least, most := rendered(t, required), rendered(t, required, everything)
	if least.deployment == nil || least.account == nil || least.budget == nil || least.network == nil {
		t.Fatalf("missing: %+v", least)
	}
	if least.scaled != nil || least.monitor != nil || least.rule != nil || least.dashboards != nil {
		t.Error("what needs other operators is made without being asked for")
	}
	if most.scaled == nil || most.monitor == nil || most.rule == nil || most.dashboards == nil {
		t.Fatalf("missing: %+v", most)
	}
	for _, o := range []objects{least, most} {
		checkPod(t, o)
	}
	if *least.deployment.Spec.Replicas != 2 || most.deployment.Spec.Replicas != nil {
		t.Error("replicas are the chart's without KEDA, and KEDA's with it")
	}
	if len(most.rule.Spec.Groups) != 1 || most.dashboards.Data["rebased.json"] == "" {
		t.Errorf("files that are passed in: %+v, %v", most.rule.Spec, most.dashboards.Data)
	}
	if !strings.Contains(most.notes, "set-current-version --deployment-name rebased --build-id 0.1.0") || strings.Contains(least.notes, "set-current-version") {
		t.Errorf("notes: %s", most.notes)
	}
}

// checkPod holds what every pod promises.
func checkPod(t *testing.T, o objects) {
	t.Helper()
	spec := o.deployment.Spec.Template.Spec
	c := spec.Containers[0]
	if !*spec.SecurityContext.RunAsNonRoot || !*c.SecurityContext.ReadOnlyRootFilesystem || *c.SecurityContext.AllowPrivilegeEscalation ||
		!slices.Contains(c.SecurityContext.Capabilities.Drop, "ALL") || *spec.AutomountServiceAccountToken {
		t.Errorf("the pod may more than it needs: %+v, %+v", spec.SecurityContext, c.SecurityContext)
	}
	if *spec.TerminationGracePeriodSeconds < 15 {
		t.Error("the kubelet kills a worker while it stops")
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("resources: %+v", c.Resources)
	}
	volumes := map[string]core.Volume{}
	for _, v := range spec.Volumes {
		volumes[v.Name] = v
	}
	scratch := volumes["scratch"]
	if scratch.EmptyDir != nil && scratch.EmptyDir.Medium != core.StorageMediumDefault || scratch.EmptyDir == nil && scratch.Ephemeral == nil {
		t.Errorf("TMPDIR is no disk: %+v", scratch)
	}
	for _, m := range c.VolumeMounts {
		if _, there := volumes[m.Name]; !there {
			t.Errorf("volume %s is mounted and not there", m.Name)
		}
	}
	env := map[string]bool{}
	for _, e := range c.Env {
		if env[e.Name] {
			t.Errorf("%s is set twice", e.Name)
		}
		env[e.Name] = true
	}
	labels := o.deployment.Spec.Template.Labels
	for what, selector := range map[string]map[string]string{
		"deployment": o.deployment.Spec.Selector.MatchLabels, "budget": o.budget.Spec.Selector.MatchLabels, "network policy": o.network.Spec.PodSelector.MatchLabels,
	} {
		for name, value := range selector {
			if labels[name] != value {
				t.Errorf("the %s selects other pods: %v, %v", what, selector, labels)
			}
		}
	}
	if o.scaled != nil && o.scaled.Spec.ScaleTargetRef.Name != o.deployment.Name {
		t.Errorf("KEDA scales %s", o.scaled.Spec.ScaleTargetRef.Name)
	}
	if o.account.Name != spec.ServiceAccountName {
		t.Errorf("the pod runs as %s", spec.ServiceAccountName)
	}
}

// TestEveryVariableOfTheChartIsOneThatIsRead compares with what the worker's help and its libraries name.
func TestEveryVariableOfTheChartIsOneThatIsRead(t *testing.T) {
	source, err := os.ReadFile("../../../worker/app/settings.go")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := []string{"AWS_REGION", "AWS_ENDPOINT_URL_S3", "TMPDIR", "GOMEMLIMIT", "OTEL_EXPORTER_OTLP_ENDPOINT"}
	o := rendered(t, required, everything)
	for _, e := range o.deployment.Spec.Template.Spec.Containers[0].Env {
		known := slices.Contains(elsewhere, e.Name) || strings.HasPrefix(e.Name, "TEMPORAL_") || strings.Contains(string(source), `"`+e.Name+`"`)
		if !known {
			t.Errorf("%s is read by nothing", e.Name)
		}
	}
}

func TestTheSchemaRefusesWhatCannotWork(t *testing.T) {
	for name, bad := range map[string]string{
		"a key that is not there":      `{replica: 3}`,
		"no image":                     `{image: {repository: ""}}`,
		"an image that moves":          `{image: {tag: latest}}`,
		"half a version":               `{temporal: {deployment: {name: rebased}}}`,
		"an address without a port":    `{temporal: {address: temporal}}`,
		"a store that is no bucket":    `{store: /data}`,
		"a key in an address":          `{qdrant: {url: "http://key@qdrant:6334"}}`,
		"a key as a plain variable":    `{env: {OPENAI_API_KEY: sk-1}}`,
		"a secret as a plain variable": `{env: {AWS_SECRET_ACCESS_KEY: x}}`,
		"too little time to stop":      `{terminationGracePeriodSeconds: 5}`,
		"no limit of memory":           `{resources: {limits: {memory: null}}}`,
		"a number as text":             `{replicas: "2"}`,
		"a budget that blocks drains":  `{podDisruptionBudget: {maxUnavailable: 0}}`,
	} {
		if files, err := render(t, required, bad); err == nil {
			t.Errorf("%s was rendered: %s", name, slices.Sorted(maps.Keys(files)))
		}
	}
	for name, asked := range map[string]string{"rules": `{metrics: {rules: {enabled: true}}}`, "dashboards": `{metrics: {dashboards: {enabled: true}}}`} {
		if _, err := render(t, required, asked); err == nil || !strings.Contains(err.Error(), "--set-file") {
			t.Errorf("%s without a file: %v", name, err)
		}
	}
	if _, err := render(t, `{}`); err == nil || !strings.Contains(fmt.Sprint(err), "store") {
		t.Errorf("without a value: %v", err)
	}
}
