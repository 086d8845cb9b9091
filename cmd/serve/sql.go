package main

import (
	"fmt"

	"churn/internal/cli"
	"churn/internal/modelstore"
	"churn/internal/sqlterms"

	"github.com/spf13/cobra"
)

// sqlFlags are the flags of --score-sql.
type sqlFlags struct{ dialect, table string }

func (s *sqlFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.dialect, "score-sql", "",
		"print a SELECT that scores the rows of a table, for `postgres`, and end")
	cmd.Flags().StringVar(&s.table, "table", "customers", "with --score-sql: `name` of the table")
}

// scoreSQL prints a model as SQL.
func scoreSQL(cmd *cobra.Command, dir, name string, s sqlFlags) error {
	if s.dialect != "postgres" {
		return fmt.Errorf("--score-sql %q: only postgres", s.dialect)
	}
	m, name, err := registered(modelstore.Open(dir), name)
	if err != nil {
		return err
	}
	query, err := sqlterms.Select(m, s.table)
	if err == nil {
		fmt.Fprintf(cmd.OutOrStdout(), "-- %s\n%s\n", cli.Printable(name), query)
	}
	return err
}
