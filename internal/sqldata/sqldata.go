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

import "time"

// Options say where the customers are.
type Options struct {
	From, Table, Key string
	QueryTimeout     time.Duration // for one query; 0 is none
	Program          string        // that warnings begin with
	TrinoPassword    string        // used if From has none
}

// Check reports what is wrong with the URL.
func (o *Options) Check() error {
	_, err := parseURL(o.From)
	return err
}
