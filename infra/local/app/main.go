// Package app is the program rebased-local as a value: its commands, which start the local stack (package stack) on a data folder (package folder).
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"strings"

	"github.com/rebased/rebased"
	"github.com/spf13/cobra"
)

// Exit statuses, those of every program of the project.
const (
	exitDone    = 0
	exitFailed  = 1
	exitRefused = 2 // wrong use, a port in use, a folder in use: nothing was started
)

// Main runs the program until it is done or ctx is, and gives its exit status. An error is one line on stderr.
func Main(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{env: env, stdin: stdin, stdout: stdout, stderr: stderr}
	cmd := p.command()
	cmd.SetArgs(args)
	cmd.SetIn(stdin)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) && ended.Exited() {
		return ended.ExitCode() // the program that was run has said what was wrong
	}
	fmt.Fprintln(stderr, "rebased-local:", strings.ReplaceAll(err.Error(), "\n", "; "))
	if rebased.KindOf(err) == rebased.Invalid {
		return exitRefused
	}
	return exitFailed
}

// program is what the commands share: the world that they see.
type program struct {
	env            []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "rebased-local",
		Short: "The whole system on one machine, on loopback, in one data folder",
		Long: "rebased-local runs the servers that rebased needs on one machine: Temporal with its web UI, an S3 gateway, a server of Qdrant's protocol\n" +
			"and a demo teacher. It is made for development, demos and small corpora. Data survives a kill and a restart.",
		Args:              noArguments, // what is no command
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetFlagErrorFunc(misuse)
	root.AddCommand(p.up(), p.temporal(), p.s3(), p.qdrant(), p.teacher(), p.environment(), p.demo())
	return root
}

// misuse is an error of kind Invalid that points at a command's help.
func misuse(cmd *cobra.Command, err error) error {
	return rebased.E(rebased.Invalid, "%w: see %s --help", err, cmd.CommandPath())
}

// noArguments refuses arguments.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misuse(cmd, fmt.Errorf("unexpected argument %q", args[0]))
	}
	return nil
}

func (p *program) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(p.stderr, nil))
}
