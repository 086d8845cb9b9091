package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	maxDrain      = time.Hour              // longer is a mistake
	connectTime   = 250 * time.Millisecond // for connections that are half made: a round trip, far away
	finishTimeout = 10 * time.Second       // for requests under way at the end
)

// listen listens on an address, without Multipath TCP: not every kernel lets
// beginNoMore work with that.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	return config.Listen(ctx, "tcp", addr)
}

// stop ends a service whose /readyz says already that it does, so that nobody
// meets a connection that is just being closed.
//
// For the time of drain all goes on, but each answer ends its connection: those
// that are idle at the end have been so for as long, and a balancer that keeps
// them for less has none of them. Then no more connections are begun, and those
// that are half made are taken and answered too: what waits to be accepted when
// a listener is closed is reset, with a request in it perhaps.
func stop(ctx context.Context, server *http.Server, listener net.Listener, drain time.Duration, failed <-chan error, logger *slog.Logger) error {
	wait := func(d time.Duration) error {
		select {
		case err := <-failed:
			return err
		case <-time.After(d):
			return nil
		}
	}
	if drain > 0 {
		logger.Info("stopping: answers go on for as long as --drain says", "drain", drain.String())
		if err := wait(drain); err != nil {
			return err
		}
		if err := beginNoMore(listener); err != nil {
			logger.Warn("a connection that is just being made may be reset", "error", err.Error())
		} else if err := wait(connectTime); err != nil {
			return err
		}
	}
	logger.Info("stopping: no new requests, those under way finish")
	finish, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	return server.Shutdown(finish)
}
