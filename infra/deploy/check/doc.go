// Package check holds what is deployed against the libraries of those who will read it: the chart against Helm's engine and the types of
// Kubernetes, the compose file against Compose's loader, the Dockerfile against BuildKit's parser and linter. It is a module of its own, since these
// libraries are large and no program of the project needs them.
package check
