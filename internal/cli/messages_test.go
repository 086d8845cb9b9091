package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// A pipe that nobody reads delays no message. Once it is read, it has the first ones, in
// order, and the number of those left out.
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
	lines := strings.Split(strings.TrimSuffix(<-read, "\n"), "\n")
	kept := len(lines) - 2
	if kept < 5000 || kept >= sent {
		t.Fatalf("%d of %d messages were kept", kept, sent)
	}
	for i, line := range lines[:kept] {
		if !strings.Contains(line, fmt.Sprintf(`"n":%d,`, i)) {
			t.Fatalf("message %d is %s", i, line)
		}
	}
	if !strings.Contains(lines[kept], fmt.Sprintf(`"lines":%d`, sent-kept)) || !strings.Contains(lines[kept+1], `"last"`) {
		t.Errorf("%d of %d were kept; then %q", kept, sent, lines[kept:])
	}
}
