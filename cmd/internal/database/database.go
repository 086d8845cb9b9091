// Package database declares the flags of the commands that read customers from a
// database, and sets what such a process needs.
package database

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

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
	}
	return nil
}
