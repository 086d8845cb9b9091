package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"churn/internal/predlog"
)

const (
	maxDrain      = time.Hour              // longer is a mistake
	connectTime   = 250 * time.Millisecond // for handshakes in progress: a long round trip
	finishTimeout = 10 * time.Second       // for requests under way at the end, and for the log
)

// listen listens on an address, without Multipath TCP: with it stopAccepting does not
// work on every kernel.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	return config.Listen(ctx, "tcp", addr)
}

// stop ends a service whose /readyz already answers 503, so that no client sends a
// request on a connection that is being closed.
//
// During drain the service answers as before, but each answer closes its connection.
// A connection still idle at the end has been idle for all of drain, and a load balancer
// that closes idle ones sooner has none left. Then new handshakes are refused, while those
// in progress are accepted and answered: closing the listener would reset connections that
// wait in its queue, perhaps with a request in them.
func stop(ctx context.Context, server *http.Server, listener net.Listener, drain time.Duration,
	failed <-chan error, logger *slog.Logger) error {
	wait := func(d time.Duration) error {
		select {
		case err := <-failed:
			return err
		case <-time.After(d):
			return nil
		}
	}
	if drain > 0 {
		logger.Info("stopping: answering until --drain has passed", "drain", drain.String())
		if err := wait(drain); err != nil {
			return err
		}
		if err := stopAccepting(listener); err != nil {
			logger.Warn("a connection in its handshake may be reset", "error", err.Error())
		} else if err := wait(connectTime); err != nil {
			return err
		}
	}
	logger.Info("stopping: no new requests, those in flight finish")
	finish, cancel := context.WithTimeout(ctx, finishTimeout-predlog.CloseTimeout)
	defer cancel()
	err := server.Shutdown(finish)
	if errors.Is(err, context.DeadlineExceeded) { // a client may send or read for ever
		logger.Warn("requests that did not finish in time are cut off")
		err = server.Close()
	}
	return err
}
