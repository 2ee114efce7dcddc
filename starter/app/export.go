package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/starter/console"
)

func (a *app) exportCommand() *cobra.Command {
	var in handoff.ExportInput
	var file string
	formats := strings.Join(append(rebased.Formats(), handoff.FormatParquet), "|")
	cmd := &cobra.Command{
		Use:   "export TASK[@VERSION] --format " + formats + " [-o FILE]",
		Short: "Write the rows of a version in a format of your choice",
		Long: `Write the rows of a version, the latest when none is named, to a file or to standard output. Every format can be had of every
version, also those that its task file did not ask for.`,
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if in.Task, in.Version, err = versionRef(args[0]); err != nil {
				return err
			}
			if in.Format == "" {
				return misuse(cmd, fmt.Errorf("say in which format, with --format %s", formats))
			}
			if a.console.JSON && file == "" {
				return misuse(cmd, errors.New("--json needs -o FILE: standard output cannot hold both the rows and the result"))
			}
			bucket, err := a.bucket(cmd.Context())
			if err != nil {
				return err
			}
			return a.export(cmd.Context(), bucket, in, file)
		},
	}
	cmd.Flags().StringVar(&in.Format, "format", "", formats)
	cmd.Flags().StringVar(&in.Split, "split", handoff.SplitTrain, handoff.SplitTrain+", or "+handoff.SplitValidation+" where the task asks for it")
	cmd.Flags().StringVarP(&file, "output", "o", "", "the file to write, in place of standard output")
	return cmd
}

func (a *app) export(ctx context.Context, bucket store, in handoff.ExportInput, file string) error {
	// The rows are whole in memory before the first byte is written: an export that fails leaves nothing that looks like one.
	var body bytes.Buffer
	if err := versionsOf(bucket).Export(ctx, in, &body); err != nil {
		return err
	}
	if file == "" {
		if _, err := body.WriteTo(a.console.Out); err != nil {
			return fmt.Errorf("write to standard output: %w", err)
		}
		return nil
	}
	size := body.Len()
	if err := writeWhole(file, body.Bytes()); err != nil {
		return err
	}
	type exported struct {
		Task   string `json:"task"`
		Split  string `json:"split"`
		Format string `json:"format"`
		File   string `json:"file"`
		Bytes  int    `json:"bytes"`
	}
	return a.console.Result(exported{in.Task, in.Split, in.Format, file, size}, func(w io.Writer) {
		fmt.Fprintf(w, "wrote %s: %s bytes\n", file, console.Thousands(size))
	})
}

// writeWhole writes a file beside its place and moves it there, so that a reader finds the old one or the new one.
func writeWhole(file string, body []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return rebased.E(rebased.Invalid, "write %s: %w", file, cause(err))
	}
	_, err = f.Write(body)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", file, cause(err))
	}
	return nil
}
