package main

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
)

// A listener that begins no more connections has those that were begun, and
// whoever else calls is refused: nobody is reset.
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
	if err := stopAccepting(listener); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		conn.Close()
		t.Error("a connection is begun")
	} else if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection: %v, want that it is refused", err)
	}
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
}
