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

	"golang.org/x/sys/unix"
)

// testDisks runs every program on disks that are full, out of inodes or read-only,
// with limits on its files and without permission, and with folders that vanish.
// All of it is real. Each file must be as before or as after, the status 2 with a
// line that says why, and the next run must work once there is nothing in its way.
func (c *crashes) testDisks(t *testing.T, g *grounds) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("full disks are mounted by root, and nobody else may be tried: run this as root")
		}
		t.Skip("SKIPPED: full disks are mounted by root")
	}
	faults := &faults{byKind: map[string]int{}}
	t.Run("programs", func(t *testing.T) { // which returns when all have ended
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
			t.Errorf("%s: no program was hindered", kind)
		}
	}
	total := 0
	for _, n := range faults.byKind {
		total += n
	}
	t.Logf("%d runs in which the disk said no: %v", total, faults.byKind)
}

// faults counts them by kind.
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

// A diskTest is one program's.
type diskTest struct {
	*checker
	faults *faults
	plain  result // of an undisturbed run
}

// try runs the program in a folder and judges what is left.
func (d *diskTest) try(kind, what string, p *traced, clear func()) {
	d.Helper()
	d.what = what
	p.plain, p.mode = true, failed
	r, err := d.run(p, d.command, d.asked)
	if err != nil {
		d.Fatalf("%s: %v", what, err)
	}
	clear()
	d.left(r)
	d.again(r)
	if r.status != d.status || len(r.answered) < d.asked {
		d.faults.add(kind)
	}
	if d.Failed() {
		d.Fatalf("that was: %s\nstatus %d, %s", what, r.status, r.stderr)
	}
}

// fullDisk leaves 0, 1, 2, … pages or inodes free, until the program has enough.
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

// fillPages writes until the disk has no page, then gives some back.
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

// fillInodes makes files until the disk has no inode, then gives some back.
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

// readOnly runs the program on a disk that nobody may write to.
func (d *diskTest) readOnly() {
	d.Helper()
	disk := d.mount("size=8m")
	dir := filepath.Join(disk, "loop")
	d.before.write(d.T, d.mkdir(dir))
	d.remount(disk, unix.MS_RDONLY)
	d.try("read-only", "read-only disk", &traced{dir: dir}, func() { d.remount(disk, 0) })
}

// noPermission runs the program as a user who may only read.
func (d *diskTest) noPermission() {
	d.Helper()
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	letIn(d.T, d.bin)
	for _, locked := range []string{".", "data", "registry", "models", "logs"} {
		dir := d.TempDir()
		letIn(d.T, dir)
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

// letIn lets everybody into a folder of the test's.
func letIn(t *testing.T, dir string) {
	t.Helper()
	for ; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// fileSizes runs the program with a limit on the size of a file, in blocks of 512
// bytes. Its standard error is a file too, and needs one.
func (d *diskTest) fileSizes() {
	d.Helper()
	for _, blocks := range []int{1, 2, 4, 8, 16, 32, 64} {
		dir := d.TempDir()
		d.before.write(d.T, dir)
		d.try("file size", fmt.Sprintf("files of at most %d bytes", 512*blocks),
			&traced{dir: dir, shell: fmt.Sprintf("ulimit -f %d", blocks)}, func() {})
	}
}

// descriptors runs the program with few file descriptors. Go's runtime has three
// for itself, without which it ends with a trace, beside the three that all have.
func (d *diskTest) descriptors() {
	d.Helper()
	least := 9
	if d.asked > 0 {
		least = 16 // with less no connection can be had beside its files
	}
	for n := least; n < 24; n++ {
		dir := d.TempDir()
		d.before.write(d.T, dir)
		d.try("descriptors", fmt.Sprintf("%d descriptors", n), &traced{dir: dir, shell: fmt.Sprintf("ulimit -n %d", n)},
			func() {})
	}
}

// vanishing removes the folder of each call that changes something, just before it.
func (d *diskTest) vanishing() {
	d.Helper()
	for at, call := range d.plain.calls {
		folder, _, _ := strings.Cut(call.path, "/")
		dir := d.TempDir()
		d.before.write(d.T, dir)
		p := &traced{dir: dir, at: at + 1, mode: failed, hook: func() { os.RemoveAll(filepath.Join(dir, folder)) }}
		r, err := d.run(p, d.command, d.asked)
		if err != nil {
			d.Fatal(err)
		}
		if strings.Contains(r.stderr, "goroutine ") || r.status < 0 || r.status > 2 {
			d.Fatalf("%s vanished before call %d: status %d, %s", folder, at+1, r.status, r.stderr)
		}
		if r.struck {
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
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|flags, ""); err != nil {
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
