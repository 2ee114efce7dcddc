//go:build !cgo

package transformer

import "github.com/rebased/rebased"

// Runtime stands for onnxruntime, which only programs that are built with cgo can load.
type Runtime struct{}

// OpenRuntime refuses.
func OpenRuntime(string) (*Runtime, error) {
	return nil, rebased.E(rebased.Invalid, "this program was built without cgo, which a transformer needs: build it with CGO_ENABLED=1, or take an openai encoder")
}

func (*Runtime) open([]byte, int) (network, error) {
	_, err := OpenRuntime("")
	return nil, err
}
