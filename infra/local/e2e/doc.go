// Package e2e tests whole builds with real processes: the three programs, the real Temporal server, the real S3 gateway and the Qdrant protocol.
package e2e
