package load_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"churn/internal/testing/programs"
)

const drain = "1s" // long enough for the checks

// TestDrain stops a service under load, without a load balancer: every connection is
// answered, and its last answer has Connection: close.
func TestDrain(t *testing.T) {
	bin := programs.Build(t)
	l := programs.NewLoop(t, bin)
	l.Start("--drain", drain, "--log", l.Path("logs/predictions-1.log"))
	idle := make([]*wire, 8)
	for i := range idle {
		idle[i] = dialWire(l.Service)
		if status, last, err := idle[i].ask(); status != http.StatusOK || last || err != nil {
			t.Fatalf("answer %d, last %v, %v", status, last, err)
		}
	}

	// New connections, one after the other, until they are refused.
	var answered atomic.Int64
	var wg sync.WaitGroup
	for range programs.Clients {
		wg.Go(func() {
			for {
				w, err := tryWire(l.Service)
				if err != nil {
					if !errors.Is(err, syscall.ECONNREFUSED) {
						t.Errorf("connecting: %v", err)
					}
					return
				}
				status, _, err := w.ask()
				w.Close()
				if status != http.StatusOK || err != nil {
					t.Errorf("a connection was accepted, then: answer %d, %v", status, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	process := l.Serve
	for answered.Load() < 100 {
		time.Sleep(time.Millisecond)
	}
	if err := process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	l.WaitFor("not ready", func() bool {
		code, _ := l.Get("/readyz")
		return code == http.StatusServiceUnavailable
	})
	if code, _ := l.Get("/livez"); code != http.StatusOK {
		t.Errorf("/livez answers %d while it drains", code)
	}
	before := answered.Load()
	for _, w := range idle {
		if status, last, err := w.ask(); status != http.StatusOK || !last || err != nil {
			t.Errorf("an earlier connection: answer %d, last %v, %v", status, last, err)
		}
		if _, err := w.reader.ReadByte(); err != io.EOF {
			t.Errorf("after the last answer: %v, want the end", err)
		}
	}
	wg.Wait()
	if err := process.Wait(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
	l.Serve = nil
	if during := answered.Load() - before; during < 100 {
		t.Errorf("only %d answers while it drained", during)
	}
	t.Logf("%d connections answered, %d of them after SIGTERM; none was reset", answered.Load(),
		answered.Load()-before)
}

// A wire is a connection for requests without retries.
type wire struct {
	net.Conn
	reader *bufio.Reader
}

func tryWire(s *programs.Service) (*wire, error) {
	conn, err := net.DialTimeout("tcp", s.Addr, programs.Patience)
	if err != nil {
		return nil, err
	}
	return &wire{conn, bufio.NewReader(conn)}, conn.SetDeadline(time.Now().Add(programs.Patience))
}

func dialWire(s *programs.Service) *wire {
	s.Loop.Helper()
	w, err := tryWire(s)
	if err != nil {
		s.Loop.Fatal(err)
	}
	s.Loop.Cleanup(func() { w.Close() })
	return w
}

// ask requests a prediction. last reports whether the answer closes the connection.
func (w *wire) ask() (status int, last bool, err error) {
	body := programs.Customer("by wire")
	_, err = fmt.Fprintf(w,
		"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		len(body), body)
	if err != nil {
		return 0, false, err
	}
	resp, err := http.ReadResponse(w.reader, nil)
	if err != nil {
		return 0, false, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode, strings.EqualFold(resp.Header.Get("Connection"), "close") || resp.Close, err
}
