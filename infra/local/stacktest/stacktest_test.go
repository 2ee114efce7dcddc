package stacktest_test

import (
	"net"
	"slices"
	"testing"

	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/stacktest"
)

// answers reports whether something listens for a service.
func answers(s *stacktest.Stack, service folder.Service) bool {
	conn, err := net.Dial("tcp", s.Folder().Ports.Address(service))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func TestPartsOfAStackAreKilledAndComeBack(t *testing.T) {
	s := stacktest.Start(t, stacktest.Options{})
	env := s.Env()
	if out, errs, code := s.Run("corpus", "ls", "--json"); code != 0 {
		t.Fatalf("a command on a new stack: exit status %d, %s%s", code, out, errs)
	}

	s.KillWorker()
	if answers(s, folder.Worker) || !answers(s, folder.Temporal) {
		t.Error("the worker alone was to be killed")
	}
	s.StartWorker()

	s.KillAll()
	for _, service := range []folder.Service{folder.Worker, folder.Temporal, folder.S3, folder.Qdrant, folder.Teacher} {
		if answers(s, service) {
			t.Errorf("%s still answers", service)
		}
	}
	s.Restart()
	if !answers(s, folder.Worker) || !slices.Equal(s.Env(), env) {
		t.Error("the stack did not come back as it was")
	}
	if _, errs, code := s.Run("no-such-command"); code != 2 || errs == "" {
		t.Errorf("a wrong command: exit status %d, stderr %q", code, errs)
	}
}
