// Serve answers predictions over HTTP with the current model.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"churn/internal/cli"
	"churn/internal/drift"
	"churn/internal/modelstore"
	"churn/internal/predictor"
	"churn/internal/predlog"

	"github.com/spf13/cobra"
)

func main() {
	// The live heap is a few megabytes, which Go would collect every few milliseconds under load.
	cli.SetGCPercent(400)
	cmd := command()
	cli.MainDraining(cmd, func() {
		if cmd.Flags().Changed("score") {
			cli.End(cmd)
		}
	})
}

type options struct {
	dir, addr       string
	keyFile         string
	tlsCert, tlsKey string
	accessLog       bool
	hosts           []string
	limits          predictor.Limits
	memory          int64 // bytes
	connections     int   // maximum of open ones, which follows from memory
	logPath         string
	log             predlog.Options
	sync, mode      string
	drain           time.Duration
	check           bool // print what serve would do, and end
	score           scoreFlags
	sql             sqlFlags
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer predictions over HTTP with the current model",
		Long: `Serve answers POST /predict and GET /health, and / is a web page that scores one customer.
A change of registry/current_model.txt takes effect with the next request. A prediction is answered
only after its record is in logs/predictions.log, or in the file that --log names: give each of
several services a file of its own, such as logs/predictions-1.log. After SIGTERM or Ctrl-C requests
are still answered for the time of --drain, while /readyz answers 503; then requests in flight
finish. SIGHUP rereads the API keys and the TLS certificate.`,
		Example: `  serve --addr 127.0.0.1:8000`,
		Args:    cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("score") {
				return score(cmd, o, o.score)
			}
			if err := o.score.check(cmd); err != nil {
				return err
			}
			if cmd.Flags().Changed("score-sql") {
				return scoreSQL(cmd, o.dir, o.score.model, o.sql)
			}
			return serve(cmd.Context(), cli.Logger(cmd), o, cmd.OutOrStdout())
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *options) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	o.score.add(cmd)
	o.sql.add(cmd)
	f.StringVar(&o.dir, "dir", ".", "`folder` that holds data, registry, models and logs")
	f.StringVar(&o.addr, "addr", "127.0.0.1:8000", "`host:port` to listen on")
	f.IntVar(&o.limits.BatchRows, "batch-rows", 10_000, "maximum customers in a batch, at least 1")
	cli.SizeVar(f, &o.limits.BatchBytes, "batch-bytes", 16<<20, "maximum `bytes` in a batch's body, at least 1")
	f.StringVar(&o.logPath, "log", "",
		"`file` for the records (default DIR/logs/predictions.log); drift reads logs/predictions*.log")
	cli.SizeVar(f, &o.log.MaxSize, "log-max-size", 0,
		"size in `bytes`, such as 500MB, from which the log is rotated to predictions-TIME.log; 0: never")
	f.Var(&o.log.Keep, "log-keep",
		"`time or size`, such as 90d or 50GB, beyond which rotated parts of the log are removed; rotates at a tenth of it")
	f.StringVar(&o.mode, "log-mode", "0660", "`permissions` of a new log, in octal, less the umask")
	f.StringVar(&o.sync, "log-sync", "none",
		"`when` a record counts as written: none (handed to the system) or batch (synced to disk)")
	f.StringVar(&o.keyFile, "api-key-file", "",
		"`file` of API keys, one per line: every request needs one, except for health, the web page and the API docs")
	f.StringVar(&o.tlsCert, "tls-cert", "", "certificate `file`, PEM: serve HTTPS")
	f.StringVar(&o.tlsKey, "tls-key", "", "the certificate's key `file`, PEM")
	f.IntVar(&o.limits.Rate, "rate", 0, "maximum requests per minute of one client, by API key or address; 0: no limit")
	f.IntVar(&o.limits.InFlight, "max-in-flight", 256, "maximum requests in flight, at least 1")
	f.IntVar(&o.limits.DriftRows, "drift-window", 200,
		"last `rows` that /drift and /metrics check for drift, at least 30; 0: no check")
	cli.SizeVar(f, &o.memory, "memory", 0,
		"memory in `bytes`, such as 2GB, that connections and requests share; 0: three quarters of the cgroup's "+
			"or the machine's")
	f.StringSliceVar(&o.hosts, "host", nil,
		"additional host `name` of the service, such as churn.example.com, behind a proxy on this machine; repeatable")
	f.DurationVar(&o.drain, "drain", 0,
		"`time` to go on answering after SIGTERM while /readyz answers 503: longer than the load balancer takes to notice")
	f.BoolVar(&o.accessLog, "access-log", false, "log a line for each request")
	f.BoolVar(&o.check, "check", false,
		"print what serve would use, change nothing, and exit: 0, or 1 if no prediction would be answered")
	cmd.MarkFlagsMutuallyExclusive("check", "score", "score-sql")
}

// Sensible maxima of numbers: more is a mistake, and may overflow.
const (
	mostLogBytes   = 1 << 40
	mostBatchBytes = 1 << 30
	mostRows       = 1_000_000
	mostRate       = 1_000_000_000
)

// headerBytes of a request are for a key, a request id, and what proxies add. net/http adds 4 KiB.
const headerBytes = 4 << 10

// useProcessors lets more threads run than there are processors, unless GOMAXPROCS is set:
// while one writes the log, another goes on. With 16 connections on two processors that
// gives 58,400 predictions per second instead of 51,700.
func useProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
	}
}

func (o *options) validate() error {
	l := &o.limits
	switch {
	case l.BatchRows < 1 || l.BatchRows > mostRows:
		return fmt.Errorf("--batch-rows %d: 1 to %d", l.BatchRows, mostRows)
	case l.BatchBytes < 1 || l.BatchBytes > mostBatchBytes:
		return fmt.Errorf("--batch-bytes %d: 1 to %d", l.BatchBytes, mostBatchBytes)
	case l.Rate < 0 || l.Rate > mostRate:
		return fmt.Errorf("--rate %d: 0 to %d", l.Rate, mostRate)
	case l.InFlight < 1 || l.InFlight > mostRows:
		return fmt.Errorf("--max-in-flight %d: 1 to %d", l.InFlight, mostRows)
	case l.DriftRows != 0 && l.DriftRows < drift.MinRows || l.DriftRows > mostRows:
		return fmt.Errorf("--drift-window %d: 0, or %d to %d", l.DriftRows, drift.MinRows, mostRows)
	case o.drain < 0 || o.drain > maxDrain:
		return fmt.Errorf("--drain %v: 0 to %v", o.drain, maxDrain)
	}
	for i, host := range o.hosts {
		o.hosts[i] = strings.ToLower(host) // browsers send it in lower case
		if err := predictor.CheckHost(host); err != nil {
			return fmt.Errorf("--host %q: a name, with a port if it is not the default one, and nothing else", host)
		}
	}
	return cmp.Or(o.validateLog(), o.useMemory())
}

// validateLog completes the options of the log, which --score takes too.
func (o *options) validateLog() error {
	mode, err := strconv.ParseUint(o.mode, 8, 32)
	o.log.Mode, o.log.Sync = os.FileMode(mode), o.sync == "batch"
	switch {
	case o.log.MaxSize < 0 || o.log.MaxSize > mostLogBytes:
		return fmt.Errorf("--log-max-size %d: 0 to %d", o.log.MaxSize, mostLogBytes)
	case (o.log.MaxSize > 0 || o.log.Keep != predlog.Keep{}) && runtime.GOOS == "windows":
		return errors.New("--log-max-size and --log-keep: not supported on Windows, where an open log cannot be renamed")
	case o.sync != "none" && o.sync != "batch":
		return fmt.Errorf("--log-sync %q: none or batch", o.sync)
	case err != nil || mode&^0o666 != 0 || mode&0o600 != 0o600:
		return fmt.Errorf("--log-mode %q: in octal, 0600 to 0666, such as 0640", o.mode)
	}
	return nil
}

// logFile returns the path of the log, and whether the other commands find it by default.
func (o *options) logFile() (path string, found bool) {
	if o.logPath == "" {
		return filepath.Join(o.dir, "logs", "predictions.log"), true
	}
	pattern := filepath.FromSlash(predlog.DefaultPattern)
	matched, _ := filepath.Match(filepath.Base(pattern), filepath.Base(o.logPath)) // the pattern is valid
	folder, err := filepath.Abs(filepath.Dir(o.logPath))
	standard, standardErr := filepath.Abs(filepath.Join(o.dir, filepath.Dir(pattern)))
	return o.logPath, matched && errors.Join(err, standardErr) == nil && folder == standard
}

func serve(ctx context.Context, logger *slog.Logger, o options, w io.Writer) (err error) {
	if err := o.validate(); err != nil {
		return err
	}
	secure, err := openSecure(o)
	if err != nil {
		return err
	}
	useProcessors()
	listener, err := listen(ctx, o.addr)
	if err != nil {
		return fmt.Errorf("%w: name another address with --addr", err)
	}
	if o.check {
		return cmp.Or(check(w, o, listener.Addr(), secure), listener.Close())
	}
	o.log.Removed = func(parts []string, err error) {
		if err != nil {
			logger.Error("parts of the log cannot be removed", "error", err.Error())
		}
		if len(parts) > 0 {
			logger.Info("old parts of the log were removed", "parts", parts)
		}
	}
	path, found := o.logFile()
	log, err := predlog.NewWriter(path, o.log)
	if err != nil {
		return fmt.Errorf("%w: mend that, or name another log with --log", errors.Join(err, listener.Close()))
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	service := predictor.New(modelstore.Open(o.dir), log, logger, o.limits)
	service.Version, service.Keys, service.AccessLog = cli.Version(), secure.keys, o.accessLog
	service.Hosts, service.LocalOnly = o.hosts, secure.keys == nil && loopback(listener.Addr())
	server := &http.Server{
		Handler:        service.Routes(),
		MaxHeaderBytes: headerBytes,
		ErrorLog:       slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	// Over HTTP/2 a connection could hold many requests, and their memory.
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	serving, served := context.WithCancel(context.WithoutCancel(ctx)) // lasts while it drains
	defer served()
	limited := limitConnections(listener, o.connections)
	server.ConnState = limited.follow
	go limited.keep(serving, time.Second)
	secure.rereadOnHangup(serving, logger)
	secure.warn(logger, listener.Addr())
	if !found {
		logger.Warn("the other programs do not read this log by default: give them --log", "log", path)
	}
	logger.Info("listening", "addr", listener.Addr().String(), "version", cli.Version())
	failed := make(chan error, 1)
	go func() { failed <- secure.serve(server, limited) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	service.Drain()
	return stop(serving, server, listener, o.drain, failed, logger)
}
