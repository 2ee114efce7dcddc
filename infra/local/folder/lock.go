package folder

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/rebased/rebased"
)

// Lock makes this process the one that runs a part of the folder's stack, until the lock is closed or the process ends, however it ends.
// A part that another process runs is an error of kind Invalid that names that process.
func (f *Folder) Lock(part string) (io.Closer, error) {
	file, err := os.OpenFile(f.Path("locks", part), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", part, err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		defer file.Close()
		holder, _ := io.ReadAll(file)
		return nil, rebased.E(rebased.Invalid, "%s of data folder %s runs already in process %s: stop that one, or give another --dir",
			part, f.Dir, strings.TrimSpace(string(holder)))
	}
	if err == nil {
		err = sign(file)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", part, err), file.Close())
	}
	return file, nil
}

// sign writes the holder's process id into the lock, for the message to whoever comes second.
func sign(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintln(file, os.Getpid())
	return err
}
