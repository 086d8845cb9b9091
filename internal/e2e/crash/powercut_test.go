//go:build linux && amd64

package crash_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// A disk is what a power cut would leave of a folder: bytes that were synced, below
// names whose folder was synced. Each file is as it was at its last fsync; one that
// was never synced is empty. Whether names survive before their folder is synced is
// the file system's choice, so there are two answers, and both are to be borne.
type disk struct {
	dir      string
	ids      map[uint64]int // of files and folders by inode, whose number may go to another one
	last     int
	contents map[int][]byte         // of a file, at its last fsync
	names    map[int]map[string]int // of a folder, at its last fsync

	cuts []powerCut // what power cuts left, each different from the one before it
}

// A powerCut is what a power cut leaves.
type powerCut struct {
	at    int // the call that did not come; after the last one, the end
	early bool
	left  fileTree
}

func (c powerCut) String() string {
	if c.early {
		return fmt.Sprintf("power cut before call %d, names survive at once", c.at)
	}
	return fmt.Sprintf("power cut before call %d, names survive when their folder is synced", c.at)
}

// newDisk returns a folder all of which has been synced.
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

// created notes a new file or folder, which has nothing in it. Its inode may have
// been another one's.
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

// synced notes an fsync of a file or folder.
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

// note keeps what a power cut at this moment would leave, if it is new or wanted always.
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
	for _, c := range []powerCut{{at, false, late}, {at, true, early}} {
		if always || !d.has(c) {
			d.cuts = append(d.cuts, c)
		}
	}
}

// has tells whether the same was left before.
func (d *disk) has(c powerCut) bool {
	for _, other := range d.cuts {
		if other.left.equal(c.left) {
			return true
		}
	}
	return false
}

// durable adds what is durable below a folder.
func (d *disk) durable(to fileTree, prefix string, folder int) {
	for name, id := range d.names[folder] {
		if _, ok := d.names[id]; ok {
			d.durable(to, prefix+name+"/", id)
		} else {
			to[prefix+name] = d.contents[id] // nothing, if only its name is durable
		}
	}
}
