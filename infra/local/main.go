// rebased-local runs the whole system on one machine: a Temporal server with its web UI, an S3 gateway on a folder, a server of Qdrant's protocol, a
// demo teacher and a worker, all on loopback and all in one data folder.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/rebased/rebased/infra/local/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(app.Main(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
