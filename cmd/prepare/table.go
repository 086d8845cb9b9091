package main

import (
	"fmt"

	"churn/internal/cli"
	"churn/internal/dataset"
	"churn/internal/sqldata"

	"github.com/spf13/cobra"
)

// prepareTable prepares a table of a database. It returns the path of the file that
// says where the table is.
func prepareTable(cmd *cobra.Command, o *options) (*dataset.Quality, string, error) {
	ctx := cmd.Context()
	engine, err := sqldata.Open(ctx, o.database.Options, cmd.ErrOrStderr())
	if err != nil {
		return nil, "", err
	}
	defer engine.Close()
	table, err := engine.OpenTable(ctx, o.database.Options)
	if err != nil {
		return nil, "", err
	}
	schema, err := chooseSchema(cmd, *o, func() (*dataset.Schema, error) {
		in := &o.inference
		schema, notes, err := table.Infer(ctx, in.Target, in.Positive, in.Ignore, in.MissingValues)
		o.note(cmd, notes...)
		return schema, err
	})
	if err == nil {
		schema, err = ignoreKey(schema, o.database.Key)
	}
	if err != nil {
		return nil, "", err
	}
	out, err := openOutputs(o.to, sourcePath)
	if err != nil {
		return nil, "", err
	}
	defer out.abort()
	source, err := table.Source(ctx, schema, o.limits)
	if err != nil {
		return nil, "", err
	}
	prepared, err := source.Prepare(ctx)
	if err != nil {
		return nil, "", err
	}
	if prepared.SharedKeys > 0 {
		cli.Warn(cmd, fmt.Sprintf("--key %s: %d of its values occur in several rows: these are held out together",
			cli.Printable(o.database.Key), prepared.SharedKeys))
	}
	if err := check(source.Quality(), o.strict); err != nil {
		return nil, "", err
	}
	if err := cli.JSON(out.data(), prepared); err != nil {
		return nil, "", err
	}
	if err := out.describe(schema, prepared.Summaries, source.Quality()); err != nil {
		return nil, "", err
	}
	return source.Quality(), sourcePath, out.commit(cmd, o.to)
}

// ignoreKey adds the key to the schema's ignored columns, so that customers to be
// scored may have it.
func ignoreKey(schema *dataset.Schema, key string) (*dataset.Schema, error) {
	if schema.Index(key) >= 0 || schema.Target.Name == key {
		return nil, fmt.Errorf("--key %s: the column is in the schema, and a key only identifies customers: "+
			"name another one", cli.Printable(key))
	}
	return schema.With([]string{key}, nil)
}
