package alert

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// rawReceiver answers each connection, after its request, with what answer writes to it, and keeps
// it open until the test ends.
func rawReceiver(t *testing.T, answer func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(t.Context(), func() { c.Close() })
			go func() {
				if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					io.Copy(io.Discard, req.Body)
					answer(c)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/hook"
}

// once writes text and no more.
func once(text string) func(net.Conn) { return func(c net.Conn) { io.WriteString(c, text) } }

// endless writes start, and text again and again until the connection is closed.
func endless(start, text string, pause time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		_, err := io.WriteString(c, start)
		for err == nil {
			time.Sleep(pause)
			_, err = io.WriteString(c, text)
		}
	}
}

// hostile are answers, and whether the message counts as delivered.
var hostile = map[string]struct {
	answer    func(net.Conn)
	delivered bool
}{
	"none": {answer: once("")},
	"101":  {answer: once("HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")},
	"101 that talks": {answer: endless("HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "x",
		time.Millisecond)},
	"early hints":    {answer: endless("", "HTTP/1.1 103 Early Hints\r\n\r\n", time.Millisecond)},
	"endless header": {answer: endless("HTTP/1.1 200 OK\r\n", "X-Y: "+strings.Repeat("z", 1000)+"\r\n", 0)},
	"dripped header": {answer: endless("HTTP/1.1 200 OK\r\nX-Y: ", "z", time.Millisecond)},
	"HTTP/2":         {answer: once("\x00\x00\x00\x04\x00\x00\x00\x00\x00")},
	"500, body":      {answer: once("HTTP/1.1 500 x\r\nContent-Length: 9999\r\n\r\n")},
	"302, body":      {answer: once("HTTP/1.1 302 x\r\nLocation: /hook\r\nContent-Length: 9999\r\n\r\n")},
	"200, endless":   {endless("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("z", 1000), 0), true},
	"200, dripped":   {endless("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", "z", time.Millisecond), true},
	"200, no body":   {once("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"), true},
}

// Whatever a receiver does, Notify ends in time, keeps what was not delivered and lets go of the lock.
func TestHostileReceivers(t *testing.T) {
	for name, r := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newSender(t, rawReceiver(t, r.answer))
			s.Timeout = 1500 * time.Millisecond
			out := notifyInTime(t, t.Context(), s)
			if r.delivered {
				want(t, out, Firing, 1, 0, false)
			} else {
				want(t, out, Firing, 0, 1, false)
			}
		})
	}
}

// A signal ends the wait for any of them, and the message is sent or stays in the outbox.
func TestInterruptedDelivery(t *testing.T) {
	for name, r := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			s, _ := newSender(t, rawReceiver(t, func(c net.Conn) {
				cancel()
				r.answer(c)
			}))
			s.Timeout = time.Hour
			if out := notifyInTime(t, ctx, s); out.Sent+out.Queued != 1 {
				t.Errorf("sent %d, queued %d: one message was lost or doubled", out.Sent, out.Queued)
			}
		})
	}
}

// notifyInTime wants Notify to end soon, and the lock to be free then.
func notifyInTime(t *testing.T, ctx context.Context, s *Sender) (out Outcome) {
	t.Helper()
	ended := make(chan Outcome, 1)
	go func() { ended <- s.Notify(ctx, found("a/mean")) }()
	select {
	case out = <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it still waits after 10 s")
	}
	lock := flock.New(strings.TrimSuffix(s.Path, ".jsonl") + ".lock")
	defer lock.Close()
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Errorf("the lock is still held: %v, %v", ok, err)
	}
	return out
}
