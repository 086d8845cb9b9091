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
	conns := setLimits(ctx, server, false)
	go func() { served <- server.Serve(limitConnections(raw, 2, conns)) }()
	defer func() {
		cancel()
		server.Close()
		<-served
	}()
	port := raw.Addr().(*net.TCPAddr).Port
	const header = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
	open := func(from, text string, state http.ConnState) net.Conn {
		t.Helper()
		before := count(conns, state)
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
		conn, err := d.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(conn, text)
		for end := time.Now().Add(10 * time.Second); state >= 0 && count(conns, state) <= before; {
			if time.Now().After(end) {
				t.Fatalf("%q is not in state %v", text, state)
			}
			time.Sleep(time.Millisecond)
		}
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
	first := open("127.0.0.1", header, http.StateNew)
	second := open("127.0.0.1", header, http.StateNew)
	third := open("127.0.0.1", header+"\r\nx", -1)
	isAnswered(third)
	isClosed("the one that waited longest", first)
	working := open("127.0.0.1", header+"\r\n", http.StateActive) // takes the second's place
	isClosed("the next", second)
	third.Close()
	oldest := working
	open("127.0.0.1", header+"\r\n", http.StateActive)
	other := open("127.0.0.2", header+"\r\nx", -1) // one address has all places
	isAnswered(other)
	isClosed("the longest request of the address", oldest)
}

func count(d *deadlines, state http.ConnState) (n int) {
	d.conns.Range(func(_, value any) bool {
		if http.ConnState(value.(*connection).state.Load()) == state {
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
