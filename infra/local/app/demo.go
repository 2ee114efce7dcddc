package app

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/demo"
	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/s3"
	"github.com/rebased/rebased/infra/local/stack"
	"github.com/spf13/cobra"
)

// demo runs the main job from a corpus to a dataset version, with the commands that a user would give.
func (p *program) demo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Bring the stack up and make a dataset from a small corpus, command by command",
		Args:  noArguments,
	}
	where := addFolderFlags(cmd, filepath.Join(defaultDir, "demo"))
	how := addTeacherFlags(cmd)
	keep := cmd.Flags().Bool("keep", false, "leave the stack running afterwards, until Ctrl-C")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path, err := find("rebased")
		if err != nil {
			return err
		}
		c, err := p.stack(where, how, stack.All())
		if err != nil {
			return err
		}
		if c.Worker, err = p.worker(); err != nil {
			return err
		}
		show := demonstration{program: p, folder: c.Folder, rebased: path, dir: c.Worker.Dir}
		return stack.Run(cmd.Context(), c, func(ctx context.Context) error {
			if err := printAddresses(p.stdout, c); err != nil {
				return err
			}
			if err := show.run(ctx); err != nil || !*keep {
				return err
			}
			fmt.Fprintln(p.stdout, "\nThe stack keeps running: Ctrl-C stops it.")
			<-ctx.Done()
			return nil
		})
	}
	return cmd
}

// demonstration is one run of the demo on a running stack.
type demonstration struct {
	program *program
	folder  *folder.Folder
	rebased string // the program
	dir     string // the working directory of its commands
}

func (d demonstration) run(ctx context.Context) error {
	corpus, task, err := demo.Write(d.folder.Path("input"))
	if err != nil {
		return fmt.Errorf("write the demo's corpus: %w", err)
	}
	for _, args := range [][]string{
		{"corpus", "import", "demo", corpus},
		{"index", "demo"},
		{"build", "-f", task},
	} {
		if err := d.command(ctx, args); err != nil {
			return err
		}
	}
	return d.report()
}

// command runs one command of rebased as a user would, who sees the command and then what it says.
func (d demonstration) command(ctx context.Context, args []string) error {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = folder.Quote(arg)
	}
	fmt.Fprintf(d.program.stdout, "\n$ rebased %s\n", strings.Join(words, " "))
	cmd := exec.CommandContext(ctx, d.rebased, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Dir = d.dir
	cmd.Env = d.folder.Environ(d.program.env)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = d.program.stdin, d.program.stdout, d.program.stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("rebased %s: %w", args[0], err)
	}
	return nil
}

// report says where the dataset lies: the objects of the local bucket are files.
func (d demonstration) report() error {
	bucket := s3.BucketDir(d.folder.Path("s3"), folder.Bucket)
	latest, err := filepath.Glob(filepath.Join(bucket, filepath.FromSlash(rebased.LatestKey("*"))))
	if err != nil {
		return err
	}
	for _, path := range latest {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var points struct {
			Version string `json:"version"`
		}
		if err := json.Unmarshal(b, &points); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		version := filepath.Join(filepath.Dir(path), points.Version)
		fmt.Fprintf(d.program.stdout, "\ndataset  %s\ncard     %s\nlogs     %s\n", version, filepath.Join(version, "README.md"), d.folder.Path("logs"))
	}
	return nil
}
