package alert

import (
	"bytes"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"churn/internal/testing/fuzzing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// FuzzOutbox: the file is the same once it is written again, malformed lines are
// reported, and what is queued can be sent.
func FuzzOutbox(f *testing.F) {
	const toldLine = `{"told":{"column":"a","check":"mean","since":"2026-11-22T19:30:00Z",` +
		`"sent":"2026-11-22T19:30:01.5+01:00","to":"x"}}` + "\n"
	const keptLine = `{"kept":{"id":"1","status":"firing","ts":"2026-11-22T19:30:00Z","verdict":"alert",` +
		`"model":"m.json","records":200,"text":"drift","checks":[{"column":"a","check":"mean","value":0.5,` +
		`"threshold":0.2,"unit":"std","since":"2026-11-22T19:30:00Z"}]}}` + "\n"
	f.Add([]byte(toldLine + keptLine))
	f.Add([]byte(keptLine + strings.Replace(keptLine, "firing", "resolved", 1) + keptLine[:50]))
	f.Add([]byte(toldLine + "a note\n\n{}\n" + toldLine))
	f.Add([]byte(strings.ReplaceAll(toldLine+keptLine, "2026", "0001")))
	f.Add([]byte(strings.ReplaceAll(toldLine+keptLine, "2026-11-22T19:30:00Z", "9999-12-31T23:59:59-23:59")))
	f.Add([]byte(strings.ReplaceAll(toldLine+keptLine, "2026-11-22T19:30:00Z", "0000-01-01T00:00:00+23:59")))
	f.Add([]byte(strings.Repeat(keptLine, maxQueued+3)))
	f.Add([]byte(strings.Replace(keptLine, `"a"`, `"\u001b[31m\n"`, 1)))
	path := filepath.Join(f.TempDir(), "alerts.jsonl")
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text []byte) {
		defer fuzzing.Watch()()
		for _, format := range []string{Webhook, Alertmanager} {
			s := &Sender{
				URL: &url.URL{Scheme: "http", Host: "127.0.0.1:9"}, Format: format, Cooldown: time.Hour,
				Path: path, Now: func() time.Time { return now },
			}
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
			var out Outcome
			b := s.read(nil, &out)
			lines := 0
			for line := range bytes.Lines(text) {
				if len(bytes.TrimSpace(line)) > 0 {
					lines++
				}
			}
			if got := len(out.Warnings) + len(b.queue) + len(b.notified); got > lines || len(b.notified) == 0 && got != lines {
				t.Fatalf("%q: %d lines, %d notified, %d queued, warnings %q",
					text, lines, len(b.notified), len(b.queue), out.Warnings)
			}
			b.expire(now, &out)
			s.enqueue(b, found("a/mean", "b/levels"), &out)
			for _, w := range out.Warnings {
				if strings.ContainsAny(w, "\n\x1b\x00") {
					t.Fatalf("%q: the warning %q is not a line", text, w)
				}
			}
			if len(b.queue) > maxQueued {
				t.Fatalf("%q: %d queued", text, len(b.queue))
			}
			out = Outcome{}
			b.write(&out)
			again := s.read(nil, &out)
			if len(out.Warnings) > 0 || b.broken {
				t.Fatalf("%q, written %q: %q", text, again.disk, out.Warnings)
			}
			if !maps.EqualFunc(again.notified, b.notified, func(x, y *notified) bool { return sameJSON(t, x, y) }) ||
				!slices.EqualFunc(again.queue, b.queue, func(x, y *Message) bool { return sameJSON(t, x, y) }) {
				t.Fatalf("%q, written %q, is read differently", text, again.disk)
			}
			for _, m := range b.queue {
				target, body, err := s.request(m)
				if err != nil || !jsontext.Value(body).IsValid() || target == "" {
					t.Fatalf("%q: the message %+v cannot be sent: %q, %v", text, m, body, err)
				}
			}
		}
	})
}

func sameJSON(t *testing.T, x, y any) bool {
	t.Helper()
	a, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(y)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(a, b)
}
