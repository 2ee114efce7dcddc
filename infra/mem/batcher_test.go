package mem_test

import (
	"testing"

	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/porttest"
)

func TestBatcherKeepsItsPromises(t *testing.T) {
	for _, unnamed := range []bool{false, true} {
		porttest.Batcher(t, func(*testing.T) porttest.BatcherWorld {
			requests := []llm.Request{{Prompt: "a"}, {Prompt: "b"}, {Prompt: "c"}}
			return porttest.BatcherWorld{Batcher: &mem.Batcher{Unnamed: unnamed}, Requests: requests, Named: !unnamed}
		})
	}
}
