package app

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/console"
	"github.com/rebased/rebased/workflows"
)

func (a *app) indexCommand() *cobra.Command {
	var in workflows.IndexInput
	cmd := &cobra.Command{
		Use:   "index NAME [--encoder static]",
		Short: "Encode and index what changed in a corpus",
		Long: `Encode and index what changed in a corpus since it was last indexed with the encoder.
Ctrl-C leaves the run going; the same command finds it again.`,
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.index(cmd.Context(), args[0], in) },
	}
	cmd.Flags().StringVar(&in.Encoder, "encoder", rebased.DefaultTask().Retrieve.Encoder, "static, static:<model>, transformer:<model> or openai:<model>, as in the task file; a model is a folder or hf://owner/name")
	cmd.Flags().BoolVar(&in.Rebuild, "rebuild", false, "make the index anew beside the one there is, which serves builds until the new one is whole")
	return cmd
}

func (a *app) index(ctx context.Context, name string, in workflows.IndexInput) error {
	bucket, temporal, err := a.reach(ctx, a.connectToWorker)
	if err != nil {
		return err
	}
	defer temporal.Close()
	if _, err := readCorpus(ctx, bucket, name); err != nil {
		return err
	}
	if in.Encoder, err = uploadModel(ctx, bucket, in.Encoder, "."); err != nil {
		return err
	}
	id := workflows.IndexID(name)
	in.Corpus = name
	err = temporal.StartIndex(ctx, in)
	if err := a.attach(id, err); err != nil {
		return err
	}
	result, err := followCorpus[workflows.IndexResult](ctx, a, temporal, id, "batches")
	if err != nil {
		return err
	}
	return a.console.Result(result, func(w io.Writer) {
		fmt.Fprintf(w, "indexed %s, revision %s, with %s: %s rows in %s parts (%s unchanged), %s rows new, %s removed, %s cells encoded\n",
			result.Corpus, result.Revision, result.Encoder, console.Thousands(result.Rows), console.Thousands(result.Parts), console.Thousands(result.Reused),
			console.Thousands(result.Fresh), console.Thousands(result.Gone), console.Thousands(result.Cells))
	})
}
