// Command licenses lists the modules that are linked into the programs, with their licences, as a Markdown table on standard output. With -texts it
// prints what the licences ask to be passed on with a binary: their texts and notices.
//
//	licenses [-texts] PACKAGE…
//
// It fails where a module has no licence that it knows, or one that is not in its list of those that may be linked.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// permissive are the licences that may be linked: they ask for no more than that their text is passed on.
var permissive = []string{"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "0BSD", "Unlicense", "Zlib", "CC0-1.0", "MPL-2.0", "Unicode-DFS-2016",
	"BSD-2-Clause-Views"}

// elsewhere are the licences of modules that have no file of one, or one that is not known, and where they stand.
var elsewhere = map[string]string{
	"github.com/apache/arrow/go/v17":               "Apache-2.0 (its LICENSE.txt also has those of what C++ sources of Arrow bundle)",
	"github.com/JohnCGriffin/overflow":             "MIT (in its README)",
	"github.com/golang/freetype":                   "FTL (of the two that its LICENSE offers)",
	"github.com/cactus/go-statsd-client/statsd":    "MIT (of its repository)",
	"github.com/nexus-rpc/nexus-proto-annotations": "none stated (linked by go.temporal.io/api, MIT, of the same authors)",
}

// covered is how much of a file has to be a known licence's text, in percent: the rest is a copyright line or a notice.
const covered = 75

func main() {
	texts := flag.Bool("texts", false, "print the licences' texts")
	flag.Parse()
	if err := run(os.Stdout, *texts, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "licenses:", err)
		os.Exit(1)
	}
}

// module is a module that is linked.
type module struct {
	Path, Version, Dir string
	Main               bool
	Replace            *module
}

func run(out io.Writer, texts bool, packages []string) error {
	modules, err := linked(packages)
	if err != nil {
		return err
	}
	if !texts {
		fmt.Fprintf(out, "| module | version | licence |\n|---|---|---|\n")
	}
	var wrong []error
	for _, m := range modules {
		names, files, err := m.licences()
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		if !texts {
			fmt.Fprintf(out, "| %s | %s | %s |\n", m.Path, m.Version, strings.Join(names, ", "))
			continue
		}
		for _, file := range files {
			fmt.Fprintf(out, "==== %s %s: %s\n\n%s\n", m.Path, m.Version, file.name, bytes.TrimSpace(file.text))
		}
	}
	return errors.Join(wrong...)
}

// linked lists the modules of all packages that the given ones import, by path.
func linked(packages []string) ([]module, error) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=Module"}, packages...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list what is linked: %w", err)
	}
	byPath := map[string]module{}
	for d := json.NewDecoder(bytes.NewReader(stdout)); ; {
		var p struct{ Module *module }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read go list: %w", err)
		}
		if m := p.Module; m != nil && !m.Main && (m.Replace == nil || m.Replace.Version != "") { // a module of the standard library has none, one of this repository no version
			byPath[m.Path] = *m
		}
	}
	modules := make([]module, 0, len(byPath))
	for _, m := range byPath {
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return modules, nil
}

type file struct {
	name string
	text []byte
}

// licences gives the licences of a module by their SPDX names, and the files that say so.
func (m module) licences() (names []string, files []file, err error) {
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", m.Path, err)
	}
	for _, e := range entries {
		upper := strings.ToUpper(e.Name())
		licence := strings.HasPrefix(upper, "LICEN") || strings.HasPrefix(upper, "COPYING") || strings.HasPrefix(upper, "UNLICENSE")
		if e.IsDir() || strings.Contains(upper, "LOGO") || (!licence && !strings.HasPrefix(upper, "NOTICE")) || strings.HasSuffix(upper, ".GO") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.Dir, e.Name()))
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", m.Path, err)
		}
		files = append(files, file{e.Name(), text})
		if !licence {
			continue
		}
		if elsewhere[m.Path] != "" {
			continue
		}
		found := licensecheck.Scan(text)
		for _, match := range found.Match {
			if !slices.Contains(permissive, match.ID) {
				return nil, nil, fmt.Errorf("%s: %s holds %s, which is not in the list of licences that may be linked", m.Path, e.Name(), match.ID)
			}
			if !slices.Contains(names, match.ID) {
				names = append(names, match.ID)
			}
		}
		if found.Percent < covered && len(found.Match) == 0 {
			return nil, nil, fmt.Errorf("%s: %s is no licence that is known", m.Path, e.Name())
		}
	}
	if said := elsewhere[m.Path]; said != "" {
		return []string{said}, files, nil
	}
	if len(names) == 0 {
		return nil, nil, fmt.Errorf("%s %s: no licence was found in %s", m.Path, m.Version, m.Dir)
	}
	return names, files, nil
}
