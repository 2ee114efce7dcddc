package app

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// What a release is stamped with, by the linker (-X): see .goreleaser.yaml. Empty in a build from source, which the Go tool stamps itself.
var (
	stampedVersion string // of the project, for instance v1.2.0
	stampedCommit  string
	stampedDate    string // of the commit, RFC 3339: the same source gives the same bytes
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			v := programVersion()
			return a.console.Result(v, func(w io.Writer) { fmt.Fprintf(w, "rebased %s\n", v) })
		},
	}
}

type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`       // of the source, "+dirty" when it was changed
	Date     string `json:"date,omitempty"` // of the revision
	Go       string `json:"go"`
}

// String gives the version as one line: "v1.2.0 (0123456789ab of 2026-11-26T04:00:00Z, go1.26)".
func (v version) String() string {
	source := v.Revision
	if v.Date != "" {
		source += " of " + v.Date
	}
	return fmt.Sprintf("%s (%s, %s)", v.Version, source, v.Go)
}

// programVersion reads what the linker or the Go tool noted in the program.
func programVersion() version {
	v := version{Version: stampedVersion, Revision: stampedCommit, Date: stampedDate, Go: runtime.Version()}
	settings := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.Version = cmp.Or(v.Version, info.Main.Version)
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
	}
	v.Version = cmp.Or(v.Version, "(devel)")
	v.Date = cmp.Or(v.Date, settings["vcs.time"])
	v.Revision = cmp.Or(v.Revision, settings["vcs.revision"], "unknown revision")
	if !strings.Contains(v.Revision, " ") {
		const enough = 12
		v.Revision = v.Revision[:min(enough, len(v.Revision))]
	}
	if settings["vcs.modified"] == "true" {
		v.Revision += "+dirty"
	}
	return v
}
