package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/hub"
	"github.com/rebased/rebased/infra/hub/hubtest"
)

// shelf is a hub with small models, and how often each one's table was asked for.
type shelf struct {
	*hubtest.Server
	mu    sync.Mutex
	asked map[string]int
}

// newShelf makes a hub with some models; before is called at each request of a file.
func newShelf(t *testing.T, before func(id string) *hubtest.Fault, ids ...string) (*shelf, models) {
	s := &shelf{Server: hubtest.New(t), asked: map[string]int{}}
	for _, id := range ids {
		s.Put(hubtest.Repo{Kind: hub.Models, ID: id, Branches: map[string]map[string]string{"main": table()}})
	}
	s.Fail(func(r *http.Request) *hubtest.Fault {
		id, file, found := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/resolve/")
		if !found || !strings.HasSuffix(file, "model.safetensors") {
			return nil
		}
		s.mu.Lock()
		s.asked[id]++
		s.mu.Unlock()
		return before(id)
	})
	client, err := hub.New(hub.Config{Endpoint: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	return s, models{hub: client}
}

func (s *shelf) times(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[id]
}

func TestAModelThatIsBeingReadKeepsNobodyWaitingForAnother(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	s, models := newShelf(t, func(id string) *hubtest.Fault {
		if id == "owner/slow" {
			close(began)
			<-end
		}
		return nil
	}, "owner/slow", "owner/quick")
	encoders := newEncoders(t.Context(), settingsOf(t), models)

	leaving, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := encoders.Open(leaving, "static:hf://owner/slow")
		left <- err
	}()
	<-began
	for _, name := range []string{"static", "static:hf://owner/quick"} {
		if _, err := encoders.Open(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("one who has left gets %v", err)
	}
	close(end)
	if e, err := encoders.Open(t.Context(), "static:hf://owner/slow"); err != nil || e.Dimensions() != 2 || s.times("owner/slow") != 1 {
		t.Errorf("%v, %v after %d readings: the one that was begun goes on", e, err, s.times("owner/slow"))
	}
}

func TestAnOpeningThatFailedIsForgotten(t *testing.T) {
	fail := true
	_, models := newShelf(t, func(string) *hubtest.Fault {
		if fail {
			return &hubtest.Fault{Status: http.StatusForbidden}
		}
		return nil
	}, "owner/small")
	encoders := newEncoders(t.Context(), settingsOf(t), models)
	if _, err := encoders.Open(t.Context(), "static:hf://owner/small"); err == nil {
		t.Fatal("a file that nobody may read was read")
	}
	fail = false
	if _, err := encoders.Open(t.Context(), "static:hf://owner/small"); err != nil {
		t.Error(err)
	}
}

func TestTheModelsUsedLastStayOpen(t *testing.T) {
	ids := []string{"owner/a", "owner/b", "owner/c", "owner/d", "owner/e"}
	s, models := newShelf(t, func(string) *hubtest.Fault { return nil }, ids...)
	encoders := newEncoders(t.Context(), settingsOf(t), models)
	var first rebased.Encoder
	for _, id := range append(ids[:4:4], "owner/a", "owner/e", "owner/b", "owner/a") {
		e, err := encoders.Open(t.Context(), "static:hf://"+id)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = e
		}
	}
	if got := fmt.Sprint(s.times("owner/a"), s.times("owner/b"), s.times("owner/e")); got != "1 2 1" {
		t.Errorf("a, b and e were read %s times, want 1 2 1: b was not used for longest when e came", got)
	}
	if v, err := first.Encode(t.Context(), []string{"playing"}); err != nil || len(v) != 1 {
		t.Errorf("an encoder that somebody has: %v, %v", v, err)
	}
}

func TestAModelOfTheHubIsFixedByItsCommit(t *testing.T) {
	s, models := newShelf(t, func(string) *hubtest.Fault { return nil }, "owner/small")
	old := hubtest.Repo{Kind: hub.Models, ID: "owner/small", Branches: map[string]map[string]string{"main": table()}}
	fixed := "static:hf://owner/small@" + old.Commit("main")
	encoders := newEncoders(t.Context(), settingsOf(t), models)
	for _, name := range []string{"static:hf://owner/small", "static:hf://owner/small@main"} {
		if got, err := encoders.Resolve(t.Context(), name); err != nil || got != fixed {
			t.Errorf("%s is %q, %v, want %q", name, got, err, fixed)
		}
	}
	before, err := encoders.Open(t.Context(), "static:hf://owner/small")
	if err != nil {
		t.Fatal(err)
	}
	moved := table()
	moved["model.safetensors"] = strings.ReplaceAll(moved["model.safetensors"], "\x01\x02", "\x02\x01")
	s.Put(hubtest.Repo{Kind: hub.Models, ID: "owner/small", Branches: map[string]map[string]string{"main": moved, "old": table()}})
	if after, err := encoders.Open(t.Context(), "static:hf://owner/small"); err != nil || after.Identity() == before.Identity() {
		t.Errorf("a branch that has moved gives %v, %v", after, err)
	}
	s.Fail(func(r *http.Request) *hubtest.Fault { return &hubtest.Fault{Status: http.StatusForbidden} })
	if again, err := encoders.Open(t.Context(), fixed); err != nil || again != before {
		t.Errorf("a commit that is open is asked for again: %v, %v", again, err)
	}
	for _, name := range []string{"static", "openai:m", "static:uploads/" + strings.Repeat("a", 64) + "#m", fixed} {
		if got, err := encoders.Resolve(t.Context(), name); err != nil || got != name {
			t.Errorf("%s became %q, %v", name, got, err)
		}
	}
	if _, err := encoders.Resolve(t.Context(), "static:hf://owner/small"); err == nil {
		t.Error("a branch is known without the hub")
	}
}
