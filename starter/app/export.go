package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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
			if !slices.Contains(strings.Split(formats, "|"), in.Format) {
				return misuse(cmd, fmt.Errorf("--format must be one of %s, got %q", formats, in.Format))
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
	// All rows are in a file before the first byte stands where it was asked for: an export that fails leaves nothing that looks like one.
	rows := func(w io.Writer) error { return versionsOf(bucket).Export(ctx, in, w) }
	if file == "" {
		return a.print(rows)
	}
	size, err := writeWhole(file, rows)
	if err != nil {
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

// print writes to standard output what write has written whole.
func (a *app) print(write func(w io.Writer) error) error {
	f, err := os.CreateTemp("", "rebased-export-*")
	if err != nil {
		return fmt.Errorf("keep the rows in a file until all are there: %w", cause(err))
	}
	defer func() {
		f.Close()
		_ = os.Remove(f.Name())
	}()
	if _, err := fill(f, write); err != nil {
		return err
	}
	if _, err = f.Seek(0, io.SeekStart); err == nil {
		_, err = io.Copy(a.console.Out, f)
	}
	if err != nil {
		return fmt.Errorf("write to standard output: %w", err)
	}
	return nil
}

// writeWhole has a file written beside its place and moves it there, so that a reader finds the old one or the new one.
func writeWhole(file string, write func(w io.Writer) error) (size int, err error) {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return 0, rebased.E(rebased.Invalid, "write %s: %w", file, cause(err))
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if size, err = fill(f, write); err != nil {
		f.Close()
		return 0, err
	}
	if err = errors.Join(f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", file, cause(err))
	}
	return size, nil
}

// fill has a file written and tells its size.
func fill(f *os.File, write func(w io.Writer) error) (size int, err error) {
	buffered := bufio.NewWriter(f)
	if err := write(buffered); err != nil {
		return 0, err
	}
	if err := buffered.Flush(); err != nil {
		return 0, fmt.Errorf("write %s: %w", f.Name(), cause(err))
	}
	end, err := f.Seek(0, io.SeekCurrent)
	return int(end), err
}
