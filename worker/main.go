// Command rebased-worker runs the steps of imports, index runs and builds. Settings come from the environment; docs/operations.md lists them.
package main

import (
	"context"
	"os"

	"github.com/rebased/rebased/worker/app"
)

func main() {
	os.Exit(app.Main(context.Background(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}
