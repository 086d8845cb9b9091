package alert

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

func content(t *testing.T, s *Sender) string {
	t.Helper()
	b, err := os.ReadFile(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTruncatedAndEditedLines(t *testing.T) {
	r := newReceiver(t, status(503))
	s, _ := newSender(t, r.URL)
	s.Timeout = 200 * time.Millisecond
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 0, 1, false)
	lines := strings.SplitAfter(content(t, s), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], `{"told":{"column":"a","check":"mean",`) ||
		!strings.HasPrefix(lines[1], `{"kept":{"id":`) {
		t.Fatalf("the file is %q", lines)
	}
	kept := lines[1]
	for _, malformed := range []string{
		kept[:len(kept)/2], "a note", "[]", "{}", `{"told":{"column":"b","check":"mean","since":"monday"}}`,
		`{"kept":{"status":"on fire"}}`, `{"told":null,"kept":null}`, `{"shout":1}`,
	} {
		text := strings.TrimSuffix(lines[0]+malformed+"\n\n"+kept, "\n") // the last line without its end
		if err := os.WriteFile(s.Path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out := s.Notify(t.Context(), found("a/mean"))
		want(t, out, Firing, 0, 1, true)
		const warning = "alerts.jsonl:2: not a line that drift writes, skipped: "
		if len(out.Warnings) != 2 || !strings.Contains(out.Warnings[0], warning) {
			t.Errorf("%q: warnings %q", malformed, out.Warnings)
		}
	}
	// If the queued message was truncated, the alert is sent nevertheless.
	if err := os.WriteFile(s.Path, []byte(lines[0]+kept[:40]), 0o644); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.answer = nil
	r.mu.Unlock()
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 1, 0, false)
}

func TestQueueIsBounded(t *testing.T) {
	r := newReceiver(t, status(404))
	s, clock := newSender(t, r.URL)
	var out Outcome
	for i := range maxQueued + 20 {
		clock.pass(time.Minute)
		f := found()
		if i%2 == 0 {
			f = found("a/mean")
		}
		out = s.Notify(t.Context(), f)
		if out.Queued > maxQueued {
			t.Fatalf("%d queued", out.Queued)
		}
	}
	if out.Queued < maxQueued-1 || !strings.Contains(out.Warnings[0], "is dropped: more than 100 are queued") {
		t.Errorf("outcome %+v", out)
	}
	clock.pass(maxAge + time.Minute)
	r.mu.Lock()
	r.got, r.answer = nil, nil
	r.mu.Unlock()
	out = s.Notify(t.Context(), found("a/mean"))
	want(t, out, Firing, 1, 0, false)
	r.wantMessages(t, "firing a/mean")
	if !strings.Contains(out.Warnings[0], "is dropped: it was queued for more than 7 days") {
		t.Errorf("warnings %q", out.Warnings)
	}
}

// Without a writable file alerts are sent in every run.
func TestUnusableFile(t *testing.T) {
	r := newReceiver(t, nil)
	check := func(words string, spoil func(s *Sender)) {
		t.Helper()
		s, _ := newSender(t, r.URL)
		spoil(s)
		for range 2 {
			out := s.Notify(t.Context(), found("a/mean"))
			want(t, out, Firing, 1, 0, false)
			if len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], words) {
				t.Errorf("warnings %q, want %q", out.Warnings, words)
			}
		}
	}
	check("what was sent and what is queued is not known", func(s *Sender) {
		if err := os.WriteFile(filepath.Dir(s.Path), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	})
	check("what was sent and what is queued is not known", func(s *Sender) {
		if err := os.MkdirAll(s.Path, 0o755); err != nil {
			t.Fatal(err)
		}
	})
	check("is not recorded", func(s *Sender) {
		if err := os.MkdirAll(filepath.Dir(s.Path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("elsewhere", s.Path); err != nil {
			t.Skip(err)
		}
	})
}

func TestHeldLock(t *testing.T) {
	r := newReceiver(t, nil)
	s, _ := newSender(t, r.URL)
	s.Timeout = 100 * time.Millisecond
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 1, 0, false)
	lock := flock.New(strings.TrimSuffix(s.Path, ".jsonl") + ".lock")
	if locked, err := lock.TryLock(); err != nil || !locked {
		t.Fatal(locked, err)
	}
	out := s.Notify(t.Context(), found("b/mean"))
	if out.Sent != 0 || len(out.Warnings) != 1 ||
		!strings.Contains(out.Error, "has been held by another process for 100ms") {
		t.Errorf("outcome %+v", out)
	}
	lock.Close()
	want(t, s.Notify(t.Context(), found("b/mean")), Firing, 1, 0, false)
	r.wantMessages(t, "firing a/mean", "firing b/mean")
}
