// Package cli runs a command: signals, exit statuses, error lines, and results as tables or
// JSON. Every binary goes through [Main], so that all behave alike. Their exit statuses are
// those of package status.
//
// Results go to standard output. Errors and warnings go to standard error, one line each,
// beginning with the program's name, in lower case and without a full stop.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"churn/internal/status"
	"churn/internal/strictjson"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
)

// SetGCPercent is debug.SetGCPercent, unless the environment sets GOGC.
func SetGCPercent(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// How long a program may take to end by itself after a signal. Then files are left as by a kill: as
// they were, with temporary ones that the next run removes.
const (
	grace      = 800 * time.Millisecond
	queryGrace = 10 * time.Second // with --from: queries are cancelled in the database
)

// Main runs cmd until it ends or is interrupted, and exits with its status. It ends soon after a
// signal, whatever it waits for.
func Main(cmd *cobra.Command) {
	MainDraining(cmd, func() { End(cmd) })
}

var querying atomic.Bool // --from was given

// End ends an interrupted program soon, whatever it waits for.
func End(cmd *cobra.Command) {
	if querying.Load() {
		time.Sleep(queryGrace - grace)
	}
	time.Sleep(grace)
	time.AfterFunc(grace/8, func() { os.Exit(status.Trouble) }) // standard error may be stuck too
	Print(cmd, "interrupted")
	os.Exit(status.Trouble)
}

// MainDraining is Main for a program that takes its time to end. After a signal it calls interrupted.
func MainDraining(cmd *cobra.Command, interrupted func()) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, func() {
		signal.Ignore(syscall.SIGHUP) // a terminal that closes may send it twice
		stop()                        // a second Ctrl-C kills
		interrupted()
	})
	signal.Ignore(syscall.SIGPIPE) // a reader that has gone ends nothing halfway
	os.Exit(run(ctx, cmd))
}

// pipeStatus is what a shell reports of a program that SIGPIPE has ended.
const pipeStatus = 128 + int(syscall.SIGPIPE)

func run(ctx context.Context, cmd *cobra.Command) int {
	cmd.SilenceErrors = true
	cmd.SilenceUsage = true
	cmd.CompletionOptions.DisableDefaultCmd = true
	addCommon(cmd)
	out := &output{file: os.Stdout}
	cmd.SetOut(out)
	err := checkFiles()
	if err == nil {
		err = groupError(cmd.ExecuteContext(ctx))
	}
	if out.err != nil && (err == nil || errors.Is(err, status.ErrRejected) || errors.Is(err, out.err)) {
		if errors.Is(out.err, syscall.EPIPE) {
			return pipeStatus // no message: the reader has read enough, as head does
		}
		err = fmt.Errorf("the result could not be written: %w", out.err) // status 2: neither done nor rejected
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil {
		Print(cmd, withVariables(cmd, err).Error())
	}
	if m, ok := cmd.ErrOrStderr().(*messages); ok {
		m.flush()
	}
	return status.Of(err)
}

// An output is standard output that remembers the first write error, and writes no more after
// it: tables and texts come in many small writes whose errors are not checked, and a result
// that was not written must not count as one.
type output struct {
	file *os.File
	err  error
}

func (o *output) Write(b []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.file.Write(b)
	o.err = err
	return n, err
}

// Print writes each line of message to standard error, after the program's name, and without control
// characters: the names in it are anybody's.
func Print(cmd *cobra.Command, message string) {
	for line := range strings.Lines(message) {
		line = strings.Map(strictjson.Visible, strings.TrimSuffix(line, "\n"))
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", cmd.Name(), line)
	}
}

// Warn writes each warning to standard error.
func Warn(cmd *cobra.Command, warnings ...string) {
	for _, w := range warnings {
		Print(cmd, "warning: "+w)
	}
}

// Note writes what was found, and need not be acted on, to standard error.
func Note(cmd *cobra.Command, notes ...string) {
	Print(cmd, strings.Join(notes, "\n"))
}

// JSON writes v to w as indented JSON with a line end.
func JSON(w io.Writer, v any) error {
	out := jsontext.NewEncoder(w, jsontext.WithIndent("  "), jsontext.AllowInvalidUTF8(true),
		jsontext.AllowDuplicateNames(true)) // which saves looking for them: no map or struct has some
	return json.MarshalEncode(out, v, json.Deterministic(true)) // and the line end
}

// Printable returns a name from a file, quoted if it would break a line.
func Printable(name string) string { return strictjson.Printable(name) }
