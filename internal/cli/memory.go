package cli

import (
	"fmt"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// AvailableMemory returns the memory of the machine, or the limit of the process's cgroup if
// that is lower: of version 2 or 1, or of one above it.
func AvailableMemory() int64 {
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
