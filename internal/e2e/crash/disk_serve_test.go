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
	answered, refused, rounds := 0, 0, 0
	for _, args := range [][]string{nil, {"--log-sync", "batch"}, {"--log-max-size", "50000"}} {
		l, disk := onSmallDisk(base)
		l.Start(args...)
		load := generateLoad(l)
		round := func(fault, health string, make func() (mend func())) {
			l.Helper()
			before, _ := load.counts()
			mend := make()
			if health == "" { // the fault does not affect answers
				_, was := load.counts()
				l.WaitFor(fault, func() bool { now, _ := load.counts(); return now > before+100 })
				if _, now := load.counts(); now > was {
					l.Errorf("%s: requests are rejected", fault)
				}
			} else {
				l.WaitFor(fault, func() bool {
					code, answer := l.Get("/health")
					return code == 503 && strings.Contains(answer, health)
				})
				l.WaitFor(fault, func() bool { // a single record may still fit on the log's last page
					for range 5 {
						if code, answer := l.Post("/predict", programs.Customer("refused")); code != 503 ||
							!strings.Contains(answer, "could not be logged") {
							return false
						}
					}
					return true
				})
				if code, _ := l.Get("/readyz"); code != 200 {
					l.Errorf("%s: /readyz answers %d", fault, code)
				}
			}
			mend()
			before, _ = load.counts()
			l.WaitFor("after "+fault, func() bool {
				now, _ := load.counts()
				code, _ := l.Get("/health")
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
			os.Rename(l.Path("logs/predictions.log"), l.Path("logs/predictions.log.1"))
			return func() { leaveInodes(t, disk, -1) }
		})
		away := func(folder string) func() (mend func()) {
			return func() func() {
				if err := os.Rename(l.Path(folder), l.Dir+".away"); err != nil {
					l.Fatal(err)
				}
				return func() {
					rounds := fmt.Sprint(l.Dir, ".", rounds) // a new folder in its place has records too
					if err := os.Rename(l.Path(folder), rounds); err != nil && !errors.Is(err, fs.ErrNotExist) {
						l.Fatal(err)
					}
					if err := os.Rename(l.Dir+".away", l.Path(folder)); err != nil {
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
			for err := fs.ErrExist; err != nil; { // serve creates the folder again
				os.RemoveAll(l.Dir + ".made")
				os.Rename(l.Path("logs"), l.Dir+".made")
				err = os.WriteFile(l.Path("logs"), nil, 0o644)
			}
			return func() { os.Remove(l.Path("logs")); mend() }
		})
		a, r := load.end()
		answered, refused = answered+a, refused+r
		l.Stop()
		load.wantLogged(l)
	}
	t.Logf("serve under load: %d faults; %d predictions answered, all logged; %d rejected, none logged; no line cutShort",
		rounds, answered, refused)
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
