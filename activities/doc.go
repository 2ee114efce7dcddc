// Package activities holds the steps that Temporal runs, one file each: decode the reference, call the core, heartbeat, map errors. All thought
// is in the cores below it; the order of the steps is in package workflows.
//
// Each activity is a method of a struct that holds ports. It is idempotent: the same input writes the same bytes to the same keys.
package activities
