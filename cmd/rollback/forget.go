package main

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"churn/internal/atomicfile"
	"churn/internal/cli"
	"churn/internal/dataset"
	"churn/internal/filedata"
	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/predlog"
	"churn/internal/status"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
)

var matchForm = regexp.MustCompile(`^[^=]+=\s*\S.*$`)

// A receipt says what was erased, and not whose it was.
type receipt struct {
	At     string           `json:"at_utc,omitzero"`
	By     string           `json:"by"` // "request_id", or the column
	Files  []predlog.Erased `json:"files"`
	Models []string         `json:"models"` // that were trained on rows that were removed
	Others []string         `json:"others"` // models whose data is not here any more, so that nobody can tell
	DryRun bool             `json:"dry_run"`
}

// forget removes customers from the logs and the data, or with --dry-run counts them.
func forget(cmd *cobra.Command, o options) error {
	logs, err := predlog.Find(o.dir, o.on.Logs)
	if err != nil {
		return err
	}
	r := receipt{By: "request_id", Files: []predlog.Erased{}, Models: []string{}, Others: []string{}, DryRun: o.DryRun}
	e := predlog.Eraser{IDs: o.forget, DryRun: o.DryRun}
	var skipped []string
	var rowsErr error
	if o.match != nil {
		column, value, _ := strings.Cut(o.match[0], "=")
		e.Column, e.Value = dataset.Trim(column), dataset.Trim(value)
		if e.Column == "request_id" { // which is no feature of a record
			e.IDs = []string{e.Value}
		}
		r.By = e.Column
		skipped, rowsErr = o.forgetRows(e, &r)
		e.Read = o.read(e)
	}
	done, more, err := e.Erase(cmd.Context(), logs) // whatever the data's error: the logs are to be erased too
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: nothing has been predicted here, or --log names other logs", err)
		if _, none := os.Stat(filepath.Join(o.dir, "data")); o.match != nil && none == nil { // there may be data alone
			err = nil
		}
	}
	r.Files, skipped, err = append(r.Files, done...), append(skipped, more...), cmp.Or(rowsErr, err)
	cli.Warn(cmd, skipped...)
	if len(r.Files) > 0 && len(done) == 0 && len(e.IDs) == 0 && len(e.Read) == 0 { // such as an ignored customer number
		cli.Warn(cmd, fmt.Sprintf("no model reads %s, and no record has it: erase the customer's records by --forget "+
			"with each request_id", cli.Printable(e.Column)))
	}
	if len(r.Files) > 0 && !o.DryRun { // after an error too: some files may be done
		err = cmp.Or(err, r.note(o.dir))
	}
	err = cmp.Or(err, r.print(cmd.OutOrStdout(), o.json))
	switch {
	case err != nil:
	case len(skipped) > 0:
		err = fmt.Errorf("files were not looked through: %d", len(skipped))
	case len(r.Files) == 0 && o.match != nil:
		err = status.Reject("no row in data/ and no record in %s has this %s: check it, or name other logs with --log",
			logs, r.By)
	case len(r.Files) == 0:
		err = status.Reject("no record in %s has this request_id: check it, or name other logs with --log", logs)
	}
	return err
}

// read returns a value as the models read it: a record has 22.09 where a file has 22,09. What a model
// cannot read, or reads as a part of a date, which others have too, is left out.
func (o options) read(e predlog.Eraser) map[string]dataset.Value {
	values, reg := map[string]dataset.Value{}, modelstore.Open(o.dir)
	entries, _ := reg.Entries() // forgetRows returns the error
	for _, entry := range entries {
		m, err := model.Read(entry.ModelFile, reg.ReadModel)
		if err != nil || m.Schema.Index(e.Column) < 0 {
			continue
		}
		f := &m.Schema.Features[m.Schema.Index(e.Column)]
		v, problem := f.CheckText(e.Value)
		if f.Part == "" && !v.Missing && (problem == nil || problem.Kind != dataset.NotANumber) {
			values[entry.ModelFile] = v
		}
	}
	return values
}

// note writes the receipt to a file of its own in logs/.
func (r *receipt) note(dir string) error {
	now := time.Now().UTC()
	r.At = now.Format("2006-01-02T15:04:05")
	text, err := json.Marshal(r, jsontext.AllowInvalidUTF8(true)) // in names of files
	if err != nil {
		return err
	}
	name := "erased-" + now.Format("20060102T150405.000000000Z") + ".json"
	return atomicfile.Write(filepath.Join(dir, "logs", name), append(text, '\n'), 0o660)
}

func (r *receipt) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return cli.JSON(w, r)
	}
	would := ""
	if r.DryRun {
		would = "would be "
	}
	for _, e := range r.Files {
		fmt.Fprintf(w, "%s: %d %s %sremoved, %d kept\n",
			cli.Printable(e.File), e.Removed, cmp.Or(e.What, "records"), would, e.Kept)
	}
	for _, name := range r.Models {
		fmt.Fprintf(w, "%s was trained on such rows\n", cli.Printable(name))
	}
	for _, name := range r.Others {
		fmt.Fprintf(w, "%s may have been: the data that it was trained on is not here any more\n", cli.Printable(name))
	}
	if !r.DryRun && slices.ContainsFunc(r.Files, func(e predlog.Erased) bool { return e.What != "" }) {
		fmt.Fprintln(w, "run prepare as you did before: data/processed.csv may still have them")
	}
	return nil
}

// forgetRows removes rows from the files in data/, and names the models that were trained on
// data/processed.csv as it was, or on another of the files, and those of which it cannot tell.
func (o options) forgetRows(e predlog.Eraser, r *receipt) (skipped []string, err error) {
	dir := filepath.Join(o.dir, "data")
	if !e.DryRun { // what a killed program has left has rows too
		atomicfile.RemoveLeftovers(dir)
	}
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var trained, free []string // hashes of files that held the customer or were made from such, and of the others
	for _, file := range files {
		path := filepath.Join(dir, file.Name())
		var sum string
		var done predlog.Erased
		switch {
		case file.IsDir():
			err = errors.New("it is a folder: look through it yourself, or move it elsewhere")
		case strings.HasPrefix(file.Name(), ".") && strings.Contains(file.Name(), ".tmp-"):
			err = errors.New("a program is writing it: run this again when it has ended")
		default:
			sum, done, err = forgetRow(path, e)
		}
		if err != nil {
			skipped = append(skipped, fmt.Sprintf("%s was not looked through: %v", path, err))
			continue
		}
		if done.Removed > 0 {
			r.Files = append(r.Files, done)
		}
		if done.Removed > 0 || file.Name() == "processed.csv" { // which was made from the others
			trained = append(trained, sum)
		} else {
			free = append(free, sum)
		}
	}
	if len(r.Files) == 0 {
		return skipped, nil
	}
	entries, err := modelstore.Open(o.dir).Entries()
	for _, m := range entries {
		switch {
		case m.PrunedAtUTC != "":
		case slices.Contains(trained, m.DataSHA256):
			r.Models = append(r.Models, m.ModelFile)
		case !slices.Contains(free, m.DataSHA256):
			r.Others = append(r.Others, m.ModelFile)
		}
	}
	return skipped, err
}

var copied = func() {} // for tests: called before a file is replaced

var errNotText = errors.New("it is no CSV file in UTF-8: remove the row in the program that wrote it")

// forgetRow removes the customer's rows from one file, all other bytes of which stay. It returns
// the hash of the file as it was.
func forgetRow(path string, e predlog.Eraser) (sum string, done predlog.Erased, err error) {
	done = predlog.Erased{File: path, What: "rows"}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", done, err
	}
	old, err := atomicfile.Open(path)
	if err != nil {
		return "", done, err
	}
	defer old.Close()
	hash := sha256.New()
	err = copyRows(io.Discard, io.TeeReader(old, hash), e, &done)
	sum = hex.EncodeToString(hash.Sum(nil))
	if err != nil || done.Removed == 0 || e.DryRun {
		return sum, done, err
	}
	f, err := atomicfile.Create(path, 0o600)
	if err != nil {
		return sum, done, err
	}
	defer f.Abort()
	info, err := old.Stat()
	if err == nil {
		_, err = old.Seek(0, io.SeekStart)
	}
	if err == nil {
		err = predlog.TakeAfter(f.File, info)
	}
	if err != nil {
		return sum, done, err
	}
	out := bufio.NewWriter(f)
	done.Removed, done.Kept = 0, 0
	if err := cmp.Or(copyRows(out, old, e, &done), out.Flush(), f.Finish()); err != nil {
		return sum, done, err
	}
	copied()
	now, err := os.Stat(path)
	if err == nil && (!os.SameFile(now, info) || now.Size() != info.Size() || !now.ModTime().Equal(info.ModTime())) {
		err = errors.New("it was changed meanwhile: run this again")
	}
	if err != nil {
		return sum, done, err
	}
	return sum, done, f.Commit()
}

// copyRows copies the rows of a CSV text but for those of the customer.
func copyRows(to io.Writer, from io.Reader, e predlog.Eraser, done *predlog.Erased) error {
	in := bufio.NewReaderSize(from, 1<<16)
	head, err := in.Peek(1 << 16)
	if err != nil && err != io.EOF {
		return err
	}
	if bytes.IndexByte(head, 0) >= 0 || bytes.IndexByte(head, '\r') >= 0 && bytes.IndexByte(head, '\n') < 0 {
		return errNotText // UTF-16, a workbook, an old Mac's
	}
	_, comma, _, err := filedata.Decode(bytes.Clone(head))
	if err != nil {
		return err
	}
	if mark := []byte("\ufeff"); bytes.HasPrefix(head, mark) {
		in.Discard(len(mark)) // it has been read
		to.Write(mark)        // the next write returns its error too
	}
	var text bytes.Buffer // what the reader has taken
	rows := csv.NewReader(io.TeeReader(in, &text))
	rows.Comma, rows.FieldsPerRecord, rows.ReuseRecord = rune(comma), -1, true // and strict, as prepare is
	column, at := -1, int64(0)
	for {
		cells, err := rows.Read()
		if err == io.EOF {
			_, err = to.Write(text.Bytes())
			return err
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errNotText, err)
		}
		row := text.Next(int(rows.InputOffset() - at))
		at = rows.InputOffset()
		switch {
		case !utf8.Valid(row):
			return errNotText
		case column >= 0 && column < len(cells) && dataset.Trim(cells[column]) == e.Value:
			done.Removed++
			continue
		case column >= 0:
			done.Kept++
		case strings.HasPrefix(cells[0], "sep="): // Excel's own
		default: // the header
			for i, name := range cells {
				cells[i] = dataset.Trim(name)
			}
			if column = slices.Index(cells, e.Column); column < 0 {
				_, err := io.Copy(io.Discard, in) // the caller wants all of it
				return err
			}
			if slices.Contains(cells[column+1:], e.Column) {
				return errors.New("it has the column twice: rename one, and run this again")
			}
		}
		if _, err := to.Write(row); err != nil {
			return err
		}
	}
}
