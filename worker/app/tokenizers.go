package app

import (
	"context"
	"fmt"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/infra/tokenizer"
)

var _ activities.Tokenizers = tokenizers{}

// tokenizers opens the tokenizers of students, anew each time: they are large, and a build needs its own twice.
type tokenizers struct{ models models }

// Open implements activities.Tokenizers.
func (t tokenizers) Open(ctx context.Context, name string) (handoff.Tokenizer, error) {
	folder, err := t.models.folder(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open tokenizer %s: %w", name, err)
	}
	shown := name
	if _, base, uploaded := rebased.ParseBenchmarkRef(name); uploaded {
		shown = base
	}
	opened, err := tokenizer.Load(shown, folder)
	if err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", shown, err)
	}
	return opened, nil
}
