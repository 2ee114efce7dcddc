//go:build cgo

package transformer

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/rebased/rebased"
)

// Runtime is onnxruntime in this process.
type Runtime struct{}

// OpenRuntime loads the shared library of onnxruntime 1.24 or newer (libonnxruntime.so, .dylib or .dll) from a path, once a process; the first
// path stays. Invalid: no such library, or one that does not fit.
func OpenRuntime(library string) (*Runtime, error) {
	opening.Lock()
	defer opening.Unlock()
	if ort.IsInitialized() {
		return &Runtime{}, nil
	}
	ort.SetSharedLibraryPath(library)
	if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
		return nil, rebased.E(rebased.Invalid, "load onnxruntime from %q: %w", library, err)
	}
	return &Runtime{}, nil
}

// opening is held while the library is loaded: its state is the process's.
var opening sync.Mutex

// session is a network that onnxruntime computes. What it holds of onnxruntime's memory it gives back when nobody has it any more.
type session struct {
	run        *ort.DynamicAdvancedSession
	inputs     []string
	dimensions int64
}

// outputs are the names that exports give the last states.
var outputs = []string{"last_hidden_state", "token_embeddings"} //nolint:gochecknoglobals // a list that never changes

// open makes a session of one thread: who calls has a goroutine a core.
func (*Runtime) open(file []byte, dimensions int) (network, error) {
	in, out, err := ort.GetInputOutputInfoWithONNXData(file)
	if err != nil {
		return nil, refused(err)
	}
	s := &session{dimensions: int64(dimensions)}
	for _, i := range in {
		if !slices.Contains([]string{"input_ids", "attention_mask", "token_type_ids"}, i.Name) || i.DataType != ort.TensorElementDataTypeInt64 {
			return nil, rebased.E(rebased.Invalid, "%s asks for the input %q (%s), which is not known here", networkFile, i.Name, i.DataType)
		}
		s.inputs = append(s.inputs, i.Name)
	}
	at := slices.IndexFunc(out, func(o ort.InputOutputInfo) bool { return slices.Contains(outputs, o.Name) })
	if at < 0 || out[at].DataType != ort.TensorElementDataTypeFloat {
		return nil, rebased.E(rebased.Invalid, "%s has none of the outputs %v in float32: export it without pooling", networkFile, outputs)
	}
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, refused(err)
	}
	defer func() { _ = options.Destroy() }()
	if err := errors.Join(options.SetIntraOpNumThreads(1), options.SetInterOpNumThreads(1)); err != nil {
		return nil, refused(err)
	}
	if s.run, err = ort.NewDynamicAdvancedSessionWithONNXData(file, s.inputs, []string{out[at].Name}, options); err != nil {
		return nil, refused(err)
	}
	runtime.AddCleanup(s, func(run *ort.DynamicAdvancedSession) { _ = run.Destroy() }, s.run)
	return s, nil
}

func refused(err error) error { return rebased.E(rebased.Invalid, "open %s: %w", networkFile, err) }

// states implements network.
func (s *session) states(ids []int64) ([]float32, error) {
	shape := ort.NewShape(1, int64(len(ids)))
	var inputs []ort.Value
	defer func() {
		for _, v := range inputs {
			_ = v.Destroy()
		}
	}()
	for _, name := range s.inputs {
		values := ids
		switch name {
		case "attention_mask":
			values = slices.Repeat([]int64{1}, len(ids))
		case "token_type_ids":
			values = make([]int64, len(ids))
		}
		tensor, err := ort.NewTensor(shape, values)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", name, err)
		}
		inputs = append(inputs, tensor)
	}
	states := make([]float32, int64(len(ids))*s.dimensions)
	output, err := ort.NewTensor(ort.NewShape(1, int64(len(ids)), s.dimensions), states)
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	defer func() { _ = output.Destroy() }()
	err = s.run.Run(inputs, []ort.Value{output})
	runtime.KeepAlive(s)
	return states, err
}
