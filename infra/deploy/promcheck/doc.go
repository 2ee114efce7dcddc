// Package promcheck tests alert rules and dashboard with Prometheus' own parser and engine: they parse, each metric and label that they name is one that a
// worker shows (infra/telemetry/testdata/metrics.txt), and each alert fires on what it is for. It is a module of its own, so that Prometheus stays out of the
// programs.
package promcheck
