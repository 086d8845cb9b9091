package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"churn/internal/atomicfile"
	"churn/internal/predictor/apikey"
)

// A certificate is one for TLS, read from a pair of files.
type certificate struct {
	cert, key string // paths
	current   atomic.Pointer[tls.Certificate]
}

// reread reads the files again. After an error the last certificate stays.
func (c *certificate) reread() error {
	const most = 1 << 20 // bytes of either
	cert, err := atomicfile.Read(c.cert, most)
	if err != nil {
		return err
	}
	key, err := atomicfile.Read(c.key, most)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key) // with its Leaf
	if err != nil {
		return fmt.Errorf("%s, %s: %w", c.cert, c.key, err)
	}
	c.current.Store(&pair)
	return nil
}

// until returns when the current certificate expires.
func (c *certificate) until() time.Time { return c.current.Load().Leaf.NotAfter }

// state says whether the current certificate has expired or soon does; "" if neither.
func (c *certificate) state() string {
	const soon = 14 * 24 * time.Hour // whoever renews a certificate usually does so a month before
	switch left := time.Until(c.until()); {
	case left <= 0:
		return "has expired"
	case left < soon:
		return "expires soon"
	}
	return ""
}

// secure holds what authenticates clients and the service. Either may be nil.
type secure struct {
	keys *apikey.Keys
	tls  *certificate
}

func openSecure(o options) (s secure, err error) {
	if (o.tlsCert == "") != (o.tlsKey == "") {
		return s, errors.New("--tls-cert and --tls-key: both or none")
	}
	if o.keyFile != "" {
		if s.keys, err = apikey.ReadKeys(o.keyFile); err != nil {
			return s, err
		}
	}
	if o.tlsCert != "" {
		s.tls = &certificate{cert: o.tlsCert, key: o.tlsKey}
		err = s.tls.reread()
	}
	return s, err
}

// serve serves HTTPS with whichever certificate is current, or without one HTTP.
func (s *secure) serve(server *http.Server, l net.Listener) error {
	if s.tls == nil {
		return server.Serve(l)
	}
	server.TLSConfig = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.tls.current.Load(), nil },
	}
	return server.ServeTLS(l, "", "")
}

// rereadOnHangup rereads keys and certificate at each SIGHUP, until ctx ends.
// What cannot be read stays as it was. A certificate that expires is warned of each day. The log needs no such
// signal: its writer notices when the file has been renamed.
func (s *secure) rereadOnHangup(ctx context.Context, logger *slog.Logger) {
	reread := func(what string, read func() error, about func() slog.Attr) {
		if err := read(); err != nil {
			logger.Error(what+" not reread: the last ones stay in use", "error", err.Error())
		} else {
			logger.Info(what+" reread", about())
		}
	}
	signal.Reset(syscall.SIGHUP) // it would stop the service, as it does other programs
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hangups)
		daily := time.NewTicker(24 * time.Hour)
		defer daily.Stop()
		for {
			if s.tls != nil && s.tls.state() != "" {
				logger.Warn("the TLS certificate "+s.tls.state()+": replace it, and send SIGHUP", "until", s.tls.until())
			}
			select {
			case <-ctx.Done():
				return
			case <-daily.C:
				continue
			case <-hangups:
			}
			if s.keys != nil {
				reread("API keys", s.keys.Reread, func() slog.Attr { return slog.Int("keys", s.keys.Len()) })
			}
			if s.tls != nil {
				reread("TLS certificate", s.tls.reread, func() slog.Attr { return slog.Time("until", s.tls.until()) })
			}
		}
	}()
}

// warn logs a warning if anyone on the network can send requests.
func (s *secure) warn(logger *slog.Logger, addr net.Addr) {
	if !loopback(addr) && s.keys == nil {
		logger.Warn("anyone who can reach this address can get predictions: see --api-key-file", "addr", addr.String())
	}
}

// loopback reports whether only this machine reaches an address.
func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
