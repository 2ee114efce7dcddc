package app

import (
	"fmt"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/folder"
	"github.com/spf13/cobra"
)

// environment prints what points a program at the stack.
func (p *program) environment() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "env",
		Short:   "Print the export lines that point every program at the stack, whether it runs or not",
		Example: `  eval "$(rebased-local env)"`,
		Args:    noArguments,
	}
	where := addFolderFlags(cmd, defaultDir)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("port-base") && where.portBase == folder.Free {
			return misuse(cmd, rebased.E(rebased.Invalid, "--port-base 0 chooses new ports, which env cannot know"))
		}
		f, err := where.open()
		if err != nil {
			return err
		}
		for _, v := range f.Variables() {
			if _, err := fmt.Fprintln(p.stdout, v.Export()); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}
