package progress

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"churn/internal/testing/need"
)

func TestNothingIsShownWithoutATerminal(t *testing.T) {
	pipe, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	for _, out := range []io.Writer{new(bytes.Buffer), w} {
		b := Rows(out, "rows", 10)
		if b != nil {
			t.Errorf("a bar is shown on %T", out)
		}
		b.Add(3) // a nil bar accepts all calls
		b.Finish()
		if text, err := io.ReadAll(b.Reader(strings.NewReader("text"))); string(text) != "text" || err != nil {
			t.Errorf("Reader gives %q, %v", text, err)
		}
	}
}

// The test runs itself on a terminal that script(1) creates.
func TestProgressOnATerminal(t *testing.T) {
	if os.Getenv("CHURN_TERMINAL") == "yes" {
		quick := Bytes(os.Stderr, "quick", 100)
		quick.Add(50)
		quick.Finish()
		slow := Rows(os.Stderr, "drawing", 1000)
		for range 8 {
			slow.Add(100)
			time.Sleep(delay / 4)
		}
		slow.Finish()
		waiting := Rows(os.Stderr, "asking", 0)
		time.Sleep(delay + delay/2)
		waiting.Finish()
		return
	}
	script := need.Program(t, "script", "bsdutils")
	cmd := exec.Command(script, "-qec", os.Args[0]+" -test.run '^TestProgressOnATerminal$'", "/dev/null")
	cmd.Env = append(os.Environ(), "CHURN_TERMINAL=yes", "TERM=xterm", "COLUMNS=100")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text := string(out)
	if strings.Contains(text, "quick") {
		t.Errorf("a task of less than a second is shown: %q", text)
	}
	if !strings.Contains(text, "drawing") || !strings.Contains(text, "/ 1000") || !strings.Contains(text, "left") {
		t.Errorf("a task of two seconds is not shown: %q", text)
	}
	if !regexp.MustCompile(`asking \d+ms `).MatchString(text) {
		t.Errorf("a task before its first row shows more than its time: %q", text)
	}
}
