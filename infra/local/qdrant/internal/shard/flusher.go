package shard

import (
	"fmt"
	"os"
	"sync"
)

// flusher groups fsyncs: who waits while one is under way is served by the next, together with all who came meanwhile.
type flusher struct {
	mu      sync.Mutex
	done    *sync.Cond
	file    *os.File // the segment that is written to
	written int64    // bytes written so far; positions count from the opening of the log
	synced  int64    // bytes known to be on disk
	busy    bool
	err     error // an fsync failed: what is on disk is unknown, nothing is acknowledged any more
}

func (f *flusher) start(file *os.File, written int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = sync.NewCond(&f.mu)
	f.file, f.written, f.synced = file, written, written
}

// wrote counts bytes written to the file and gives the position to wait for.
func (f *flusher) wrote(n int) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written += int64(n)
	return f.written
}

// rolled says that all written so far is on disk and that a new file follows.
func (f *flusher) rolled(file *os.File) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.file, f.synced = file, f.written
}

// fail records a failed fsync and gives the error that all later writes get.
func (f *flusher) fail(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failLocked(err)
}

func (f *flusher) failLocked(err error) error {
	if f.err == nil {
		f.err = fmt.Errorf("fsync failed, so it is unknown what is on disk; restart the server: %w", err)
	}
	return f.err
}

// wait returns once all up to a position is on disk.
func (f *flusher) wait(position int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.synced < position && f.err == nil {
		if f.busy {
			f.done.Wait()
			continue
		}
		f.busy = true
		file, target := f.file, f.written
		f.mu.Unlock()
		err := file.Sync()
		f.mu.Lock()
		f.busy = false
		if f.synced < target { // otherwise the file was rolled meanwhile, durably, and may be closed
			if err != nil {
				_ = f.failLocked(err)
			} else {
				f.synced = target
			}
		}
		f.done.Broadcast()
	}
	return f.err
}
