package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Time limits, in seconds, so that a slow or silent client cannot hold a connection.
const (
	newLimit    = 10 // from connecting to the end of the first request's header
	activeLimit = 20 // from there to the end of the answer
	idleLimit   = 30 // from an answer to the end of the next request's header
)

// setLimits gives a server its time limits, which hold until ctx ends. Over TLS
// they are net/http's own: there a connection may carry several requests at once.
// But net/http sets deadlines several times a request, which costs one request in
// twenty; so without TLS one goroutine checks all connections every second.
func setLimits(ctx context.Context, server *http.Server, tls bool) {
	if tls {
		server.ReadTimeout = newLimit * time.Second
		server.WriteTimeout = activeLimit * time.Second
		server.IdleTimeout = idleLimit * time.Second
		return
	}
	var d deadlines
	server.ConnState = d.follow
	go d.keep(ctx, time.Second)
}

// deadlines closes connections that stay in one state for too long.
type deadlines struct {
	now   atomic.Int64 // in seconds since the start
	conns sync.Map     // from net.Conn to *atomic.Int64, the second when it is overdue
}

// follow notes the state of a connection; it is a server's ConnState.
func (d *deadlines) follow(c net.Conn, state http.ConnState) {
	var limit int64
	switch state {
	case http.StateNew:
		limit = newLimit
	case http.StateActive:
		limit = activeLimit
	case http.StateIdle:
		limit = idleLimit
	default: // closed
		d.conns.Delete(c)
		return
	}
	due, ok := d.conns.Load(c)
	if !ok {
		due = new(atomic.Int64)
		d.conns.Store(c, due)
	}
	due.(*atomic.Int64).Store(d.now.Load() + limit)
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
		d.conns.Range(func(c, due any) bool {
			if due.(*atomic.Int64).Load() < now {
				c.(net.Conn).Close() // its reader or writer gets the error
			}
			return true
		})
	}
}
