//go:build linux && amd64

package crash_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"churn/internal/testing/programs"

	"golang.org/x/sys/unix"
)

const manyInodes = 5000 // of the small disk

// TestServeOnBadDisks runs serve under load while the disk fills up and is emptied, inodes
// run out, and folders are moved away and back. Answered predictions are logged, rejected
// ones are not, and the service recovers from each fault by itself.
func TestServeOnBadDisks(t *testing.T) {
	bin := programs.Build(t)
	base := programs.NewLoop(t, bin)
	base.Run("train", "--gate-f1", "0", "--version", "v3")
	serveFewFiles(base)
	if os.Geteuid() != 0 {
		t.Log("SKIPPED: only root may mount a small disk")
		return
	}
	answered, rejected, rounds := 0, 0, 0
	for _, args := range [][]string{nil, {"--log-sync", "batch"}, {"--log-max-size", "50000"}} {
		l, disk := onSmallDisk(base)
		l.Start(args...)
		d := &badDisk{Loop: l, disk: disk, load: generateLoad(l)}
		d.tryFaults()
		a, r := d.load.end()
		answered, rejected, rounds = answered+a, rejected+r, rounds+d.rounds
		l.Stop()
		d.load.wantLogged(l)
	}
	t.Logf("serve under load: %d faults; %d predictions answered, all logged; %d rejected, none logged; no truncated line",
		rounds, answered, rejected)
}

// A badDisk is a service under load on a small disk.
type badDisk struct {
	*programs.Loop
	disk   string
	load   *loadGenerator
	rounds int
}

// round makes a fault, whose function mend removes it. /health must contain a text meanwhile;
// if that is "", requests must be answered.
func (d *badDisk) round(fault, health string, make func() (mend func())) {
	d.Helper()
	before, _ := d.load.counts()
	mend := make()
	if health == "" { // the fault does not affect answers
		_, was := d.load.counts()
		d.WaitFor(fault, func() bool { now, _ := d.load.counts(); return now > before+100 })
		if _, now := d.load.counts(); now > was {
			d.Errorf("%s: requests are rejected: %s", fault, d.load.lastReason())
		}
	} else {
		d.WaitFor(fault, func() bool {
			code, answer := d.Get("/health")
			return code == 503 && strings.Contains(answer, health)
		})
		d.WaitFor(fault, func() bool { // a single record may still fit on the log's last page
			for range 5 {
				if code, answer := d.Post("/predict", programs.Customer("refused")); code != 503 ||
					!strings.Contains(answer, "could not be logged") {
					return false
				}
			}
			return true
		})
		if code, answer := d.Get("/readyz"); code != 503 || !strings.Contains(answer, health) {
			d.Errorf("%s: /readyz answers %d: %s", fault, code, answer)
		}
	}
	mend()
	before, _ = d.load.counts()
	d.WaitFor("after "+fault, func() bool {
		now, _ := d.load.counts()
		code, _ := d.Get("/health")
		return code == 200 && now > before+20
	})
	d.rounds++
}

// away moves a folder away until mend moves it back.
func (d *badDisk) away(folder string) func() (mend func()) {
	return func() func() {
		if err := os.Rename(d.Path(folder), d.Dir+".away"); err != nil {
			d.Fatal(err)
		}
		return func() {
			move := func(flags uint) error { // serve may create the folder at any time
				return unix.Renameat2(unix.AT_FDCWD, d.Dir+".away", unix.AT_FDCWD, d.Path(folder), flags)
			}
			err := move(unix.RENAME_NOREPLACE)
			if errors.Is(err, fs.ErrExist) {
				created := fmt.Sprint(d.Dir, ".", d.rounds) // the folder that serve created has records too
				err = errors.Join(move(unix.RENAME_EXCHANGE), os.Rename(d.Dir+".away", created))
			}
			if err != nil {
				d.Fatal(err)
			}
		}
	}
}

func (d *badDisk) tryFaults() {
	const noLog = "predictions cannot be logged"
	for free := range 4 {
		d.round("full disk", noLog, func() func() {
			fillPages(d.T, d.disk, free)
			return func() { os.Remove(filepath.Join(d.disk, "filler")) }
		})
	}
	d.round("disk without inodes", noLog, func() func() {
		leaveInodes(d.T, d.disk, 0)
		os.Rename(d.Path("logs/predictions.log"), d.Path("logs/predictions.log.1"))
		return func() { leaveInodes(d.T, d.disk, -1) }
	})
	for _, folder := range []string{"logs", "registry", "models", "."} {
		d.round(folder+" goes away", "", d.away(folder))
	}
	d.round("a file is in the place of logs", noLog, func() func() {
		mend := d.away("logs")()
		for err := fs.ErrExist; err != nil; { // serve creates the folder again
			os.RemoveAll(d.Dir + ".made")
			os.Rename(d.Path("logs"), d.Dir+".made")
			err = os.WriteFile(d.Path("logs"), nil, 0o644)
		}
		return func() { os.Remove(d.Path("logs")); mend() }
	})
}

// onSmallDisk returns a copy of a loop on a disk of its own.
func onSmallDisk(base *programs.Loop) (l *programs.Loop, disk string) {
	base.Helper()
	disk = base.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=48m,nr_inodes=%d", manyInodes)); err != nil {
		base.Fatal(err)
	}
	base.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	return copyLoop(base, disk), disk
}

// copyLoop returns a loop with the same files, in a folder in dir.
func copyLoop(l *programs.Loop, dir string) *programs.Loop {
	l.Helper()
	other := programs.EmptyLoop(l.T, l.Bin)
	other.Dir = filepath.Join(dir, "loop")
	snapshot(l.T, l.Dir).write(l.T, other.Dir)
	return other
}

// leaveInodes limits a disk to more new files; a negative number removes the limit.
func leaveInodes(t *testing.T, disk string, more int) {
	t.Helper()
	var err error
	if !programs.Poll(programs.Patience, func() bool {
		var s unix.Statfs_t
		if err = unix.Statfs(disk, &s); err != nil {
			return false
		}
		most := s.Files - s.Ffree + uint64(more)
		if more < 0 {
			most = manyInodes
		}
		err = unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("nr_inodes=%d", most))
		return !errors.Is(err, unix.EINVAL) // serve has created a file since Statfs
	}) || err != nil {
		t.Fatal(err)
	}
}

// serveFewFiles opens more connections than serve may have descriptors. Connected clients
// are answered, by the last good model while a new one cannot be opened, and by the new
// one once connections are closed.
func serveFewFiles(base *programs.Loop) {
	l := copyLoop(base, base.TempDir())
	l.Files = 40
	l.Start()
	l.Post("/predict", programs.Customer("first"))
	var connections []net.Conn
	for range 60 {
		c, err := net.Dial("tcp", l.Addr)
		if err != nil {
			l.Fatal(err)
		}
		defer c.Close()
		connections = append(connections, c)
	}
	l.WaitFor("too many connections", func() bool { return l.Logged("accept4: too many open files") })
	if code, answer := l.Post("/predict", programs.Customer("connected")); code != 200 {
		l.Errorf("too many open files: a connected client is answered %d: %s", code, answer)
	}
	models := l.Models()
	l.Run("rollback", models[0])
	if err := os.Rename(l.Path("logs/predictions.log"), l.Path("logs/predictions.log.1")); err != nil {
		l.Fatal(err)
	}
	l.WaitFor("a model that cannot be opened", func() bool {
		_, answer := l.Get("/health")
		return strings.Contains(answer, models[2]+" keeps serving: ") && strings.Contains(answer, "too many open files")
	})
	c := &loadGenerator{answered: map[string]bool{"first": true, "connected": true, "last": true},
		rejected: map[string]bool{}}
	for i := range 20 { // 200 if the log and not a connection gets the free descriptor
		id := fmt.Sprint("moved", i)
		switch code, answer := l.Post("/predict", programs.Customer(id)); code {
		case 200:
			c.answered[id] = true
		case 503:
			c.rejected[id] = true
		default:
			l.Errorf("too many open files: with its log moved away it answers %d: %s", code, answer)
		}
	}
	for _, c := range connections {
		c.Close()
	}
	l.WaitFor("closed connections", func() bool {
		code, answer := l.Get("/health")
		return code == 200 && strings.Contains(answer, models[0]) && !strings.Contains(answer, "detail")
	})
	if code, answer := l.Post("/predict", programs.Customer("last")); code != 200 || !strings.Contains(answer, models[0]) {
		l.Errorf("after too many open files a prediction is answered %d: %s", code, answer)
	}
	l.Stop()
	c.wantLogged(l)
}
