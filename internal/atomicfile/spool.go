package atomicfile

import "os"

// A Spool writes to a file and has the disk follow meanwhile, so that the commit
// has little left to wait for, and memory holds few unwritten pages.
type Spool struct {
	file    *os.File
	pending int           // bytes since the last sync was asked for
	due     chan struct{} // asks for a sync
	synced  chan error    // the first error, when all are done
}

const syncBytes = 4 << 20 // a few milliseconds of a disk's time

// NewSpool starts to write to a file. Wait must end it.
func NewSpool(file *os.File) *Spool {
	s := &Spool{file: file, due: make(chan struct{}, 1), synced: make(chan error, 1)}
	go func() {
		var first error // the system tells of a failed sync once: the commit's would succeed
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
