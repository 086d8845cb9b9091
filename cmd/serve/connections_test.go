package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// With two places, whoever asks at once is answered, beside clients that do not: they lose
// their places in order.
func TestConnectionsMakeRoom(t *testing.T) {
	raw, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			fmt.Fprintln(w, "answer")
		}
	})}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	conns := limitConnections(raw, 2)
	server.ConnState = conns.follow
	go conns.keep(ctx, time.Second)
	go func() { served <- server.Serve(conns) }()
	defer func() {
		cancel()
		server.Close()
		<-served
	}()
	port := raw.Addr().(*net.TCPAddr).Port
	const header = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
	until := func(state http.ConnState, n int) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); count(conns, state) != n; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d connections are %v, want %d", count(conns, state), state, n)
			}
		}
	}
	open := func(from, text string) net.Conn {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
		conn, err := d.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(conn, text)
		return conn
	}
	isClosed := func(what string, conn net.Conn) {
		t.Helper()
		if _, err := conn.Read(make([]byte, 1)); err == nil || errorsIsTimeout(err) {
			t.Errorf("%s: %v, want that it is closed", what, err)
		}
	}
	isAnswered := func(conn net.Conn) {
		t.Helper()
		if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || answer.StatusCode != 200 {
			t.Fatalf("%v, %v", answer, err)
		}
	}
	first := open("127.0.0.1", header)
	until(http.StateNew, 1)
	second := open("127.0.0.1", header)
	until(http.StateNew, 2)
	third := open("127.0.0.1", header+"\r\nx")
	isAnswered(third)
	isClosed("the one that waited longest", first)
	until(http.StateIdle, 1)
	oldest := open("127.0.0.1", header+"\r\n") // takes the second's place
	isClosed("the next", second)
	until(http.StateActive, 1)
	third.Close()
	open("127.0.0.1", header+"\r\n")
	until(http.StateActive, 2)
	isAnswered(open("127.0.0.2", header+"\r\nx")) // one address has all places
	isClosed("the longest request of the address", oldest)
}

func count(l *limiter, state http.ConnState) (n int) {
	l.conns.Range(func(key, _ any) bool {
		if c := key.(*connection); http.ConnState(c.state.Load()) == state && c.waits() > 0 { // it is being read
			n++
		}
		return true
	})
	return n
}

func errorsIsTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// A connection that waits for the processor, not for its client, keeps its place.
func TestUnreadConnectionKeepsPlace(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	l := limitConnections(nil, 1)
	l.places <- struct{}{}
	c := l.add(near)
	if got := l.victim("client"); got != nil {
		t.Error("a connection is closed that was not read yet")
	}
	go c.Read(make([]byte, 1))
	far.Write([]byte("G")) // returns when it is read
	if got := l.victim("client"); got != c {
		t.Error("a connection is not closed whose header does not end")
	}
}
