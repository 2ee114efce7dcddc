// Package release holds what a release is made with beside .goreleaser.yaml, and checks that file.
package release
