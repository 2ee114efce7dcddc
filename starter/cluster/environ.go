package cluster

import (
	"slices"
	"strings"
)

// Environ is an environment that came in as an argument, in the form that envconfig reads.
type Environ []string

// Environ implements envconfig.EnvLookup.
func (e Environ) Environ() []string { return e }

// LookupEnv implements envconfig.EnvLookup. The last entry of a name counts.
func (e Environ) LookupEnv(name string) (string, bool) {
	for _, entry := range slices.Backward(e) {
		if key, value, ok := strings.Cut(entry, "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}
