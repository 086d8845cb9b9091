package predlog

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"churn/internal/atomicfile"
	"churn/internal/dataset"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/unicode/norm"
)

// Erased is what was erased from one file.
type Erased struct {
	File    string `json:"file"`
	What    string `json:"what,omitzero"` // "": records
	Removed int    `json:"removed"`       // lines
	Kept    int    `json:"kept"`
}

// An Eraser removes the records of some customers from logs while services write them.
type Eraser struct {
	IDs    []string // request ids, without white space around them
	Column string   // with Value: records of customers who have it; "": none
	Value  string
	Read   map[string]dataset.Value // Value as the models read it, by the model's file name; nil: as it is
	DryRun bool                     // count, change nothing

	copied func() // for tests: called before the lines that came meanwhile are copied
}

// Erase removes the records from the logs and from all their parts, copies and compressed ones
// too. Each file is replaced whole, with its mode, owner and time, and under the log's lock,
// which is held for as long as it takes to copy and sync the lines that were written meanwhile. It
// returns what was erased, file by file, and which files were not looked through. After an error it
// may be called again.
func (e Eraser) Erase(ctx context.Context, logs Logs) (all []Erased, skipped []string, err error) {
	const tries = 10 // while a log is rotated
	for _, log := range logs {
		for try := 1; ; try++ {
			done, unread, err := e.log(ctx, log)
			all = append(all, done...)
			if errors.Is(err, errChanged) && try < tries {
				continue
			}
			skipped = append(skipped, unread...)
			if err != nil {
				return all, skipped, err
			}
			break
		}
	}
	return all, skipped, nil
}

// log erases from one log and its parts. An error of one does not keep it from the others; the
// first is returned.
func (e Eraser) log(ctx context.Context, log string) (all []Erased, skipped []string, err error) {
	if !e.DryRun { // half a file that a killed one has left has records too
		atomicfile.RemoveLeftovers(filepath.Dir(log))
	}
	o, err := Logs{log}.open()
	if err != nil {
		return nil, nil, err
	}
	defer o.close()
	for _, name := range slices.Compact(o.folders) {
		skipped = append(skipped, name+" was not looked through: it is not a file: name the logs in it with --log")
	}
	for _, p := range o.parts {
		if !p.record && (p.other || !p.known) {
			skipped = append(skipped, p.name+" was not looked through: it cannot be read, or is no log of predictions")
		}
		if !p.record && !p.known {
			continue
		}
		done, failed := e.file(ctx, log, p)
		if failed != nil {
			err = cmp.Or(err, fmt.Errorf("erasing from %s: %w", p.name, failed))
		} else if done.Removed > 0 {
			all = append(all, done)
		}
	}
	return all, skipped, err
}

// file erases from one file of a log.
func (e Eraser) file(ctx context.Context, log string, p *part) (Erased, error) {
	done := Erased{File: p.name}
	in, err := p.all(p.info.Size())
	if err == nil {
		err = e.copy(ctx, io.Discard, in, &done)
	}
	if err != nil || done.Removed == 0 || e.DryRun {
		return done, err
	}
	return e.replace(ctx, log, p)
}

// replace writes a file anew. What has been written is copied first, without the lock, and then,
// with it, the lines that came meanwhile.
func (e Eraser) replace(ctx context.Context, log string, p *part) (done Erased, err error) {
	done.File = p.name
	path, err := filepath.EvalSymlinks(p.name)
	if err != nil {
		return done, err
	}
	f, err := atomicfile.Create(path, 0o600)
	if err != nil {
		return done, err
	}
	defer f.Abort()
	if err := TakeAfter(f.File, p.info); err != nil {
		return done, err
	}
	var end int64
	if err := p.locked(ctx, log, func() (err error) {
		end, err = p.complete(ctx)
		return err
	}); err != nil {
		return done, err
	}
	before, err := p.lastBytes(end)
	if err != nil {
		return done, err
	}
	in, err := p.all(end)
	if err != nil {
		return done, err
	}
	out := p.packer(f)
	if err := cmp.Or(e.copy(ctx, out, in, &done), out.Close(), f.Sync()); err != nil {
		return done, err
	}
	if e.copied != nil {
		e.copied()
	}
	err = p.locked(ctx, log, func() error { return e.commit(ctx, f, p, end, before, &done) })
	return done, err
}

// commit copies the lines that came after end, and puts the file in place of the part, whose last bytes
// there are before unless it was changed.
func (e Eraser) commit(ctx context.Context, f *atomicfile.File, p *part, end int64, before []byte, done *Erased) error {
	size, err := p.size()
	if err != nil {
		return err
	}
	same, err := p.lastBytes(end)
	if err == nil && (size < end || size > end && p.text != nil || !bytes.Equal(same, before)) {
		err = errChanged
	}
	if err == nil && size > end {
		err = e.copy(ctx, f, io.NewSectionReader(p, end, size-end), done)
	}
	if err == nil && !p.current {
		err = os.Chtimes(f.Name(), time.Time{}, p.info.ModTime()) // rotation goes by it
	}
	if err == nil {
		err = f.Commit()
	}
	// The old file may have another name, such as in a backup by hard links: a writer that has just
	// checked its path would go on in it.
	time.Sleep(checkEvery)
	return err
}

// complete returns where the last complete line of the file ends: a writer may remove half a line
// behind it. Of a compressed file it is the end.
func (p *part) complete(ctx context.Context) (int64, error) {
	end, err := p.size()
	if p.text == nil && err == nil {
		half := reverseReader{file: p, end: end}
		_, end, err = half.previousLine(ctx)
	}
	return end, err
}

// lastBytes returns some bytes of the file before end. If they change, it was written anew.
func (p *part) lastBytes(end int64) ([]byte, error) {
	some := make([]byte, min(end, 1<<12))
	_, err := p.ReadAt(some, end-int64(len(some)))
	if err == io.EOF {
		return nil, errChanged
	}
	return some, err
}

var errChanged = errors.New("it was changed, moved or packed meanwhile: run this again")

// size returns the file's present size, if its name still is that of the file.
func (p *part) size() (int64, error) {
	info, err := os.Stat(p.name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, p.info) {
		return 0, errChanged
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// all reads the text of the first bytes of the file.
func (p *part) all(size int64) (io.Reader, error) {
	in := io.NewSectionReader(p, 0, size)
	if p.text == nil || size == 0 {
		return in, nil
	}
	return p.text(in)
}

// packer compresses what is written to it as the file is.
func (p *part) packer(f io.Writer) io.WriteCloser {
	switch p.magic {
	case gzipMagic:
		return gzip.NewWriter(f)
	case zstdMagic:
		out, _ := zstd.NewWriter(f, zstd.WithEncoderConcurrency(1)) // the options are valid
		return out
	}
	return plain{f}
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }

// copy copies all lines but those of the customers. A line longer than maxLine is no record.
func (e Eraser) copy(ctx context.Context, to io.Writer, from io.Reader, done *Erased) error {
	in, out := bufio.NewReaderSize(from, 1<<16), bufio.NewWriterSize(to, 1<<16)
	var line []byte
	long := false
	for {
		piece, err := in.ReadSlice('\n')
		line = append(line, piece...)
		if err == bufio.ErrBufferFull && len(line) <= maxLine {
			continue
		}
		if err != nil && err != bufio.ErrBufferFull && err != io.EOF {
			return err
		}
		switch {
		case len(line) == 0:
		case !long && err != bufio.ErrBufferFull && e.matches(line):
			done.Removed++
		default:
			out.Write(line) // Flush returns its error
			if !long {
				done.Kept++
			}
		}
		long, line = err == bufio.ErrBufferFull, line[:0]
		if err == io.EOF {
			return cmp.Or(ctx.Err(), out.Flush())
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// matches reports whether a line is a record of one of the customers, or half of one.
func (e Eraser) matches(line []byte) bool {
	r, invalid := Parse(line)
	if invalid == nil {
		read, known := e.Read[r.ModelVersion]
		has := func(f Feature) bool { return e.has(f) || known && dataset.Same(f.Name, e.Column) && f.Value == read }
		return slices.Contains(e.IDs, dataset.Trim(r.RequestID)) || slices.ContainsFunc(r.Features, has)
	}
	line = norm.NFC.Bytes(line)
	half := func(name, value string) bool { return bytes.Contains(line, []byte(strconv.Quote(name)+":"+value)) }
	return slices.ContainsFunc(e.IDs, func(id string) bool { return half("request_id", strconv.Quote(id)) }) ||
		e.Column != "" && (half(e.Column, strconv.Quote(e.Value)) || half(e.Column, e.Value+","))
}

// has reports whether a feature is that of the customers.
func (e Eraser) has(f Feature) bool {
	if f.Value.Missing || !dataset.Same(f.Name, e.Column) {
		return false
	}
	if f.Value.Level {
		return dataset.Same(f.Value.Text, e.Value)
	}
	number, err := strconv.ParseFloat(e.Value, 64)
	return err == nil && number == f.Value.Number
}

// locked calls do while nobody writes a log, or the part of it. A log that is missing has no writer.
func (p *part) locked(ctx context.Context, log string, do func() error) error {
	const patience = 10 * time.Second
	for start := time.Now(); ctx.Err() == nil; time.Sleep(time.Millisecond) {
		yes, err := p.lockedWith(log, do)
		if yes || err != nil {
			return err
		}
		if time.Since(start) > patience {
			return fmt.Errorf("another process has held the log's lock for %v: fuser -v names it", patience)
		}
	}
	return ctx.Err()
}

// lockedWith is locked for one try. It reports whether do was called.
func (p *part) lockedWith(log string, do func() error) (yes bool, err error) {
	info, err := os.Stat(log)
	if errors.Is(err, fs.ErrNotExist) {
		return p.lockedItself(do)
	}
	if err != nil {
		return false, err
	}
	lock, err := openLock(log, info)
	if err != nil {
		return false, err
	}
	defer lock.Close()
	if yes, err = lockFile(lock); err == nil && yes {
		_, yes, err = size(lock)
	}
	if err != nil || !yes {
		return false, err
	}
	return p.lockedItself(do)
}

// lockedItself calls do unless a service writes the part: one with a lock for it, to which it is a
// log, as predictions-20261121.log may be beside predictions.log; or one that locks the log itself,
// as versions before the file .predictions.log.lock do. It reports whether it did.
func (p *part) lockedItself(do func() error) (yes bool, err error) {
	if _, err := p.ReadAt(make([]byte, 1), 0); err != nil && err != io.EOF { // it opens the file
		return true, do() // which says whether that matters
	}
	if !p.current {
		own, err := os.OpenFile(lockName(target(p.name)), os.O_WRONLY, 0)
		if err == nil {
			defer own.Close()
			yes, err = lockFile(own)
		}
		if err == nil && !yes || errors.Is(err, fs.ErrPermission) {
			return false, err
		}
	}
	file := p.file
	if !lockLog(file) {
		return false, nil
	}
	defer unlockFile(file)
	return true, do()
}
