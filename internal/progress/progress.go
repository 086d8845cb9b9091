// Package progress shows the progress of long work on a terminal. It is apart from package
// cli because its library would make the binary of serve too large.
package progress

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cheggaaa/pb/v3"
	"golang.org/x/term"
)

const delay = time.Second // shorter work shows no bar

// A Bar shows the progress of one task. A nil Bar shows nothing.
type Bar struct {
	what  string
	total int64
	bytes bool
	out   *os.File

	done  atomic.Int64
	timer *time.Timer

	mu       sync.Mutex
	shown    *pb.ProgressBar // nil before the delay
	finished bool
}

// Rows returns a bar of a task on a number of rows, shown after a second if w is a terminal. A
// total of 0 is unknown: before the first row only the time is shown.
func Rows(w io.Writer, what string, total int64) *Bar { return start(w, what, total, false) }

// Bytes is like Rows, for a task on a number of bytes.
func Bytes(w io.Writer, what string, total int64) *Bar { return start(w, what, total, true) }

func start(w io.Writer, what string, total int64, bytes bool) *Bar {
	out, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(out.Fd())) {
		return nil
	}
	b := &Bar{what: what, total: total, bytes: bytes, out: out}
	b.timer = time.AfterFunc(delay, b.show)
	return b
}

func (b *Bar) show() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.finished {
		return
	}
	layout := `{{string . "what"}} {{counters . }} {{bar . }} {{speed . "%s/s"}} {{rtime . "%s left"}}`
	if b.total == 0 {
		layout = `{{string . "what"}} {{if .Value}}{{counters . }} {{speed . "%s/s"}} {{end}}{{etime . }}`
	}
	bar := pb.New64(b.total).SetTemplateString(layout)
	bar.Set("what", b.what).Set(pb.Bytes, b.bytes).Set(pb.CleanOnFinish, true)
	if width, _, err := term.GetSize(int(b.out.Fd())); err != nil || width == 0 {
		bar.SetWidth(80) // of an unknown terminal
	}
	bar.SetWriter(b.out).SetCurrent(b.done.Load())
	b.shown = bar.Start()
}

// Add adds n to those done.
func (b *Bar) Add(n int64) {
	if b != nil {
		b.update(b.done.Add(n))
	}
}

// Set sets how many are done.
func (b *Bar) Set(done int64) {
	if b != nil {
		b.done.Store(done)
		b.update(done)
	}
}

func (b *Bar) update(done int64) {
	if b.mu.TryLock() { // otherwise the next call updates it
		if b.shown != nil {
			b.shown.SetCurrent(done)
		}
		b.mu.Unlock()
	}
}

// Finish removes the bar from the terminal.
func (b *Bar) Finish() {
	if b == nil {
		return
	}
	b.timer.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.finished = true
	if b.shown != nil {
		b.shown.Finish()
	}
}

// Reader returns r, adding what is read from it.
func (b *Bar) Reader(r io.Reader) io.Reader {
	if b == nil {
		return r
	}
	return &reader{r, b}
}

type reader struct {
	io.Reader
	bar *Bar
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.bar.Add(int64(n))
	return n, err
}

// Waiting writes to w after a second what a program waits for, unless the timer is stopped.
func Waiting(w io.Writer, what string) *time.Timer {
	return time.AfterFunc(delay, func() {
		fmt.Fprintf(w, "%s: waiting for %s\n", filepath.Base(os.Args[0]), what)
	})
}
