package main

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// A listener that begins no more connections has those that were begun, and once
// it is closed whoever tried meanwhile is refused: nobody is reset.
func TestBeginNoMore(t *testing.T) {
	listener, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	before, err := net.Dial("tcp", listener.Addr().String()) // waits to be accepted
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	if _, err := before.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	if err := beginNoMore(listener); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.DialTimeout("tcp", listener.Addr().String(), 300*time.Millisecond); err == nil {
		conn.Close()
		t.Error("a connection is begun")
	} else if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
		t.Errorf("a new connection: %v, want that there is no answer yet", err)
	}
	refused := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		close(begun)
		conn, err := net.DialTimeout("tcp", listener.Addr().String(), 20*time.Second)
		if err == nil {
			conn.Close()
		}
		refused <- err
	}()
	<-begun
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	got := make([]byte, len("question"))
	if _, err := io.ReadFull(accepted, got); err != nil || string(got) != "question" {
		t.Errorf("the connection of before: %q, %v", got, err)
	}
	if _, err := accepted.Write([]byte("answer")); err != nil {
		t.Error(err)
	}
	got = make([]byte, len("answer"))
	if _, err := io.ReadFull(before, got); err != nil || string(got) != "answer" {
		t.Errorf("its answer: %q, %v", got, err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-refused; !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a connection that was asked for meanwhile: %v, want that it is refused", err)
	}
}
