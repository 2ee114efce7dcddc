package main

import (
	"context"
	"fmt"
	"os"
)

// retrieval measures what stands between a source and the rows of a build, each part beside the plain alternative.
func (m *measurement) retrieval(ctx context.Context) error {
	m.in.real = true // the targets are ratios of one run
	var err error
	if m.python, err = findPython(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "no Python to compare with, its lines are left out:", err)
		m.python = nil
	}
	return m.each(ctx, m.imports, m.nightly, m.search)
}
