package cli

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// SizeVar defines a flag that takes a size in bytes, such as 2000000000, 2GB, 512MiB or, as in Kubernetes, 512Mi.
func SizeVar(f *pflag.FlagSet, p *int64, name string, value int64, usage string) {
	*p = value
	f.Var((*size)(p), name, usage)
}

type size int64

var sizeForm = regexp.MustCompile(`^(\d+)(?:([kMGT])(i?)B?)?$`)

// Set implements [pflag.Value].
func (s *size) Set(text string) error {
	form := sizeForm.FindStringSubmatch(text)
	if form == nil {
		return errors.New("write bytes, such as 2000000000, 2GB or 512MiB")
	}
	unit, times := int64(1), int64(1000)
	if form[3] != "" {
		times = 1024
	}
	for range strings.Index("kMGT", form[2]) + len(form[2]) { // 0 without a unit
		unit *= times
	}
	n, err := strconv.ParseInt(form[1], 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return errors.New("that is too large")
	}
	*s = size(n * unit)
	return nil
}

// String implements [pflag.Value].
func (s *size) String() string { return strconv.FormatInt(int64(*s), 10) }

// Type implements [pflag.Value].
func (s *size) Type() string { return "bytes" }

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
