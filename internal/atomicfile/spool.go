package atomicfile

import "os"

// A Spool writes to a file and syncs it meanwhile, so that Commit has little left to wait for,
// and few unwritten pages stay in memory.
type Spool struct {
	file    *os.File
	pending int           // bytes since the last sync was requested
	due     chan struct{} // requests a sync
	synced  chan error    // the first error, after the last sync
}

const syncBytes = 4 << 20 // a few milliseconds of a disk's time

// NewSpool returns a Spool of a file. Wait must be called at the end.
func NewSpool(file *os.File) *Spool {
	s := &Spool{file: file, due: make(chan struct{}, 1), synced: make(chan error, 1)}
	go func() {
		var first error // the system reports a failed sync once: that of Commit would succeed
		for range s.due {
			if err := file.Sync(); first == nil {
				first = err
			}
		}
		s.synced <- first
	}()
	return s
}

// Write implements io.Writer.
func (s *Spool) Write(b []byte) (int, error) {
	n, err := s.file.Write(b)
	if s.pending += n; s.pending >= syncBytes {
		select {
		case s.due <- struct{}{}:
			s.pending = 0
		default: // the disk is behind
		}
	}
	return n, err
}

// Wait ends the syncs and returns their first error. Write must not follow.
func (s *Spool) Wait() error {
	close(s.due)
	return <-s.synced
}
