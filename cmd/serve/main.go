// Serve answers predictions over HTTP with the current model.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"churn/internal/cli"
	"churn/internal/model"
	"churn/internal/predictor"
	"churn/internal/predlog"
	"churn/internal/registry"

	"github.com/spf13/cobra"
)

func main() { cli.Main(command()) }

type options struct {
	dir, addr string
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer predictions over HTTP with the current model",
		Long: `Serve answers POST /predict and GET /health. A change of registry/current_model.txt
changes the next answer. A prediction is answered only after its record is in
logs/predictions.log. SIGTERM or Ctrl-C lets requests under way finish.`,
		Example: `  serve --addr 127.0.0.1:8000`,
		Args:    cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil)), o)
		},
	}
	cmd.Flags().StringVar(&o.dir, "dir", ".", "`folder` that holds data, registry, models and logs")
	cmd.Flags().StringVar(&o.addr, "addr", "127.0.0.1:8000", "`host:port` to listen on")
	return cmd
}

// Time limits, so that a slow or silent client cannot hold a connection.
const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 15 * time.Second
	answerTimeout = 20 * time.Second
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 10 * time.Second // for requests under way when the service stops
)

func serve(ctx context.Context, logger *slog.Logger, o options) (err error) {
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	log, err := predlog.NewWriter(filepath.Join(o.dir, "logs", "predictions.log"))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	server := &http.Server{
		Handler:           predictor.New(registry.Open(o.dir, model.Verify, nil), log, logger).Routes(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	logger.Info("listening", "addr", listener.Addr().String())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	logger.Info("stopping: no new requests, those under way finish")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	return server.Shutdown(drain)
}
