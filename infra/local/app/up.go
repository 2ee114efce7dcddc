package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/stack"
	"github.com/spf13/cobra"
)

const defaultDir = ".rebased"

// up runs the whole stack and one worker.
func (p *program) up() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run the whole stack and one worker until Ctrl-C",
		Long: "Run Temporal and its web UI, the S3 gateway, the server of Qdrant's protocol, the demo teacher and one worker until Ctrl-C. All that they\n" +
			"know is in the data folder: up on the same folder goes on where a stack ended, however it ended.\n\n" +
			"Ports, from --port-base on: web UI +0, S3 +1, Qdrant +2, Temporal +3 (and +4, +5, +7 for its own services; +8 with --nexus), teacher +6, worker health +9.",
		Args: noArguments,
	}
	where := addFolderFlags(cmd, defaultDir)
	how := addTeacherFlags(cmd)
	noWorker := cmd.Flags().Bool("no-worker", false, "run the servers only")
	events := cmd.Flags().Int("history-events", 0, "length of a history at which Temporal suggests to continue as new; 0 takes its default, 4096")
	nexus := cmd.Flags().Bool("nexus", false, "let workflows call Nexus endpoints, by way of Temporal's HTTP API on port +8, which web pages in a browser of this machine reach too")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.stack(where, how, stack.All())
		if err != nil {
			return err
		}
		if *events < 0 {
			return misuse(cmd, fmt.Errorf("--history-events must not be negative, got %d", *events))
		}
		c.HistoryEvents, c.Nexus = *events, *nexus
		if !*noWorker {
			if c.Worker, err = p.worker(); err != nil {
				return err
			}
		}
		return p.serve(cmd.Context(), c)
	}
	return cmd
}

// part runs one server of the stack as a process of its own.
func (p *program) part(part stack.Part, short string) *cobra.Command {
	cmd := &cobra.Command{Use: string(part), Short: short, Args: noArguments}
	where := addFolderFlags(cmd, defaultDir)
	how := &teacherFlags{}
	if part == stack.Teacher {
		how = addTeacherFlags(cmd)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.stack(where, how, []stack.Part{part})
		if err != nil {
			return err
		}
		return p.serve(cmd.Context(), c)
	}
	return cmd
}

func (p *program) temporal() *cobra.Command {
	return p.part(stack.Temporal, "Run the Temporal server and its web UI alone")
}

func (p *program) s3() *cobra.Command { return p.part(stack.S3, "Run the S3 gateway alone") }

func (p *program) qdrant() *cobra.Command {
	return p.part(stack.Qdrant, "Run the server of Qdrant's protocol alone")
}

func (p *program) teacher() *cobra.Command {
	return p.part(stack.Teacher, "Run the demo teacher alone")
}

func (p *program) stack(where *folderFlags, how *teacherFlags, parts []stack.Part) (stack.Config, error) {
	f, err := where.open()
	if err != nil {
		return stack.Config{}, err
	}
	teacher, err := how.config()
	if err != nil {
		return stack.Config{}, err
	}
	return stack.Config{Folder: f, Parts: parts, Teacher: teacher, Log: p.logger()}, nil
}

// serve runs a stack until ctx is done.
func (p *program) serve(ctx context.Context, c stack.Config) error {
	err := stack.Run(ctx, c, func(ctx context.Context) error {
		if err := printAddresses(p.stdout, c); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(p.stdout, "ready"); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
	if errors.Is(err, context.Canceled) {
		return nil // stopped while it started
	}
	return err
}

// printAddresses says where each part listens and how to connect to them.
func printAddresses(w io.Writer, c stack.Config) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	ports := c.Folder.Ports
	for _, part := range c.Parts {
		switch part {
		case stack.Temporal:
			fmt.Fprintf(table, "temporal\t%s\n", ports.Address(folder.Temporal))
			fmt.Fprintf(table, "web UI\thttp://%s\n", ports.Address(folder.UI))
		case stack.S3:
			fmt.Fprintf(table, "s3\thttp://%s\n", ports.Address(folder.S3))
		case stack.Qdrant:
			fmt.Fprintf(table, "qdrant\thttp://%s\n", ports.Address(folder.Qdrant))
		case stack.Teacher:
			fmt.Fprintf(table, "teacher\thttp://%s/v1\n", ports.Address(folder.Teacher))
		}
	}
	if c.Worker != nil {
		fmt.Fprintf(table, "worker\thttp://%s/healthz\n", ports.Address(folder.Worker))
	}
	fmt.Fprintf(table, "data\t%s\n", c.Folder.Dir)
	fmt.Fprintf(table, "connect\teval \"$(rebased-local env --dir %s)\"\n", folder.Quote(c.Folder.Dir))
	return table.Flush()
}
