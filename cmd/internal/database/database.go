// Package database declares the flags of the commands that read customers or predictions from a
// database, and sets what such a process needs.
package database

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"churn/internal/atomicfile"
	"churn/internal/dataset"
	"churn/internal/predlog"
	"churn/internal/sqldata"

	"github.com/spf13/cobra"
)

const (
	queryTimeout = 30 * time.Minute // a pass over a billion rows on a busy cluster
	gcPercent    = 25               // the process mostly waits for the database, and should be small beside it
)

// Flags are --from, --table, --query-timeout and, with AddKey, --key.
type Flags struct {
	sqldata.Options
	cmd *cobra.Command
}

// Add declares the flags but for --key.
func (f *Flags) Add(cmd *cobra.Command) {
	f.cmd = cmd
	flags := cmd.Flags()
	flags.StringVar(&f.From, "from", "", "`URL` of the database that has the customers: "+sqldata.URLForms())
	flags.StringVar(&f.Table, "table", "", "`name` of the table in --from")
	flags.BoolVar(&f.Explain, "explain", false, "write each query, and the database's plan for it, to standard error")
	flags.DurationVar(&f.QueryTimeout, "query-timeout", queryTimeout, "`time` limit of a query; 0: none")
}

// AddKey declares --key.
func (f *Flags) AddKey() {
	f.cmd.Flags().StringVar(&f.Key, "key", "", "`column` of --table that identifies a customer")
}

// Given reports whether the customers are in a database.
func (f *Flags) Given() bool { return f.From != "" }

// Check rejects flags that do not go together. If the customers are in a database, it
// makes the process collect garbage early and reads the password from the environment.
func (f *Flags) Check() error {
	f.Program = f.cmd.Name()
	if f.Given() {
		debug.SetGCPercent(gcPercent)
		f.Password = os.Getenv(f.PasswordVariable())
		if err := f.Options.Check(); err != nil {
			return fmt.Errorf("--from: %w", err)
		}
	}
	switch {
	case f.QueryTimeout < 0:
		return fmt.Errorf("--query-timeout %v: 0 or more", f.QueryTimeout)
	case f.Given() && f.Table == "":
		return errors.New("--from needs --table, the name of the table")
	case f.Given():
		return nil
	case f.Table != "":
		return errors.New("--table needs --from, the database")
	case f.Key != "":
		return errors.New("--key needs --from and --table: it is a column of that table")
	}
	return nil
}

// Logs returns patterns with a temporary file in place of each URL#TABLE, a table of predictions in a database:
// its last n records, or with 0 all, not earlier than since, unix seconds. s is the schema of the model that they
// are for. The caller calls remove when the files are read.
func (f *Flags) Logs(ctx context.Context, stderr io.Writer, patterns []string, n int, since float64, s *dataset.Schema,
) (files []string, remove func(), err error) {
	var temporary []*atomicfile.File
	remove = func() {
		for _, file := range temporary {
			file.Abort()
		}
	}
	for _, pattern := range patterns {
		if !strings.Contains(pattern, "://") {
			files = append(files, pattern)
			continue
		}
		file, err := f.copyLog(ctx, stderr, pattern, n, since, s)
		if err != nil {
			remove()
			return nil, nil, err
		}
		files, temporary = append(files, file.Name()), append(temporary, file)
	}
	return files, remove, nil
}

// copyLog writes the records of a table as a log.
func (f *Flags) copyLog(ctx context.Context, stderr io.Writer, from string, n int, since float64, s *dataset.Schema,
) (*atomicfile.File, error) {
	o := f.Options
	at := strings.LastIndexByte(from, '#')
	if at < 0 || at == len(from)-1 {
		return nil, errors.New("--log: a table of a database is named by URL#TABLE")
	}
	o.From, o.Table, o.Key = from[:at], from[at+1:], ""
	if err := o.Check(); err != nil {
		return nil, fmt.Errorf("--log: %w", err)
	}
	o.Password = os.Getenv(o.PasswordVariable())
	engine, err := sqldata.Open(ctx, o, stderr)
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	table, err := engine.OpenTable(ctx, o)
	if err != nil {
		return nil, err
	}
	name := "churn-" + regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(o.Table, "-")
	file, err := atomicfile.Create(filepath.Join(os.TempDir(), name), 0o600) // removes what a killed process left
	if err != nil {
		return nil, err
	}
	out := bufio.NewWriter(file)
	var line []byte
	err = table.Records(ctx, s, n, since, func(r *predlog.Record) error {
		line = append(r.Append(line[:0]), '\n')
		_, err := out.Write(line)
		return err
	})
	if err = cmp.Or(err, out.Flush()); err != nil {
		file.Abort()
	}
	return file, err
}
