// Package porttest holds the conformance suites of the ports: what a port's comments promise, as tests. Each suite runs against the fake of
// infra/mem and against every real adapter, so that a core tested with the fake can trust the adapter.
package porttest
