package promcheck

import (
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	listPath      = "../../telemetry/testdata/metrics.txt"
	rulesPath     = "../prometheus/alerts.yaml"
	dashboardPath = "../grafana/rebased.json"
)

// shown are the metrics that a worker shows, as series are named, each with its labels.
func shown(t *testing.T) map[string][]string {
	t.Helper()
	body, err := os.ReadFile(listPath)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for line := range strings.Lines(string(body)) {
		fields := strings.Fields(line)
		of := []string{"instance", "job"} // of the scrape
		if len(fields) > 2 {
			of = append(of, strings.Split(fields[2], ",")...)
		}
		if fields[1] != "histogram" {
			out[fields[0]] = of
			continue
		}
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			out[fields[0]+suffix] = append(slices.Clone(of), "le")
		}
	}
	return out
}

// check fails for each metric or label of an expression that no worker shows.
func check(t *testing.T, where, expr string, metrics map[string][]string) {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	var all []string
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		of, known := metrics[selector.Name]
		if !known {
			t.Errorf("%s: no worker shows %s", where, selector.Name)
		}
		all = append(all, of...)
		for _, m := range selector.LabelMatchers {
			if m.Name != model.MetricNameLabel && !slices.Contains(of, m.Name) {
				t.Errorf("%s: %s has no label %s", where, selector.Name, m.Name)
			}
		}
		return nil
	})
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if aggregate, ok := node.(*parser.AggregateExpr); ok {
			for _, label := range aggregate.Grouping {
				if !slices.Contains(all, label) {
					t.Errorf("%s: nothing in it has the label %s", where, label)
				}
			}
		}
		return nil
	})
}

// rules are the alerts.
func rules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	body, err := os.ReadFile(rulesPath)
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(body, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if groups == nil {
		t.FailNow()
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func TestAlertsNameWhatWorkersShow(t *testing.T) {
	metrics := shown(t)
	for _, r := range rules(t) {
		check(t, r.Alert, r.Expr, metrics)
		if !slices.Contains([]string{"info", "warning", "critical"}, r.Labels["severity"]) || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s needs a severity, a summary and a description", r.Alert)
		}
	}
}

// dashboard is the part of Grafana's form that holds queries.
type dashboard struct {
	Panels []struct {
		ID      int
		Title   string
		Type    string
		Targets []struct{ Expr string }
		GridPos struct{ X, Y, W, H int }
	}
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
}

func TestTheDashboardNamesWhatWorkersShow(t *testing.T) {
	metrics := shown(t)
	body, err := os.ReadFile(dashboardPath)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatal(err)
	}
	filled := []string{"$__rate_interval", "5m"}
	for _, v := range d.Templating.List {
		filled = append(filled, "$"+v.Name, ".*")
		if v.Type != "query" {
			continue
		}
		inner, found := strings.CutPrefix(strings.TrimSuffix(v.Definition, ")"), "label_values(")
		metric, label, _ := strings.Cut(inner, ", ")
		if !found || !slices.Contains(metrics[metric], label) {
			t.Errorf("variable %s: no worker shows %s", v.Name, v.Definition)
		}
	}
	ids, asked := map[int]bool{}, 0
	for i, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("panel %q has the id of another", p.Title)
		}
		ids[p.ID] = true
		for _, other := range d.Panels[:i] {
			a, b := p.GridPos, other.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("panel %q lies over %q", p.Title, other.Title)
			}
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q asks nothing", p.Title)
		}
		for _, target := range p.Targets {
			check(t, p.Title, strings.NewReplacer(filled...).Replace(target.Expr), metrics)
			asked++
		}
	}
	if asked == 0 {
		t.Error("no panel asks anything")
	}
}

// Each metric of ours is of use to somebody who looks at the dashboard or is woken by an alert.
func TestEveryMetricIsLookedAt(t *testing.T) {
	body, err := os.ReadFile(dashboardPath)
	if err != nil {
		t.Fatal(err)
	}
	text := string(body)
	for _, r := range rules(t) {
		text += r.Expr
	}
	for name := range shown(t) {
		base := name
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			base = strings.TrimSuffix(base, suffix)
		}
		if strings.HasPrefix(name, "rebased_") && !strings.Contains(text, base) {
			t.Errorf("%s is in no panel and no alert", base)
		}
	}
}
