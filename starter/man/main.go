// Command man writes the manual pages of rebased into a folder: go run ./starter/man DIR. Releases carry them. It is a program of its own, so that
// what turns Markdown into pages is linked into nothing that is shipped.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra/doc"

	"github.com/rebased/rebased/starter/app"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: man DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}

// write makes a page of each command, of section 1. Their date is SOURCE_DATE_EPOCH where that is set, so that the same source gives the same bytes.
func write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // for everybody to read
		return fmt.Errorf("make the folder of the pages: %w", err)
	}
	root := app.Command()
	root.DisableAutoGenTag = true
	if err := doc.GenManTree(root, &doc.GenManHeader{Title: "REBASED", Section: "1", Source: "rebased", Manual: "rebased"}, dir); err != nil {
		return fmt.Errorf("write the pages: %w", err)
	}
	return nil
}
