package main

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A limiter is a listener with a bounded number of open connections, which it closes if they stay
// in one state for too long. When there is no place for a new one it takes that of a rejected one,
// else of the one from which the server has waited longest for its first request's header, else of
// the one that has been idle longest, for a second at least: clients that send a request at once
// are not kept out by any number of others, and not closed because the processor had no time yet to
// read it. If all are in a request, and one address has more than half of them, its longest request
// makes room for other addresses. Else, as behind a proxy, from which all come, a new one waits.
type limiter struct {
	net.Listener
	places chan struct{} // one is in it for each connection
	conns  sync.Map      // *connection, the open ones
	now    atomic.Int64  // in seconds since the start
	closed chan struct{}
	close  func() error
}

func limitConnections(l net.Listener, most int) *limiter {
	closed := make(chan struct{})
	return &limiter{Listener: l, places: make(chan struct{}, most), closed: closed, close: sync.OnceValue(func() error {
		close(closed)
		return l.Close()
	})}
}

// sendBytes of a response may wait in the system for a client that does not read: it would
// take some megabytes, which count for the cgroup. The system doubles it.
const sendBytes = 128 << 10

// Accept implements net.Listener.
func (l *limiter) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetWriteBuffer(sendBytes) // an error leaves the system's size
	}
	for {
		select {
		case l.places <- struct{}{}:
			return l.add(c), nil
		default:
		}
		if victim := l.victim(clientOf(c)); victim != nil {
			victim.Close()
			continue
		}
		select {
		case <-l.closed:
			c.Close()
			return nil, net.ErrClosed
		case <-time.After(2 * time.Millisecond): // then one may be idle, or its header read
		}
	}
}

// Close implements net.Listener.
func (l *limiter) Close() error { return l.close() }

// A connection is an open one with a place, and its state.
type connection struct {
	net.Conn
	client string       // its address
	leave  func()       // gives the place back
	state  atomic.Int64 // an http.ConnState, or closing
	since  atomic.Int64 // when it got its state, in Unix nanoseconds
	due    atomic.Int64 // the second when it is overdue
	began  atomic.Int64 // when the first Read began, in Unix nanoseconds; 0: not yet
}

// Read implements net.Conn.
func (c *connection) Read(b []byte) (int, error) {
	if c.began.Load() == 0 {
		c.began.Store(time.Now().UnixNano())
	}
	return c.Conn.Read(b)
}

// closing is the state of a connection whose last answer is sent. net/http then waits for
// half a second, in which the client may still read it.
const closing http.ConnState = -1

// CloseWrite is what net/http calls then.
func (c *connection) CloseWrite() error {
	c.state.Store(int64(closing))
	return c.Conn.(*net.TCPConn).CloseWrite()
}

// Close implements net.Conn.
func (c *connection) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// waits returns since when the connection is in its state, in Unix nanoseconds: a new one since
// the server has begun to read from it, or 0 if it has not.
func (c *connection) waits() int64 {
	if http.ConnState(c.state.Load()) == http.StateNew {
		return c.began.Load()
	}
	return c.since.Load()
}

// victim returns the connection to close for a new one from an address, or nil.
func (l *limiter) victim(client string) *connection {
	var waiting, working *connection
	total, clients, now := 0, map[string]int{}, time.Now().UnixNano()
	older := func(c, than *connection) bool { return than == nil || c.waits() < than.waits() }
	l.conns.Range(func(key, _ any) bool {
		c := key.(*connection)
		total++
		clients[c.client]++
		switch state := http.ConnState(c.state.Load()); {
		case state == http.StateActive, state == http.StateIdle && now-c.waits() < int64(time.Second):
		case state == http.StateNew && c.waits() == 0:
		case waiting == nil, state < http.ConnState(waiting.state.Load()),
			state == http.ConnState(waiting.state.Load()) && older(c, waiting):
			waiting = c
		}
		return true
	})
	if waiting != nil {
		return waiting
	}
	l.conns.Range(func(key, _ any) bool {
		c := key.(*connection)
		if http.ConnState(c.state.Load()) == http.StateActive && c.client != client &&
			clients[c.client] > total/2 && older(c, working) {
			working = c
		}
		return true
	})
	return working
}
