package app

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "rebased",
		Short: "Turns a task description into a training set",
		Long: `rebased turns a task description into a training set: it retrieves fitting rows from many datasets, has a teacher
model rewrite them into the form of the task, removes repeats and hands over a documented dataset version.

Exit status: 0 done; 1 failed; 2 refused before anything was spent; 3 the build waits for a person; 4 canceled.
Settings come from flags, else from the environment: REBASED_STORE, TEMPORAL_*, AWS_*.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       programVersion().String(),
		Args:          cobra.ArbitraryArgs,
		RunE:          group,
	}
	flags := root.PersistentFlags()
	flags.BoolVar(&a.console.JSON, "json", false, "print results as JSON: one object, or one a line for a list")
	flags.StringVar(&a.store, "store", "", "the bucket, s3://bucket[/prefix] (default $REBASED_STORE)")
	flags.StringVar(&a.temporalAddress, "temporal-address", "", "host:port of Temporal (default $TEMPORAL_ADDRESS, else localhost:7233)")
	flags.StringVar(&a.temporalNamespace, "temporal-namespace", "", "namespace of Temporal (default $TEMPORAL_NAMESPACE, else default)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		said := parserNoise.ReplaceAllString(err.Error(), "")
		if strings.Contains(said, "time: unknown unit") {
			said = durationNoise.ReplaceAllString(said, ": give hours, minutes or seconds, for instance 720h")
		}
		return misuse(cmd, errors.New(said)) //nolint:err113 // pflag's own
	})
	root.AddCommand(
		a.initCommand(), a.schemaCommand(), a.previewCommand(), a.estimateCommand(), a.corpusCommand(), a.indexCommand(), a.buildCommand(), a.buildsCommand(),
		a.versionsCommand(), a.exportCommand(), a.pushCommand(), a.scheduleCommand(), a.gcCommand(), a.doctorCommand(), a.codecServerCommand(), a.versionCommand(),
	)
	root.SetVersionTemplate("rebased {{.Version}}\n")
	root.InitDefaultCompletionCmd()
	if cmd, _, err := root.Find([]string{"completion"}); err == nil {
		cmd.Args, cmd.RunE = cobra.ArbitraryArgs, group
	}
	a.complete(root)
	return root
}

// parserNoise is what the flags' parser says of itself: the flag and the value stand before it.
var parserNoise = regexp.MustCompile(`: strconv\.Parse\w+: parsing ".*": invalid syntax`)

// durationNoise is the same of durations.
var durationNoise = regexp.MustCompile(`: time: unknown unit .*`)

// group runs a command that only holds others: alone it prints its help, an unknown word is refused.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	hint := ""
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf(", did you mean %s?", strings.Join(near, " or "))
	}
	return misuse(cmd, fmt.Errorf("there is no command %q%s", cmd.CommandPath()+" "+args[0], hint))
}

// arguments checks how many arguments a command got; max below 0 is any number.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return misuse(cmd, fmt.Errorf("something is missing, use it as %q", cmd.UseLine()))
		case most >= 0 && len(args) > most && cmd.Flags().Lookup("file") != nil && slices.Contains([]string{".yaml", ".yml"}, path.Ext(args[most])):
			return misuse(cmd, fmt.Errorf("unexpected argument %q: the task file is given with -f %s", args[most], args[most]))
		case most >= 0 && len(args) > most:
			return misuse(cmd, fmt.Errorf("unexpected argument %q", args[most]))
		}
		return nil
	}
}

// optional gives the first argument, "" when it was left out.
func optional(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// Command is the tree of commands, for those who describe it: manual pages and docs/cli.md.
func Command() *cobra.Command {
	root := newApp(nil, nil, nil, nil).root()
	root.InitDefaultHelpCmd()
	return root
}
