// Command rebased starts, watches, approves, schedules and exports builds. See package app.
package main

import (
	"context"
	"os"

	"github.com/rebased/rebased/starter/app"
)

func main() {
	os.Exit(app.Main(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
