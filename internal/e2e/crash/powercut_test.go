//go:build linux && amd64

package crash_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// A disk models what a power cut would leave of a folder. Each file is as at its last
// fsync, or empty without one. Whether a name survives before its folder is synced depends
// on the file system, so there are two possible states, and both must be handled.
type disk struct {
	dir      string
	ids      map[uint64]int // of files and folders by inode; inode numbers are reused
	last     int
	contents map[int][]byte         // of a file, at its last fsync
	names    map[int]map[string]int // of a folder, at its last fsync

	cuts []powerCut // distinct states
}

// A powerCut is the state after a power cut.
type powerCut struct {
	at    int  // number of the call before which it happens; after the last one, the end
	early bool // names survive before their folder is synced
	left  fileTree
}

func (c powerCut) String() string {
	if c.early {
		return fmt.Sprintf("power cut before call %d, names survive without a sync", c.at)
	}
	return fmt.Sprintf("power cut before call %d, names survive once their folder is synced", c.at)
}

// newDisk returns the disk of a folder that is synced as it is.
func newDisk(dir string) (*disk, error) {
	d := &disk{dir: dir, ids: map[uint64]int{}, contents: map[int][]byte{}, names: map[int]map[string]int{}}
	return d, filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return d.synced(path)
	})
}

// id returns the number of what is at a path, and whether it is a folder.
func (d *disk) id(path string) (id int, folder bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, false
	}
	inode := info.Sys().(*syscall.Stat_t).Ino
	if d.ids[inode] == 0 {
		d.last++
		d.ids[inode] = d.last
	}
	return d.ids[inode], info.IsDir()
}

// created records a new, empty file or folder, whose inode may be a reused one.
func (d *disk) created(path string) {
	info, err := os.Lstat(path)
	if err != nil {
		return
	}
	delete(d.ids, info.Sys().(*syscall.Stat_t).Ino)
	if id, folder := d.id(path); folder {
		d.names[id] = map[string]int{}
	}
}

// synced records an fsync of a file or folder.
func (d *disk) synced(path string) error {
	id, folder := d.id(path)
	if !folder {
		content, err := os.ReadFile(path)
		d.contents[id] = content
		return err
	}
	entries, err := os.ReadDir(path)
	names := map[string]int{}
	for _, e := range entries {
		names[e.Name()], _ = d.id(filepath.Join(path, e.Name()))
	}
	d.names[id] = names
	return err
}

// note appends the states after a power cut now, if they are new or always is set.
func (d *disk) note(at int, always bool) {
	late, early := fileTree{}, fileTree{}
	root, _ := d.id(d.dir)
	d.durable(late, "", root)
	filepath.Walk(d.dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			name, _ := filepath.Rel(d.dir, path)
			id, _ := d.id(path)
			early[name] = d.contents[id]
		}
		return nil
	})
	for _, c := range []powerCut{{at: at, left: late}, {at: at, early: true, left: early}} {
		if always || !d.has(c) {
			d.cuts = append(d.cuts, c)
		}
	}
}

// has reports whether an earlier power cut left the same files.
func (d *disk) has(c powerCut) bool {
	for _, other := range d.cuts {
		if other.left.equal(c.left) {
			return true
		}
	}
	return false
}

// durable adds the durable files below a folder.
func (d *disk) durable(to fileTree, prefix string, folder int) {
	for name, id := range d.names[folder] {
		if _, ok := d.names[id]; ok {
			d.durable(to, prefix+name+"/", id)
		} else {
			to[prefix+name] = d.contents[id] // empty if only its name is durable
		}
	}
}
