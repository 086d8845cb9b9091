// Package sqldata has customers that stay where they are: in a table of a
// database, which does the passes over the rows, so that only sums travel.
//
// It speaks to PostgreSQL, and what is like it, and to Trino. An [Engine] asks one
// query at a time and nothing but queries: no transaction, no temporary table, no
// write, which PostgreSQL is told to refuse. A query is a text with all its values
// in it; rows come back one by one.
//
// A password is in the address or where the driver looks for one (PGPASSWORD,
// ~/.pgpass; TRINO_PASSWORD). No error, URL or progress that leaves the package has it.
package sqldata

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

const defaultQueryTimeout = 30 * time.Minute // a pass over a billion rows on a busy cluster

// Options say where the customers are.
type Options struct {
	From, Table, Key string
	QueryTimeout     time.Duration // for one query; 0 is none

	flags *pflag.FlagSet // tells what was given
}

// Flags declares --from, --table and --query-timeout.
func (o *Options) Flags(f *pflag.FlagSet) {
	o.flags = f
	f.StringVar(&o.From, "from", "", "`URL` of the database that has the customers: postgres://USER@HOST/DATABASE or trino://USER@HOST:PORT/CATALOG/SCHEMA")
	f.StringVar(&o.Table, "table", "", "`name` of the table in --from")
	f.DurationVar(&o.QueryTimeout, "query-timeout", defaultQueryTimeout, "`time` that one query of --from may take; 0: no limit")
}

// KeyFlag declares --key.
func (o *Options) KeyFlag(f *pflag.FlagSet) {
	f.StringVar(&o.Key, "key", "", "`column` of --table that tells the customers apart")
}

// Given reports whether the customers are in a database.
func (o *Options) Given() bool { return o.From != "" }

// Check refuses options that make no sense.
func (o *Options) Check() error {
	if !o.Given() {
		switch {
		case o.Table != "":
			return errors.New("--table: it is a table of --from, which is not given")
		case o.Key != "":
			return errors.New("--key: it is a column of a table of --from, which is not given")
		case o.flags != nil && o.flags.Changed("query-timeout"):
			return errors.New("--query-timeout: it is for queries of --from, which is not given")
		}
		return nil
	}
	if _, err := parseURL(o.From); err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	switch {
	case o.Table == "":
		return errors.New("--from wants --table, the name of the table")
	case o.QueryTimeout < 0:
		return fmt.Errorf("--query-timeout %v: 0 or more", o.QueryTimeout)
	}
	return nil
}
