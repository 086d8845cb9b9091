//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// settle waits until the disk has what was written, so that no process pays for
// another one's data.
func settle() { unix.Sync() }

// peakBytes returns the most memory that an ended process had resident. Linux
// counts what the parent had when it forked, so the harness keeps itself small.
func peakBytes(p *os.ProcessState) int64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	peak := int64(usage.Maxrss)
	if runtime.GOOS != "darwin" && runtime.GOOS != "ios" {
		peak *= 1024 // these alone count in bytes
	}
	return peak
}
