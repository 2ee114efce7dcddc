// Package workflows says what happens in which order: deterministic Temporal code with references in and references out, no data, no clock, no
// I/O. The steps themselves are in package activities.
package workflows
