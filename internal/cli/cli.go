// Package cli is the edge between a process and the rest of the program:
// signals, exit statuses, the error line and the two forms of output.
//
// All seven binaries behave alike because they all go through [Main]. Their exit
// statuses are those of package status.
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
	"strings"
	"syscall"

	"churn/internal/status"
	"churn/internal/strictjson"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
)

// Main runs cmd until it ends or is interrupted, and exits with its status.
func Main(cmd *cobra.Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C kills
	os.Exit(run(ctx, cmd))
}

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
	if out.err != nil && (err == nil || errors.Is(err, status.ErrRejected) || errors.Is(err, out.err)) {
		err = fmt.Errorf("its result could not be written: %w", out.err) // so there is no answer, yes or no
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil {
		Print(cmd, err.Error())
	}
	return status.Of(err)
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
