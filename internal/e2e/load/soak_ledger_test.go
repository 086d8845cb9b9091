package load_test

import (
	"bytes"
	"cmp"
	"errors"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"churn/internal/predlog"

	"github.com/gofrs/flock"
)

// A ledger has the state of each customer, by the number in its request_id.
type ledger struct {
	mu        sync.Mutex
	customers []customerState
	lines     int // in the logs that were read
	answered  int
}

type customerState struct {
	hash     uint64 // of the record, as answered or logged; 0 if unknown
	answered bool
	logged   uint8
	refused  bool
}

var ledgerSeed = maphash.MakeSeed()

const ledgerPrefix = "soak-"

// next adds n customers and returns the number of the first.
func (l *ledger) next(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.customers = append(l.customers, make([]customerState, n)...)
	return len(l.customers) - n
}

func (l *ledger) refuse(first, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range n {
		l.customers[first+i].refused = true
	}
}

// answer records an answer. line is the record, or nil if the answer has another format.
// It returns false if the log has a different record.
func (l *ledger) answer(i int, line []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.customers[i]
	c.answered = true
	l.answered++
	return c.same(line)
}

// log records a line of the log. It returns false if the answer was different or there
// was no such request.
func (l *ledger) log(id string, line []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines++
	number, ours := strings.CutPrefix(id, ledgerPrefix)
	i, err := strconv.Atoi(number)
	if !ours || err != nil || i < 0 || i >= len(l.customers) {
		return false
	}
	c := &l.customers[i]
	c.logged = min(c.logged+1, 100)
	return c.same(line)
}

func (c *customerState) same(line []byte) bool {
	if line == nil {
		return true
	}
	hash := maphash.Bytes(ledgerSeed, bytes.TrimSpace(line))
	if c.hash == 0 {
		c.hash = hash
	}
	return c.hash == hash
}

// close returns the number of answered records that are not in the log, and of records that
// are there twice or belong to rejected requests.
func (l *ledger) close() (lost, extra int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.customers {
		if c.answered && c.logged == 0 {
			lost++
		}
		if c.logged > 1 || c.refused && c.logged > 0 {
			extra++
		}
	}
	return lost, extra
}

// A logRotator moves the log away, as logrotate does, and checks and removes logs that
// were moved away a while ago, by it or by a service.
type logRotator struct {
	*soak
	path string
	seen []rotatedLog

	moved, bySize, truncated, mismatched int
}

// A rotatedLog is a log that was moved away.
type rotatedLog struct {
	info  os.FileInfo
	since time.Time // first seen
}

const (
	settleTime = time.Second // a log gets records for a millisecond after it was moved away
	keptLogs   = 2           // logs that drift may still read
)

// move moves the log to predictions.log.1, the one that was there to .2, and so on.
func (k *logRotator) move() error {
	free := 1
	for ; ; free++ {
		if _, err := os.Lstat(k.path + "." + strconv.Itoa(free)); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
	}
	for ; free > 1; free-- {
		if err := os.Rename(k.path+"."+strconv.Itoa(free-1), k.path+"."+strconv.Itoa(free)); err != nil {
			return err
		}
	}
	err := os.Rename(k.path, k.path+".1")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a service is moving it
	}
	k.moved++
	return err
}

// clear checks and removes the rotated logs, except the newest ones and those first seen
// less than settle ago.
func (k *logRotator) clear(keep int, settle time.Duration) error {
	byNumber, err := filepath.Glob(k.path + ".[0-9]*")
	if err != nil {
		return err
	}
	slices.SortFunc(byNumber, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(b, a)) })
	byTime, err := filepath.Glob(strings.TrimSuffix(k.path, ".log") + "-*.log") // of one service
	if err != nil {
		return err
	}
	names := slices.Concat(byNumber, byTime) // the oldest of each first
	var seen []rotatedLog
	for i, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		file := rotatedLog{info, time.Now()}
		for _, known := range k.seen {
			if os.SameFile(known.info, info) {
				file.since = known.since
			}
		}
		if len(names)-i <= keep || time.Since(file.since) < settle {
			seen = append(seen, file)
			continue
		}
		if strings.HasPrefix(filepath.Base(name), "predictions-") {
			k.bySize++
		}
		if err := errors.Join(k.read(name), os.Remove(name)); err != nil {
			return err
		}
	}
	k.seen = seen
	return nil
}

// read checks a log that is no longer written. It takes the lock of writers, so that the last
// write has ended.
func (k *logRotator) read(name string) error {
	lock := flock.New(filepath.Join(filepath.Dir(k.path), ".predictions.log.lock"), flock.SetFlag(os.O_WRONLY))
	if err := lock.Lock(); err != nil {
		return err
	}
	text, err := os.ReadFile(name)
	if err := errors.Join(err, lock.Close()); err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		r, err := predlog.Parse(line)
		if err != nil || !bytes.HasSuffix(line, []byte("}\n")) {
			k.truncated++
			k.fail("%s has the line %q: %v", filepath.Base(name), line, err)
			continue
		}
		if !k.ledger.log(r.RequestID, line) {
			k.mismatched++
			k.fail("%s has a record without a request, or unlike the answer: %s", filepath.Base(name), line)
		}
		k.check(r.RequestID, r.ModelVersion, r.Features, r.Prediction, r.Probability, r.Threshold)
	}
	return nil
}
