package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// reference describes a tree of commands on one page of Markdown.
func reference(root *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Commands\n\nMade from the program: `go test ./starter/man -update`. `%s COMMAND --help` prints the same.\n\n%s\n\n", root.Name(), root.Long)
	b.WriteString("Flags of every command:\n\n```\n" + usages(root.PersistentFlags()) + "```\n")
	for _, cmd := range root.Commands() {
		section(&b, cmd)
	}
	return b.String()
}

func section(b *strings.Builder, cmd *cobra.Command) {
	if !cmd.IsAvailableCommand() || cmd.Name() == "help" {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", cmd.CommandPath())
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	if cmd.Parent().Name() == "completion" { // its text is cobra's, of many lines
		text = cmd.Short + ": `" + cmd.CommandPath() + " --help` says where it goes."
	}
	b.WriteString(strings.TrimSpace(text) + "\n")
	if cmd.Runnable() && !cmd.HasSubCommands() {
		fmt.Fprintf(b, "\n```\n%s\n%s```\n", strings.TrimSuffix(cmd.UseLine(), " [flags]"), usages(cmd.LocalNonPersistentFlags()))
	}
	for _, child := range cmd.Commands() {
		section(b, child)
	}
}

// usages lists flags, one a line, in the order of their names; --help goes without saying.
func usages(flags *pflag.FlagSet) string {
	shown := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && f.Name != "version" {
			shown.AddFlag(f)
		}
	})
	return shown.FlagUsages()
}
