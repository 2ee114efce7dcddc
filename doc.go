// Package rebased holds the nouns of the project: tasks, datasets, rows, candidates, examples, rejects, the results of a build, the kinds of
// error, the layout of the bucket and the ports that several cores share.
//
// It stands at the bottom of every import path and imports the standard library only. Cores (activities/<core>) build on it, adapters
// (infra/<adapter>) implement its ports, and no noun is defined twice.
package rebased
