package cli

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"
)

// A pipe that nobody reads delays no message. Once it is read, it has the first ones, in
// order, and where some were left out their number.
func TestUnreadMessagesDelayNobody(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := &cobra.Command{}
	cmd.SetErr(w)
	logger := Logger(cmd)
	const sent = 20_000 // 100 bytes each
	for i := range sent {
		logger.Info("message", "n", i, "text", strings.Repeat("x", 40))
	}
	read := make(chan string)
	go func() { text, _ := io.ReadAll(r); read <- string(text) }()
	m := cmd.ErrOrStderr().(*messages)
	m.mu.Lock()
	idle := m.idle
	m.mu.Unlock()
	if idle != nil { // else all is written
		<-idle
	}
	logger.Info("last")
	m.flush()
	w.Close()
	next, kept, last := 0, 0, false
	for line := range strings.Lines(<-read) {
		var m struct {
			Msg   string `json:"msg"`
			N     int    `json:"n"`
			Lines int    `json:"lines"` // left out before this one
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil || m.Msg == "message" && m.N != next {
			t.Fatalf("message %d is %s: %v", next, line, err)
		}
		switch m.Msg {
		case "message":
			next, kept = next+1, kept+1
		case "last":
			last = true
		default:
			next += m.Lines
		}
	}
	if kept < 5000 || kept == sent || next != sent || !last {
		t.Errorf("%d of %d messages were kept, %d kept or counted, the last %v", kept, sent, next, last)
	}
}

func TestNamesInMessagesMoveNoCursor(t *testing.T) {
	var shown strings.Builder
	cmd := &cobra.Command{Use: "drift"}
	cmd.SetErr(&shown)
	Warn(cmd, "a\x1b[2J\x9b2J\u009b\u202eb\tc\nd")
	if want := "drift: warning: a�[2J�2J��b\tc\ndrift: d\n"; shown.String() != want {
		t.Errorf("shown is %q, want %q", shown.String(), want)
	}
}
