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
	conns sync.Map     // from net.Conn to *connection
}

// A connection is an open one and its state.
type connection struct {
	conn   net.Conn
	client string       // its address
	state  atomic.Int64 // an http.ConnState, or closing
	since  atomic.Int64 // when it got its state, in Unix nanoseconds
	due    atomic.Int64 // the second when it is overdue
}

// clientOf returns the address of a connection's client, as limits count it.
func clientOf(c net.Conn) string { return apikey.Address(c.RemoteAddr().String()) }

// follow notes the state of a connection; it is a server's ConnState.
func (d *deadlines) follow(c net.Conn, state http.ConnState) {
	if state > http.StateIdle { // hijacked or closed
		d.conns.Delete(c)
		return
	}
	limits := [...]int64{http.StateNew: newLimit, http.StateActive: activeLimit, http.StateIdle: idleLimit}
	value, ok := d.conns.Load(c)
	if !ok {
		known := &connection{conn: c, client: clientOf(c)}
		if secure, ok := c.(*tls.Conn); ok {
			known.conn = secure.NetConn() // whose Close does not wait for the client
		}
		value = known
		d.conns.Store(c, value)
	}
	known := value.(*connection)
	known.state.Store(int64(state))
	known.since.Store(time.Now().UnixNano())
	known.due.Store(d.now.Load() + limits[state])
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
		d.conns.Range(func(_, value any) bool {
			if c := value.(*connection); c.due.Load() < now {
				c.conn.Close() // its reader or writer gets the error
			}
			return true
		})
	}
}
