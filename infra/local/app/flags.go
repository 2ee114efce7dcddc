package app

import (
	"os"
	"path/filepath"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/stack"
	"github.com/spf13/cobra"
)

// folderFlags say which data folder, on which ports.
type folderFlags struct {
	cmd      *cobra.Command
	dir      string
	portBase int
}

func addFolderFlags(cmd *cobra.Command, dir string) *folderFlags {
	f := &folderFlags{cmd: cmd}
	cmd.Flags().StringVar(&f.dir, "dir", dir, "data folder")
	cmd.Flags().IntVar(&f.portBase, "port-base", folder.DefaultBase,
		"first of ten ports; 0 takes free ones; left out, the folder keeps those that it used last")
	return f
}

func (f *folderFlags) open() (*folder.Folder, error) {
	base := f.portBase
	switch {
	case !f.cmd.Flags().Changed("port-base"):
		base = folder.Remembered
	case base < 0:
		return nil, misuse(f.cmd, rebased.E(rebased.Invalid, "--port-base %d is below 0", base))
	}
	return folder.Open(f.dir, base)
}

// teacherFlags say how the demo teacher answers.
type teacherFlags struct {
	replay  string
	latency time.Duration
	faults  bool
}

func addTeacherFlags(cmd *cobra.Command) *teacherFlags {
	f := &teacherFlags{}
	cmd.Flags().StringVar(&f.replay, "replay", "", "answer transform prompts with the recorded {input, output} lines of this JSONL `FILE`")
	cmd.Flags().DurationVar(&f.latency, "latency", 0, "time that the demo teacher takes for an answer")
	cmd.Flags().BoolVar(&f.faults, "allow-faults", false, "let POST /faults make the demo teacher fail on purpose, for tests")
	return f
}

// config is with absolute paths, since the S3 gateway changes the working directory.
func (f *teacherFlags) config() (stack.TeacherConfig, error) {
	c := stack.TeacherConfig{Replay: f.replay, Latency: f.latency, AllowFaults: f.faults}
	if f.replay == "" {
		return c, nil
	}
	path, err := filepath.Abs(f.replay)
	if err != nil {
		return c, err
	}
	if _, err := os.Stat(path); err != nil {
		return c, rebased.E(rebased.Invalid, "--replay: %w", err)
	}
	c.Replay = path
	return c, nil
}
