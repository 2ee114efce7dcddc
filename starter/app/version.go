package app

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			v := programVersion()
			return a.console.Result(v, func(w io.Writer) { fmt.Fprintf(w, "rebased %s (%s, %s)\n", v.Version, v.Revision, v.Go) })
		},
	}
}

type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // of the source, "+dirty" when it was changed
	Go       string `json:"go"`
}

// programVersion reads what the Go tool noted in the program.
func programVersion() version {
	v := version{Version: "(devel)", Revision: "unknown revision", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	v.Revision += dirty
	return v
}
