package cli

import (
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// messages writes lines to standard error without making their writer wait: a goroutine
// writes what has come in. What a reader that is too slow has no room for is dropped, and it
// is told how many lines those were.
type messages struct {
	to io.Writer

	mu      sync.Mutex
	waiting []byte
	dropped int           // lines since waiting was full
	idle    chan struct{} // closed when all is written; nil if it is
}

const (
	maxWaiting = 1 << 20         // bytes of lines: some 5,000
	flushWait  = time.Second / 2 // at the end, for a reader that is alive
)

// Logger returns a logger to a command's standard error, which from now on never makes the
// command wait, whether anybody reads it or not.
func Logger(cmd *cobra.Command) *slog.Logger {
	m := &messages{to: cmd.ErrOrStderr()}
	cmd.SetErr(m)
	return slog.New(slog.NewJSONHandler(m, nil))
}

// Write takes one or more lines.
func (m *messages) Write(lines []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dropped > 0 || len(m.waiting)+len(lines) > maxWaiting { // no shorter one goes first
		m.dropped++
		return len(lines), nil
	}
	m.waiting = append(m.waiting, lines...)
	if m.idle == nil {
		m.idle = make(chan struct{})
		go m.send()
	}
	return len(lines), nil
}

func (m *messages) send() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.waiting) > 0 {
		text, dropped := m.waiting, m.dropped
		m.waiting, m.dropped = nil, 0
		m.mu.Unlock()
		m.to.Write(text) // an error: there is nobody to tell
		if dropped > 0 {
			slog.New(slog.NewJSONHandler(m.to, nil)).Warn("messages left out, nobody read them", "lines", dropped)
		}
		m.mu.Lock()
	}
	close(m.idle)
	m.idle = nil
}

// flush waits for a moment until all is written.
func (m *messages) flush() {
	m.mu.Lock()
	idle := m.idle
	m.mu.Unlock()
	if idle != nil {
		select {
		case <-idle:
		case <-time.After(flushWait):
		}
	}
}
