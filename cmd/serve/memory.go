package main

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"churn/internal/predictor/budget"
)

// The memory is for three things: a third for connections, a third for what requests hold
// beyond their connection's share, and a third for the model and for garbage. Go collects
// more often as it comes near to all of it. The quarter of a cgroup that is not used by
// default is for the system: buffers of sockets, and pages of the log.
const (
	leastMemory = 32 << 20
	mostMemory  = 1 << 50 // a petabyte: more is a mistake, and half of what overflows

	// connectionBytes is what a connection can hold: a header of 1,600 short fields (250 KB,
	// measured), buffers and stacks, a small body, a piece of a response, and what is not
	// counted of a request.
	connectionBytes = 320<<10 + budget.Free
)

// useMemory divides the memory of --memory, or by default three quarters of what there is.
func (o *options) useMemory() error {
	o.memory = cmp.Or(o.memory, max(leastMemory, availableMemory()/4*3))
	if o.memory < leastMemory || o.memory > mostMemory {
		return fmt.Errorf("--memory %d: %d to %d bytes", o.memory, leastMemory, mostMemory)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(o.memory)
	}
	o.limits.Memory = o.memory / 3
	o.connections = int(min(o.memory/3/connectionBytes, 1<<20))
	return nil
}

// availableMemory returns the memory of the machine, or the limit of the process's cgroup if
// that is lower: of version 2 or 1, or of one above it.
func availableMemory() int64 {
	least := int64(math.MaxInt64)
	limit := func(text string) {
		if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil { // else it is "max", or no file
			least = min(least, n)
		}
	}
	info, _ := os.ReadFile("/proc/meminfo")
	if fields := strings.Fields(string(info)); len(fields) > 2 { // MemTotal: 24105000 kB
		limit(fields[1] + "000")
	}
	groups, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(groups)) { // 4:memory:/kubepods/x, or 0::/x
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, dir, _ := strings.Cut(rest, ":")
		file := "/sys/fs/cgroup%s/memory.max"
		if slices.Contains(strings.Split(controllers, ","), "memory") {
			file = "/sys/fs/cgroup/memory%s/memory.limit_in_bytes"
		}
		for dir = path.Clean("/" + dir); ; dir = path.Dir(dir) {
			text, _ := os.ReadFile(fmt.Sprintf(file, strings.TrimSuffix(dir, "/")))
			limit(string(text))
			if dir == "/" {
				break
			}
		}
	}
	if least == math.MaxInt64 {
		return 2 << 30 // not Linux
	}
	return least
}
