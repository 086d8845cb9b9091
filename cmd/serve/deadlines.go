package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"churn/internal/predictor/apikey"
)

// Time limits, in seconds, so that a slow or silent client cannot hold a connection.
const (
	newLimit    = 10 // from connecting to the end of the first request's header
	activeLimit = 20 // from there to the end of the answer
	idleLimit   = 30 // from an answer to the end of the next request's header
)

// add returns a connection that is followed until it is closed, and then gives its place back.
func (l *limiter) add(conn net.Conn) *connection {
	c := &connection{Conn: conn, client: clientOf(conn)}
	c.leave = sync.OnceFunc(func() { l.conns.Delete(c); <-l.places })
	l.follow(c, http.StateNew)
	l.conns.Store(c, nil)
	return c
}

// clientOf returns the address of a connection's client, as limits count it.
func clientOf(c net.Conn) string { return apikey.Address(c.RemoteAddr().String()) }

// follow notes the state of a connection that was added; it is a server's ConnState.
func (l *limiter) follow(conn net.Conn, state http.ConnState) {
	if state > http.StateIdle { // hijacked or closed
		return
	}
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	limits := [...]int64{http.StateNew: newLimit, http.StateActive: activeLimit, http.StateIdle: idleLimit}
	c := conn.(*connection)
	c.state.Store(int64(state))
	c.since.Store(time.Now().UnixNano())
	c.due.Store(l.now.Load() + limits[state])
}

// keep closes overdue connections until ctx ends: it looks at all every second, since net/http would
// set deadlines several times a request, which costs one request in twenty. Tests give it a shorter
// second.
func (l *limiter) keep(ctx context.Context, second time.Duration) {
	for tick := time.Tick(second); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		now := l.now.Add(1)
		l.conns.Range(func(key, _ any) bool {
			if c := key.(*connection); c.due.Load() < now {
				c.Close() // its reader or writer gets the error
			}
			return true
		})
	}
}
