package cluster

import "strings"

// environ is an environment that came in as an argument, in the form that envconfig reads.
type environ []string

// Environ implements envconfig.EnvLookup.
func (e environ) Environ() []string { return e }

// LookupEnv implements envconfig.EnvLookup. The last entry of a name counts.
func (e environ) LookupEnv(name string) (string, bool) {
	for i := len(e) - 1; i >= 0; i-- {
		if key, value, ok := strings.Cut(e[i], "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}
