package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// A client that sends a byte now and then is cut off, wherever it is in its
// request; one that asks and asks again is not.
func TestSlowClientsAreCutOff(t *testing.T) {
	const second = 20 * time.Millisecond
	cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	certify(t, cert, key, 1, time.Now().Add(time.Hour))
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel) // after the subtests, which go on together
	start := func(serve func(*http.Server, net.Listener) error) net.Listener {
		l := limitConnections(must(net.Listen("tcp", "127.0.0.1:0"))(t), 100)
		server := &http.Server{ConnState: l.follow, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			fmt.Fprintln(w, "answer")
		})}
		t.Cleanup(func() {
			server.Close()
			l.conns.Range(func(any, any) bool {
				t.Error("a connection that is closed is still followed")
				return true
			})
		})
		go serve(server, l)
		go l.keep(ctx, second)
		return l
	}
	listener := start((*http.Server).Serve)
	secure := start(func(s *http.Server, l net.Listener) error { return s.ServeTLS(l, cert, key) })

	const whole = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
	for _, c := range []struct {
		name, sent string
		limit      int
	}{
		{"nothing", "", newLimit},
		{"half a header", "POST / HTTP/1.1\r\nX-Slow: ", newLimit},
		{"half a body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", activeLimit},
		{"nothing after an answer", whole, idleLimit},
		{"half a second header", whole + "POST / HTTP/1.1\r\nX-Slow: ", idleLimit},
	} {
		run := func(name string, dial func(t *testing.T) net.Conn) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				conn := dial(t)
				io.WriteString(conn, c.sent)
				closed := make(chan struct{})
				go func() {
					defer close(closed)
					io.Copy(io.Discard, conn)
				}()
				start := time.Now()
				for drip := time.Tick(second); ; {
					select {
					case <-closed:
						if got := time.Since(start); got < time.Duration(c.limit-1)*second {
							t.Errorf("closed after %v, want %d ticks of %v", got, c.limit, second)
						}
						return
					case <-drip:
						if c.sent != "" && c.sent != whole {
							conn.Write([]byte("x"))
						}
					case <-time.After(time.Minute):
						t.Fatal("still open after a minute")
					}
				}
			})
		}
		run(c.name, func(t *testing.T) net.Conn { return dial(t, listener) })
		run(c.name+" over TLS", func(t *testing.T) net.Conn {
			return tls.Client(dial(t, secure), &tls.Config{InsecureSkipVerify: true})
		})
	}
	t.Run("one that goes on asking", func(t *testing.T) {
		t.Parallel()
		conn := dial(t, listener)
		in := bufio.NewReader(conn)
		for start := time.Now(); time.Since(start) < 2*idleLimit*second; {
			io.WriteString(conn, whole)
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("cut off after %v: %v", time.Since(start), err)
			}
			io.Copy(io.Discard, answer.Body)
		}
	})
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
