package qdrant

import "testing"

func TestTargetSpeaksGRPCWhateverPortIsNamed(t *testing.T) {
	cases := []struct {
		url, address string
		secure       bool
	}{
		{"http://localhost:6334", "dns:///localhost:6334", false},
		{"http://localhost:6333/", "dns:///localhost:6334", false},
		{"http://localhost", "dns:///localhost:6334", false},
		{"https://xyz.cloud.qdrant.io", "dns:///xyz.cloud.qdrant.io:6334", true},
		{"http://127.0.0.1:17334", "dns:///127.0.0.1:17334", false},
		{"http://[::1]:6334", "dns:///[::1]:6334", false},
	}
	for _, c := range cases {
		address, secure, err := target(c.url)
		if err != nil || address != c.address || secure != c.secure {
			t.Errorf("%s: got %s %v %v, want %s %v", c.url, address, secure, err, c.address, c.secure)
		}
	}
}
