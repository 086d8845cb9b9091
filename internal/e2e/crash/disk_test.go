//go:build linux && amd64

package crash_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"

	"golang.org/x/sys/unix"
)

// testDisks runs every program on real disks that are full, out of inodes or read-only,
// with limits on its files, without permission, and with folders that are deleted. Each
// file must be as before or as after, the status 2 with a line of explanation, and the
// next run must succeed without the fault.
func (c *crashes) testDisks(t *testing.T, g *fixtures) {
	if os.Geteuid() != 0 {
		need.Missing(t, "root, which may mount a small disk and run as another user")
	}
	faults := &faults{byKind: map[string]int{}}
	t.Run("programs", func(t *testing.T) { // returns when all subtests have ended
		for _, s := range g.writers() {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				c.testDisk(t, s, faults)
			})
		}
	})
	for _, kind := range []string{"full disk", "no inodes", "read-only", "no permission", "file size", "descriptors",
		"vanished"} {
		if faults.byKind[kind] == 0 {
			t.Errorf("%s: no run was affected", kind)
		}
	}
	total := 0
	for _, n := range faults.byKind {
		total += n
	}
	t.Logf("%d runs with a fault: %v", total, faults.byKind)
}

// faults counts the affected runs by kind of fault.
type faults struct {
	sync.Mutex
	byKind map[string]int
}

func (f *faults) add(kind string) {
	f.Lock()
	defer f.Unlock()
	f.byKind[kind]++
}

func (c *crashes) testDisk(t *testing.T, s crash, faults *faults) {
	before := snapshot(t, s.from)
	plain := c.try(t, s, before, 0, noFault)
	k := &checker{T: t, crashes: c, crash: s, before: before, clean: snapshot(t, plain.dir)}
	d := &diskTest{checker: k, faults: faults, plain: plain}
	d.fullDisk("full disk", "size=8m", fillPages)
	d.fullDisk("no inodes", "size=8m,nr_inodes=400", fillInodes)
	d.readOnly()
	d.noPermission()
	d.fileSizes()
	d.descriptors()
	d.vanishing()
}

// A diskTest runs one program with faults of the disk.
type diskTest struct {
	*checker
	faults *faults
	plain  result // of a run without faults
}

// try runs the program in a folder, removes the fault by clear, and verifies what is left.
func (d *diskTest) try(kind, what string, p *traced, clear func()) {
	d.Helper()
	d.what = what
	p.plain, p.mode = true, failed
	r, err := d.run(p, d.command, d.requests)
	if err != nil {
		d.Fatalf("%s: %v", what, err)
	}
	clear()
	d.check(r)
	if r.status != d.status || len(r.answered) < d.requests {
		d.faults.add(kind)
	}
	if d.Failed() {
		d.Fatalf("fault: %s\nstatus %d, %s", what, r.status, r.stderr)
	}
}

// fullDisk leaves 0, 1, 2, … pages or inodes free, until they are enough for the program.
func (d *diskTest) fullDisk(kind, options string, fill func(t *testing.T, dir string, left int)) {
	d.Helper()
	disk := d.mount(options)
	dir, filler := filepath.Join(disk, "loop"), filepath.Join(disk, "filler")
	for left := 0; left < 200; left += 1 + left/8 {
		d.before.write(d.T, d.mkdir(dir))
		fill(d.T, d.mkdir(filler), left)
		enough := false
		d.try(kind, fmt.Sprintf("%s but for %d", kind, left), &traced{dir: dir}, func() {
			enough = d.entriesBelow(dir) >= d.entriesBelow(d.plain.dir) && left > 30
			os.RemoveAll(filler)
		})
		os.RemoveAll(dir)
		if enough {
			return
		}
	}
}

func (d *diskTest) entriesBelow(dir string) int { return len(snapshot(d.T, dir)) }

// fillPages writes until the disk has no free page, then frees some.
func fillPages(t *testing.T, dir string, left int) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, os.Getpagesize())
	pages := 0
	for {
		if _, err = f.Write(page); err != nil {
			break
		}
		pages++
	}
	if !errors.Is(err, syscall.ENOSPC) || pages < left {
		t.Fatalf("%d pages written, %v", pages, err)
	}
	if err := f.Truncate(int64((pages - left) * len(page))); err != nil {
		t.Fatal(err)
	}
}

// fillInodes creates files until the disk has no free inode, then frees some.
func fillInodes(t *testing.T, dir string, left int) {
	t.Helper()
	name := func(i int) string { return filepath.Join(dir, fmt.Sprint(i)) }
	for i := 0; ; i++ {
		f, err := os.Create(name(i))
		if errors.Is(err, syscall.ENOSPC) {
			for k := range min(left, i) {
				os.Remove(name(k))
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}

// readOnly runs the program on a read-only disk.
func (d *diskTest) readOnly() {
	d.Helper()
	disk := d.mount("size=8m")
	dir := filepath.Join(disk, "loop")
	d.before.write(d.T, d.mkdir(dir))
	d.remount(disk, unix.MS_RDONLY)
	d.try("read-only", "read-only disk", &traced{dir: dir}, func() { d.remount(disk, 0) })
}

// noPermission runs the program as a user without write permission.
func (d *diskTest) noPermission() {
	d.Helper()
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	makeAccessible(d.T, d.bin)
	for _, locked := range []string{".", "data", "registry", "models", "logs"} {
		dir := d.TempDir()
		makeAccessible(d.T, dir)
		d.before.write(d.T, dir)
		filepath.Walk(dir, func(path string, info os.FileInfo, err error) error { return os.Chown(path, 65534, 65534) })
		at := filepath.Join(dir, locked)
		if _, err := os.Stat(at); err != nil {
			continue
		}
		os.Chown(at, 0, 0)
		os.Chmod(at, 0o555)
		d.try("no permission", "no permission to write to "+locked, &traced{dir: dir, sys: nobody}, func() {
			filepath.Walk(dir, func(path string, info os.FileInfo, err error) error { return os.Chown(path, 0, 0) })
		})
	}
}

// makeAccessible lets every user enter a temporary folder.
func makeAccessible(t *testing.T, dir string) {
	t.Helper()
	for ; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// fileSizes runs the program with a limit on the size of a file, in blocks of 512 bytes.
// Its standard error is a file too and needs one block.
func (d *diskTest) fileSizes() {
	d.Helper()
	for _, blocks := range []int{1, 2, 4, 8, 16, 32, 64} {
		dir := d.TempDir()
		d.before.write(d.T, dir)
		d.try("file size", fmt.Sprintf("files of at most %d bytes", 512*blocks),
			&traced{dir: dir, shell: fmt.Sprintf("ulimit -f %d", blocks)}, func() {})
	}
}

// descriptors runs the program with few file descriptors. Without three for Go's runtime,
// beside the standard streams, it would end with a trace.
func (d *diskTest) descriptors() {
	d.Helper()
	least := 9
	if d.requests > 0 {
		least = 16 // its files and one connection
	}
	for n := least; n < 24; n++ {
		dir := d.TempDir()
		d.before.write(d.T, dir)
		d.try("descriptors", fmt.Sprintf("%d descriptors", n), &traced{dir: dir, shell: fmt.Sprintf("ulimit -n %d", n)},
			func() {})
	}
}

// vanishing deletes the folder of each call that changes a file, just before the call.
func (d *diskTest) vanishing() {
	d.Helper()
	for at, call := range d.plain.calls {
		folder, _, _ := strings.Cut(call.path, "/")
		dir := d.TempDir()
		d.before.write(d.T, dir)
		p := &traced{dir: dir, at: at + 1, mode: failed, hook: func() { os.RemoveAll(filepath.Join(dir, folder)) }}
		r, err := d.run(p, d.command, d.requests)
		if err != nil {
			d.Fatal(err)
		}
		if strings.Contains(r.stderr, "goroutine ") || r.status < 0 || r.status > 2 {
			d.Fatalf("%s deleted before call %d: status %d, %s", folder, at+1, r.status, r.stderr)
		}
		if r.triggered {
			d.faults.add("vanished")
		}
	}
}

func (d *diskTest) mount(options string) string {
	d.Helper()
	dir := d.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		d.Fatalf("mounting a small disk: %v", err)
	}
	d.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func (d *diskTest) remount(dir string, flags uintptr) {
	d.Helper()
	var err error
	programs.Poll(programs.Patience, func() bool {
		err = unix.Mount("", dir, "", unix.MS_REMOUNT|flags, "")
		// a program that another test starts has all open files between its fork and its exec
		return !errors.Is(err, unix.EBUSY)
	})
	if err != nil {
		d.Fatal(err)
	}
}

func (d *diskTest) mkdir(dir string) string {
	d.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		d.Fatal(err)
	}
	return dir
}
