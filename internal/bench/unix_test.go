//go:build unix

package bench

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// settle waits for pending writes, so that no process is slowed by another one's.
func settle() { unix.Sync() }

// peakBytes returns the largest resident set of an ended process. Linux includes that of
// the parent at the fork, so this program must stay small.
func peakBytes(p *os.ProcessState) int64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	peak := int64(usage.Maxrss)
	if runtime.GOOS != "darwin" && runtime.GOOS != "ios" {
		peak *= 1024 // only the Apple systems count in bytes
	}
	return peak
}
