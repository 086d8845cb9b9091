package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"churn/internal/predictor/apikey"
)

// Time limits, in seconds, so that a slow or silent client cannot hold a connection.
const (
	newLimit    = 10 // from connecting to the end of the first request's header
	activeLimit = 20 // from there to the end of the answer
	idleLimit   = 30 // from an answer to the end of the next request's header
)

// setLimits gives a server its time limits, which hold until ctx ends. One goroutine checks all
// connections every second: net/http would set deadlines several times a request, which costs one
// request in twenty.
func setLimits(ctx context.Context, server *http.Server) *deadlines {
	d := new(deadlines)
	server.ConnState = d.follow
	go d.keep(ctx, time.Second)
	return d
}

// deadlines closes connections that stay in one state for too long.
type deadlines struct {
	now   atomic.Int64 // in seconds since the start
	conns sync.Map     // *connection, the open ones
}

// add returns a connection that is followed until it is closed, and then leaves.
func (d *deadlines) add(conn net.Conn, leave func()) *connection {
	c := &connection{Conn: conn, client: clientOf(conn)}
	c.leave = sync.OnceFunc(func() { d.conns.Delete(c); leave() })
	d.follow(c, http.StateNew)
	d.conns.Store(c, nil)
	return c
}

// clientOf returns the address of a connection's client, as limits count it.
func clientOf(c net.Conn) string { return apikey.Address(c.RemoteAddr().String()) }

// follow notes the state of a connection that was added; it is a server's ConnState.
func (d *deadlines) follow(conn net.Conn, state http.ConnState) {
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
	c.due.Store(d.now.Load() + limits[state])
}

// keep closes overdue connections until ctx ends. Tests give it a shorter second.
func (d *deadlines) keep(ctx context.Context, second time.Duration) {
	for tick := time.Tick(second); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		now := d.now.Add(1)
		d.conns.Range(func(key, _ any) bool {
			if c := key.(*connection); c.due.Load() < now {
				c.Close() // its reader or writer gets the error
			}
			return true
		})
	}
}
