package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"churn/internal/atomicfile"
	"churn/internal/cli"
	"churn/internal/drift"
	"churn/internal/filedata"
	_ "churn/internal/filedata/parquet" // --score takes Parquet files
	"churn/internal/input"
	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/predlog"
	"churn/internal/registry"
	"churn/internal/scoring"

	"github.com/spf13/cobra"
)

// scoreFlags are the flags of --score.
type scoreFlags struct {
	scoring.Options
	in, out, model string
	form           filedata.Options
}

func (s *scoreFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.in, "score", "", "score the customers of a `file` and end, without a server")
	f.StringVar(&s.out, "out", "-", "with --score: `file` for the list; - is standard output")
	f.StringVar(&s.model, "model", "",
		"with --score or --score-sql: `name` of a registered model (default: the current one)")
	f.IntVar(&s.Top, "top", 0, "with --score: list only so many `customers`, the highest probabilities first")
	f.IntVar(&s.Capacity, "capacity", 0,
		"with --score: predict so many `customers` to be positive, the highest, instead of all above the threshold")
	f.StringVar(&s.ID, "id", "", "with --score: `column` that identifies customers, kept whatever --keep says")
	f.StringSliceVar(&s.Keep, "keep", nil,
		"with --score: `columns` of the file to keep, comma separated, or all, as by default")
	f.IntVar(&s.Reasons, "reasons", 3, "with --score: `number` of reasons for each customer, 0 to 10")
	f.StringVar(&s.Format, "format", scoring.CSV, "with --score: `format` of the list: csv, excel or ndjson")
	f.BoolVar(&s.DropInvalid, "drop-invalid", false,
		"with --score: leave out rows that cannot be scored, into a file beside that of --out")
	f.StringVar(&s.AsOf, "as-of", "",
		"with --score: `date` of the file's export, from which days of dates are counted back (default: the schema's)")
	s.form.AddFlags(cmd)
}

// check rejects flags of a list without --score.
func (s *scoreFlags) check(cmd *cobra.Command) error {
	for _, name := range strings.Fields("out top capacity id keep reasons format drop-invalid as-of delimiter encoding " +
		"skip-lines skip-rows sheet") {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s goes with --score", name)
		}
	}
	for _, name := range []string{"model", "table"} {
		if cmd.Flags().Changed(name) && !cmd.Flags().Changed("score-sql") {
			return fmt.Errorf("--%s goes with --score%s", name, map[string]string{"table": "-sql"}[name])
		}
	}
	return nil
}

// registered reads a registered model, the current one if there is no name, and returns its name.
func registered(reg *registry.Registry, name string) (m *model.Model, file string, err error) {
	if name == "" {
		file, err = reg.Current()
	} else {
		file, err = reg.Resolve(name)
	}
	if err == nil {
		m, err = model.Read(file, reg.ReadRegistered)
	}
	return m, file, err
}

// score scores a file.
func score(cmd *cobra.Command, o options, s scoreFlags) error {
	cli.SetGCPercent(100) // unlike the service it holds buffers of some 60 MB: with 400 it takes up to 330 MB
	if err := cmp.Or(s.Check(), o.validateLog()); err != nil {
		return err
	}
	if s.AsOf != "" && cmd.Flags().Changed("log") {
		return errors.New("--as-of goes without --log: days in the log are counted from the model's day")
	}
	m, name, err := registered(modelstore.Open(o.dir), s.model)
	if err == nil && s.AsOf != "" {
		err = m.CountTo(s.AsOf)
	}
	if err != nil {
		return err
	}
	s.Name, s.form.Ignore = name, m.Schema.Ignore
	file, err := filedata.Open(cmd.Context(), s.in, s.form, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer file.Close()
	out, bad, rejected := cmd.OutOrStdout(), io.Discard, ""
	var list, left *atomicfile.File
	if s.out != "-" {
		rejected = strings.TrimSuffix(s.out, filepath.Ext(s.out)) + ".rejected.csv"
		if list, left, err = s.create(rejected); err != nil {
			return err
		}
		defer list.Abort()
		defer left.Abort()
		out, bad = list, left
	}
	result, err := scoring.Score(cmd.Context(), m, file, s.Options, out, bad)
	cli.Note(cmd, result.Notes...)
	if err != nil {
		return err
	}
	if cmd.Flags().Changed("log") {
		if err := s.record(cmd, o, m, file); err != nil {
			return err
		}
	}
	if list != nil {
		if err := s.commit(list, left, rejected, result.Bad); err != nil {
			return err
		}
	}
	s.tell(cmd, m, result, rejected)
	return nil
}

// create opens the list, and beside it the file of rows that cannot be scored.
func (s *scoreFlags) create(rejected string) (list, left *atomicfile.File, err error) {
	if input.SameFile(s.in, s.out) {
		return nil, nil, errors.New("--out is the file to score: write the list to another one")
	}
	if ext := strings.ToLower(filepath.Ext(s.out)); ext == ".xlsx" || ext == ".xls" {
		return nil, nil, fmt.Errorf("--out %s: the list is text: name it .csv, which Excel opens with --format excel", s.out)
	}
	if list, err = atomicfile.Create(s.out, 0o600); err != nil { // of customers
		return nil, nil, err
	}
	if left, err = atomicfile.Create(rejected, 0o600); err != nil {
		list.Abort()
	}
	return list, left, err
}

// commit puts both in place. Without bad rows the file of those of an earlier list is removed, unless
// it was scored.
func (s *scoreFlags) commit(list, left *atomicfile.File, rejected string, bad int) (err error) {
	if bad > 0 {
		err = left.Commit()
	} else if !input.SameFile(rejected, s.in) {
		err = os.Remove(rejected)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return list.Commit()
}

// record adds the customers to a log of predictions.
func (s *scoreFlags) record(cmd *cobra.Command, o options, m *model.Model, file *filedata.Table) error {
	log, err := predlog.NewWriter(o.logPath, o.log)
	if err != nil {
		return err
	}
	nameless, err := scoring.Record(cmd.Context(), m, file, s.Options, log.Append)
	if nameless > 0 {
		cli.Warn(cmd, fmt.Sprintf("%d rows have no %s: no outcome will be found for their records",
			nameless, cli.Printable(s.ID)))
	}
	return errors.Join(err, log.Close())
}

// tell says what was done.
func (s *scoreFlags) tell(cmd *cobra.Command, m *model.Model, r *scoring.Result, rejected string) {
	if r.BadRows != nil {
		cli.Warn(cmd, strings.Split(r.BadRows.Error(), "\n")...)
		where := ""
		if rejected != "" {
			where = ", now in " + rejected
		}
		cli.Warn(cmd, fmt.Sprintf("left out, since they cannot be scored: %d of %d rows%s", r.Bad, r.Bad+r.Rows, where))
	}
	cli.Warn(cmd, r.Warnings...)
	target := m.Schema.Target.Name + "=" + m.Schema.Target.Positive
	those, n := "listed", r.Listed
	if s.Capacity > 0 {
		those, n = "predicted", r.Positive
	}
	cli.Note(cmd, fmt.Sprintf("%d customers scored with %s, %d listed, %d predicted %s; "+
		"of those %s expect %.0f with %s, %.0f %%, the lowest probability is %.3f",
		r.Rows, s.Name, r.Listed, r.Positive, target, those, r.Expected, target, 100*r.Expected/float64(max(n, 1)), r.Lowest))
	switch {
	case r.Drift == drift.NotEnoughData:
	case len(r.Drifted) > 0:
		cli.Warn(cmd, "the customers differ from the training rows: "+strings.Join(r.Drifted, "; "))
	default:
		cli.Note(cmd, "compared with the training rows: "+r.Drift.Sentence())
	}
}
