package promcheck

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// What is scraped: a sample a minute from minute 0 on, in promtool's notation (0+2x30 = from 0, 30 times 2 more; _x5 = five without).
const worker = `rebased_worker_info{instance="a",job="rebased",version="1"} 1x400`

// alerts are, for each rule, scrapes on which it fires at a minute, and such on which it does not.
var alerts = map[string]struct {
	at            int // minute
	fires, silent []string
}{
	"RebasedNoWorker": {60,
		[]string{`rebased_worker_info{instance="a",job="rebased"} 1x30`},
		[]string{worker}},
	"RebasedStepsWait": {60,
		[]string{`temporal_activity_schedule_to_start_latency_seconds_bucket{task_queue="rebased",le="120"} 0x90
			temporal_activity_schedule_to_start_latency_seconds_bucket{task_queue="rebased",le="600"} 0+5x90
			temporal_activity_schedule_to_start_latency_seconds_bucket{task_queue="rebased",le="+Inf"} 0+5x90`},
		[]string{`temporal_activity_schedule_to_start_latency_seconds_bucket{task_queue="rebased",le="120"} 0+5x90
			temporal_activity_schedule_to_start_latency_seconds_bucket{task_queue="rebased",le="600"} 0+5x90
			temporal_activity_schedule_to_start_latency_seconds_bucket{task_queue="rebased",le="+Inf"} 0+5x90`}},
	"RebasedBuildFailed": {60,
		[]string{`rebased_build_duration_seconds_count{instance="a",task="squad",state="failed"} _x49 1x20`, // the first of a worker
			`rebased_build_duration_seconds_count{instance="a",task="squad",state="failed"} 3x49 4x20`},
		[]string{`rebased_build_duration_seconds_count{instance="a",task="squad",state="failed"} 3x90`,
			`rebased_build_duration_seconds_count{instance="a",task="squad",state="released"} _x49 1x20`}},
	"RebasedBuildWaitsForAPerson": {60,
		[]string{`rebased_build_states_total{instance="a",state="paused"} _x49 1x20`, `rebased_build_states_total{instance="a",state="awaiting_approval"} 1x49 2x20`},
		[]string{`rebased_build_states_total{instance="a",state="paused"} 2x90`, `rebased_build_states_total{instance="a",state="released"} _x49 1x20`}},
	"RebasedTeacherFails": {60,
		[]string{calls("ok", 1) + calls("unavailable", 9)},
		[]string{calls("ok", 9) + calls("unavailable", 1), calls("ok", 1) + calls("canceled", 50)}},
	"RebasedTeacherRefusesKey": {60,
		[]string{`rebased_teacher_call_duration_seconds_count{instance="a",model="m",outcome="unauthorized",status="4xx",step="transform"} _x54 1x20`},
		[]string{calls("ok", 9) + calls("throttled", 9)}},
	"RebasedTeacherThrottles": {90,
		[]string{calls("ok", 3) + calls("throttled", 1)},
		[]string{calls("ok", 9) + calls("throttled", 1)}},
	"RebasedRejectsManyRows": {120,
		[]string{rows(10, 30)},
		[]string{rows(30, 10), strings.ReplaceAll(rows(10, 30), "TransformShard", "DedupeRows")}},
	"RebasedSpendsMuch": {300,
		[]string{`rebased_cost_usd_total{instance="a",task="squad",model="m",step="transform"} 0+1x400`},
		[]string{`rebased_cost_usd_total{instance="a",task="squad",model="m",step="transform"} 0+0.1x400`}},
	"RebasedStoreFails": {60,
		[]string{requests("s3", "ok", 10) + requests("s3", "unavailable", 2)},
		[]string{requests("s3", "ok", 10) + requests("s3", "not_found", 50) + requests("s3", "conflict", 50)}},
	"RebasedQdrantFails": {60,
		[]string{requests("qdrant", "ok", 10) + requests("qdrant", "unavailable", 2)},
		[]string{requests("qdrant", "ok", 10) + requests("qdrant", "canceled", 50)}},
	"RebasedBatchLost": {60,
		[]string{`rebased_batches_total{instance="a",model="m",event="lost"} _x30 1x60`},
		[]string{`rebased_batches_total{instance="a",model="m",event="ended"} 0+1x90`}},
	"RebasedWorkerGrows": {60,
		[]string{worker + `
			process_resident_memory_bytes{instance="a",job="rebased"} 2e9x90`},
		[]string{worker + `
			process_resident_memory_bytes{instance="a",job="rebased"} 5e8x90
			process_resident_memory_bytes{instance="b",job="other"} 8e9x90`}},
}

func calls(outcome string, aMinute int) string {
	return fmt.Sprintf("rebased_teacher_call_duration_seconds_count{instance=\"a\",model=\"m\",outcome=%q,step=\"transform\"} 0+%dx200\n", outcome, aMinute)
}

func rows(good, rejected int) string {
	return fmt.Sprintf("rebased_rows_total{instance=\"a\",task=\"squad\",step=\"TransformShard\"} 0+%dx200\n"+
		"rebased_rejects_total{instance=\"a\",task=\"squad\",step=\"TransformShard\",reason=\"too_long\"} 0+%dx200\n", good, rejected)
}

func requests(system, outcome string, aMinute int) string {
	return fmt.Sprintf("rebased_%s_request_duration_seconds_count{instance=\"a\",operation=\"get\",outcome=%q} 0+%dx200\n", system, outcome, aMinute)
}

func TestAlertsFireOnWhatTheyAreFor(t *testing.T) {
	tested := map[string]bool{}
	for _, r := range rules(t) {
		tested[r.Alert] = true
		c, known := alerts[r.Alert]
		if !known || len(c.fires) == 0 || len(c.silent) == 0 {
			t.Errorf("%s has no test of when it fires and when it does not", r.Alert)
			continue
		}
		for i, scrape := range c.fires {
			if !fires(t, r, c.at, scrape) {
				t.Errorf("%s does not fire on %d: %s", r.Alert, i, scrape)
			}
		}
		for i, scrape := range c.silent {
			if fires(t, r, c.at, scrape) {
				t.Errorf("%s fires on %d: %s", r.Alert, i, scrape)
			}
		}
	}
	for name := range alerts {
		if !tested[name] {
			t.Errorf("there is no alert %s", name)
		}
	}
}

// fires tells whether a rule has held for as long as it says, looked at each minute.
func fires(t *testing.T, r rulefmt.Rule, at int, scrape string) bool {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e7, Timeout: time.Minute, LookbackDelta: 5 * time.Minute})
	data := scraped(t, scrape)
	for minute := at - int(time.Duration(r.For).Minutes()); minute <= at; minute++ {
		query, err := engine.NewInstantQuery(t.Context(), data, nil, r.Expr, time.Unix(int64(minute)*60, 0))
		if err != nil {
			t.Fatal(err)
		}
		result := query.Exec(t.Context())
		vector, err := result.Vector()
		if err != nil {
			t.Fatalf("%s: %v", r.Alert, err)
		}
		if len(vector) == 0 {
			return false
		}
	}
	return true
}

// scraped is a storage that holds what was scraped.
func scraped(t *testing.T, scrape string) storage.Queryable {
	t.Helper()
	var all []storage.Series
	for line := range strings.Lines(scrape) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		of, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		var samples []chunks.Sample
		for i, v := range values {
			if !v.Omitted {
				samples = append(samples, sample{int64(i) * 60_000, v.Value})
			}
		}
		all = append(all, storage.NewListSeries(of, samples))
	}
	return storage.QueryableFunc(func(int64, int64) (storage.Querier, error) {
		return &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			set := &series{at: -1}
			for _, s := range all {
				if matches(s.Labels(), matchers) {
					set.all = append(set.all, s)
				}
			}
			return set
		}}, nil
	})
}

func matches(of labels.Labels, matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if !m.Matches(of.Get(m.Name)) {
			return false
		}
	}
	return true
}

// sample implements chunks.Sample: a number at a time, in milliseconds.
type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                      { return s.at }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.value }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// series implements storage.SeriesSet.
type series struct {
	all []storage.Series
	at  int
}

func (s *series) Next() bool                        { s.at++; return s.at < len(s.all) }
func (s *series) At() storage.Series                { return s.all[s.at] }
func (s *series) Err() error                        { return nil }
func (s *series) Warnings() annotations.Annotations { return nil }
