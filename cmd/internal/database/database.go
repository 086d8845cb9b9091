// Package database declares the flags of the commands that read customers or predictions from a
// database, and sets what such a process needs.
package database

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

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
	flags.BoolVar(&f.Explain, "explain", false, "write each query of --from, and the database's plan for it, to standard error")
	flags.DurationVar(&f.QueryTimeout, "query-timeout", queryTimeout, "`time` limit of a query of --from; 0: none")
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
	if f.Given() {
		debug.SetGCPercent(gcPercent)
		f.Program, f.Password = f.cmd.Name(), os.Getenv(f.PasswordVariable())
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
	case f.cmd.Flags().Changed("query-timeout"):
		return errors.New("--query-timeout needs --from, the database")
	case f.Explain:
		return errors.New("--explain needs --from, the database")
	}
	return nil
}

// Logs returns patterns with a temporary file in place of each URL#TABLE, a table of predictions in a database:
// its last n records, or with 0 all. s is the schema of the model that they are for. The caller calls remove
// when the files are read.
func (f *Flags) Logs(ctx context.Context, stderr io.Writer, patterns []string, n int, s *dataset.Schema,
) (files []string, remove func(), err error) {
	var dir string
	remove = func() {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
	defer func() {
		if err != nil {
			remove()
		}
	}()
	for _, pattern := range patterns {
		from, table, _ := strings.Cut(pattern, "#")
		if !strings.Contains(from, "://") {
			files = append(files, pattern)
			continue
		}
		o := sqldata.Options{From: from, Table: table, QueryTimeout: f.QueryTimeout, Program: f.cmd.Name()}
		if err := o.Check(); err != nil {
			return nil, remove, fmt.Errorf("--log: %w", err)
		}
		if table == "" {
			return nil, remove, errors.New("--log: a table of a database is named by URL#TABLE")
		}
		o.Password = os.Getenv(o.PasswordVariable())
		if dir == "" {
			if dir, err = os.MkdirTemp("", "predictions"); err != nil {
				return nil, remove, err
			}
		}
		file := filepath.Join(dir, fmt.Sprintf("%d.log", len(files)))
		if err := writeLog(ctx, stderr, o, file, n, s); err != nil {
			return nil, remove, err
		}
		files = append(files, file)
	}
	return files, remove, nil
}

// writeLog writes the records of a table as a log.
func writeLog(ctx context.Context, stderr io.Writer, o sqldata.Options, file string, n int, s *dataset.Schema) error {
	engine, err := sqldata.Open(ctx, o, stderr)
	if err != nil {
		return err
	}
	defer engine.Close()
	table, err := engine.OpenTable(ctx, o)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(log)
	var line []byte
	err = table.Records(ctx, s, n, func(r *predlog.Record) error {
		line = append(r.Append(line[:0]), '\n')
		_, err := out.Write(line)
		return err
	})
	return errors.Join(err, out.Flush(), log.Close())
}
