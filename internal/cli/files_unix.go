//go:build unix

package cli

import (
	"fmt"
	"os"
	"syscall"
)

// freeFiles is how many more files a program must be able to open: prepare --log opens the
// most, sixteen with those of the runtime.
const freeFiles = 24

// checkFiles is an error if so few files can be opened that a program would stop halfway, or
// the runtime crash.
func checkFiles() error {
	var opened []int
	defer func() {
		for _, fd := range opened {
			syscall.Close(fd)
		}
	}()
	for range freeFiles {
		// os.Open would start the runtime's poller.
		fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		switch err {
		case nil:
			opened = append(opened, fd)
		case syscall.EMFILE, syscall.ENFILE:
			return fmt.Errorf("%w: %d can be opened, %d are needed: raise the limit, see ulimit -n",
				err, len(opened), freeFiles)
		default:
			return nil // without /dev/null there is nothing to test
		}
	}
	return nil
}
