//go:build unix

package cli

import (
	"fmt"
	"os"
	"syscall"
)

// freeFiles is how many more files a step must be able to open. The greediest,
// prepare --log, opens sixteen, with the runtime's own.
const freeFiles = 24

// checkFiles refuses to begin where so few files may be opened that a step would
// stop in its middle, or the runtime end it with a trace of its stacks.
func checkFiles() error {
	var opened []int
	defer func() {
		for _, fd := range opened {
			syscall.Close(fd)
		}
	}()
	for range freeFiles {
		fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0) // os.Open would wake the runtime's poller
		switch err {
		case nil:
			opened = append(opened, fd)
		case syscall.EMFILE, syscall.ENFILE:
			return fmt.Errorf("%w: %d can be opened, %d are needed: raise the limit, see ulimit -n", err, len(opened), freeFiles)
		default:
			return nil // there is no /dev/null, which proves nothing
		}
	}
	return nil
}
