// Package folder is the data folder of a local stack: where each part keeps its files, which ports and credentials belong to it, which
// process holds which part, and the environment that points every program at the stack.
//
// The folder is all the state there is: a stack that died is brought back from it, and a program that only wants to connect reads it.
//
//	credentials.json  keys of the servers, made at random, mode 0600
//	ports.json        the first of the ports that the folder used last
//	locks/<part>      held by the process that runs the part
//	logs/<part>.log   what the part has to say
//	<part>/           the part's own data
package folder

import (
	"fmt"
	"os"
	"path/filepath"
)

// Folder is a data folder.
type Folder struct {
	// Dir is its absolute path.
	Dir string
	// Ports are the ports that its stack listens on.
	Ports Ports
	// Credentials are the keys of its servers.
	Credentials Credentials
}

// Open makes the folder when it is missing, with credentials of its own, and reads it. portBase is the first of its ports: Remembered for
// those that the folder used last (DefaultBase at first), Free for ports that nobody uses now.
func Open(dir string, portBase int) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", dir, err)
	}
	for _, sub := range []string{"locks", "logs"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("make data folder: %w", err)
		}
	}
	f := &Folder{Dir: dir}
	if f.Ports, err = choosePorts(f.Path("ports.json"), portBase); err != nil {
		return nil, err
	}
	if f.Credentials, err = openCredentials(f.Path("credentials.json")); err != nil {
		return nil, err
	}
	return f, nil
}

// Path is the absolute path of something in the folder.
func (f *Folder) Path(elem ...string) string {
	return filepath.Join(append([]string{f.Dir}, elem...)...)
}

// Log opens the log of a part for appending.
func (f *Folder) Log(part string) (*os.File, error) {
	return os.OpenFile(f.Path("logs", part+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}
