//go:build linux && amd64

package cmd_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const manyInodes = 5000 // of the small disk

// testServeOnBadDisks has serve go through bad times. Under load the disk fills up
// and is emptied, files can have no more names, and folders go away and come back.
// What was answered is logged, what was refused is not, and each time the service
// goes on by itself.
func testServeOnBadDisks(t *testing.T, bin string) {
	base := newLoop(t, bin)
	base.run("train", "--gate-f1", "0", "--version", "v3")
	serveFewFiles(base)
	if os.Geteuid() != 0 {
		t.Log("SKIPPED: full disks are mounted by root")
		return
	}
	answered, refused, rounds := 0, 0, 0
	for _, args := range [][]string{nil, {"--log-sync", "batch"}, {"--log-max-size", "50000"}} {
		l, disk := onSmallDisk(base)
		l.start(args...)
		load := l.clamour()
		round := func(fault, health string, make func() (mend func())) {
			l.Helper()
			before, _ := load.counts()
			mend := make()
			if health == "" { // it answers all the same
				_, was := load.counts()
				l.until(fault, func() bool { now, _ := load.counts(); return now > before+100 })
				if _, now := load.counts(); now > was {
					l.Errorf("%s: requests are refused", fault)
				}
			} else {
				l.until(fault, func() bool {
					code, answer := l.get("/health")
					return code == 503 && strings.Contains(answer, health)
				})
				l.until(fault, func() bool { // a single record may still find room on the log's last page
					for range 5 {
						if code, answer := l.post("/predict", customer("refused")); code != 503 || !strings.Contains(answer, "could not be logged") {
							return false
						}
					}
					return true
				})
				if code, _ := l.get("/readyz"); code != 200 {
					l.Errorf("%s: /readyz answers %d", fault, code)
				}
			}
			mend()
			before, _ = load.counts()
			l.until("after "+fault, func() bool {
				now, _ := load.counts()
				code, _ := l.get("/health")
				return code == 200 && now > before+20
			})
			rounds++
		}
		const noLog = "predictions cannot be logged"
		for free := range 4 {
			round("full disk", noLog, func() func() {
				fillPages(t, disk, free)
				return func() { os.Remove(filepath.Join(disk, "filler")) }
			})
		}
		round("disk without inodes", noLog, func() func() {
			leaveInodes(t, disk, 0)
			os.Rename(l.path("logs/predictions.log"), l.path("logs/predictions.log.1"))
			return func() { leaveInodes(t, disk, -1) }
		})
		away := func(folder string) func() (mend func()) {
			return func() func() {
				if err := os.Rename(l.path(folder), l.dir+".away"); err != nil {
					l.Fatal(err)
				}
				return func() {
					rounds := fmt.Sprint(l.dir, ".", rounds) // what was made in its place stays, to be counted
					if err := os.Rename(l.path(folder), rounds); err != nil && !errors.Is(err, fs.ErrNotExist) {
						l.Fatal(err)
					}
					if err := os.Rename(l.dir+".away", l.path(folder)); err != nil {
						l.Fatal(err)
					}
				}
			}
		}
		for _, folder := range []string{"logs", "registry", "models", "."} {
			round(folder+" goes away", "", away(folder))
		}
		round("a file is in the place of logs", noLog, func() func() {
			mend := away("logs")()
			for err := fs.ErrExist; err != nil; { // serve makes the folder anew
				os.RemoveAll(l.dir + ".made")
				os.Rename(l.path("logs"), l.dir+".made")
				err = os.WriteFile(l.path("logs"), nil, 0o644)
			}
			return func() { os.Remove(l.path("logs")); mend() }
		})
		a, r := load.end()
		answered, refused = answered+a, refused+r
		l.stop()
		l.wantLogged(load)
	}
	t.Logf("serve under load: %d faults; %d predictions answered, all logged; %d refused, none logged; no line torn", rounds, answered, refused)
}

// onSmallDisk returns a copy of a loop on a disk of its own.
func onSmallDisk(base *loop) (l *loop, disk string) {
	base.Helper()
	disk = base.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=48m,nr_inodes=%d", manyInodes)); err != nil {
		base.Fatal(err)
	}
	base.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	return base.copyTo(disk), disk
}

// copyTo returns a loop with the same files, in a folder in dir.
func (l *loop) copyTo(dir string) *loop {
	l.Helper()
	other := emptyLoop(l.T, l.bin)
	other.dir = filepath.Join(dir, "loop")
	snapshot(l.T, l.dir).write(l.T, other.dir)
	return other
}

// leaveInodes lets a disk have so many more files, or again many if that is negative.
func leaveInodes(t *testing.T, disk string, more int) {
	t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(disk, &s); err != nil {
		t.Fatal(err)
	}
	most := s.Files - s.Ffree + uint64(more)
	if more < 0 {
		most = manyInodes
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("nr_inodes=%d", most)); err != nil {
		t.Fatal(err)
	}
}

// serveFewFiles: connections take all the files that serve may open. Who is
// connected is answered, by the last good model where a new one cannot be opened,
// which is there once connections have gone.
func serveFewFiles(base *loop) {
	l := base.copyTo(base.TempDir())
	l.files = 40
	l.start()
	l.post("/predict", customer("first"))
	var connections []net.Conn
	for range 60 {
		c, err := net.Dial("tcp", l.addr)
		if err != nil {
			l.Fatal(err)
		}
		defer c.Close()
		connections = append(connections, c)
	}
	l.until("too many connections", func() bool { return l.says("accept4: too many open files") })
	if code, answer := l.post("/predict", customer("connected")); code != 200 {
		l.Errorf("too many open files: who is connected is answered %d: %s", code, answer)
	}
	models := l.models()
	l.run("rollback", models[0])
	if err := os.Rename(l.path("logs/predictions.log"), l.path("logs/predictions.log.1")); err != nil {
		l.Fatal(err)
	}
	l.until("a model that cannot be opened", func() bool {
		_, answer := l.get("/health")
		return strings.Contains(answer, models[2]+" goes on: ") && strings.Contains(answer, "too many open files")
	})
	c := &tally{answered: map[string]bool{"first": true, "connected": true, "last": true}, refused: map[string]bool{}}
	for i := range 20 { // with the log, if its file or a new connection is first to take what it gave up
		id := fmt.Sprint("moved", i)
		switch code, answer := l.post("/predict", customer(id)); code {
		case 200:
			c.answered[id] = true
		case 503:
			c.refused[id] = true
		default:
			l.Errorf("too many open files: with its log moved away it answers %d: %s", code, answer)
		}
	}
	for _, c := range connections {
		c.Close()
	}
	l.until("connections that have gone", func() bool {
		code, answer := l.get("/health")
		return code == 200 && strings.Contains(answer, models[0]) && !strings.Contains(answer, "detail")
	})
	if code, answer := l.post("/predict", customer("last")); code != 200 || !strings.Contains(answer, models[0]) {
		l.Errorf("after too many open files a prediction is answered %d: %s", code, answer)
	}
	l.stop()
	l.wantLogged(c)
}
