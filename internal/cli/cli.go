// Package cli is the edge between a process and the rest of the program:
// signals, exit statuses, the error line and the two forms of output.
//
// All seven binaries behave alike because they all go through [Main]:
//
//	0  done, and the answer is yes
//	1  done, and the answer is no: the data was refused, the gate refused the model, drift was found
//	2  trouble: bad flags, a missing or broken file, no convergence
//
// Results go to standard output. Errors and warnings go to standard error, one
// line each, the program's name first, no capital and no full stop.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"churn/internal/strictjson"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
)

// Exit statuses of every binary.
const (
	StatusYes     = 0
	StatusNo      = 1
	StatusTrouble = 2
)

// A refusal is an error that answers a question with no; it ends the process
// with StatusNo. Any other error is trouble.
type refusal interface{ Refusal() }

type no struct{ error }

func (no) Refusal()        {}
func (n no) Unwrap() error { return n.error }

// No returns an error for a question that was answered, and the answer is no.
func No(format string, args ...any) error { return no{fmt.Errorf(format, args...)} }

// Main runs cmd until it ends or is interrupted, and exits with its status.
func Main(cmd *cobra.Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C kills
	ballast := make([]byte, ballastBytes)
	status := run(ctx, cmd)
	runtime.KeepAlive(ballast)
	os.Exit(status)
}

// ballastBytes is memory that nobody touches, so that the system never gives it,
// but the collector counts: it waits until as much again is in use, where it would
// go through the few megabytes of a step, or of the service, every few milliseconds.
const ballastBytes = 24 << 20

func run(ctx context.Context, cmd *cobra.Command) int {
	cmd.SilenceErrors = true
	cmd.SilenceUsage = true
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w: see '%s --help'", err, c.Name())
	})
	out := &output{file: os.Stdout}
	cmd.SetOut(out)
	err := checkFiles()
	if err == nil {
		err = cmd.ExecuteContext(ctx)
	}
	var r refusal
	if out.err != nil && (err == nil || errors.As(err, &r) || errors.Is(err, out.err)) {
		err = fmt.Errorf("its result could not be written: %w", out.err) // so there is no answer, yes or no
	}
	if err == nil {
		return StatusYes
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	Print(cmd, err.Error())
	if errors.As(err, &r) {
		return StatusNo
	}
	return StatusTrouble
}

// Print writes each line of message to standard error, the program's name first.
func Print(cmd *cobra.Command, message string) {
	for line := range strings.Lines(message) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", cmd.Name(), strings.TrimSuffix(line, "\n"))
	}
}

// Warn writes each warning to standard error.
func Warn(cmd *cobra.Command, warnings ...string) {
	for _, w := range warnings {
		Print(cmd, "warning: "+w)
	}
}

// JSON writes v to w as indented JSON with a line end.
func JSON(w io.Writer, v any) error {
	b, err := json.Marshal(v, jsontext.WithIndent("  "), json.Deterministic(true))
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// Printable returns a name from a file, quoted if it would break a line.
func Printable(name string) string { return strictjson.Printable(name) }
