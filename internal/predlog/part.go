package predlog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"churn/internal/atomicfile"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A part is a file of a log: the log itself, or one that was moved away. Its text is read from
// start to end.
type part struct {
	rotatedFile
	info  fs.FileInfo // when it was found
	start int64
	end   int64  // its size; of a compressed text it is not known, and a large number
	magic string // its first bytes
	text  decompressor
	first []byte   // the line of its first record, if that has a request id
	time  float64  // of its first record; if that has none, of its last change; −∞ if it is blank
	file  *os.File // nil while it is not open
	among *opener

	record, other bool // it begins with a record, with other lines
}

// A decompressor reads the text of a compressed file. nil is for one that is not compressed.
type decompressor func(io.Reader) (io.Reader, error)

// First bytes of compressed files: RFC 1952 and RFC 8878.
const (
	gzipMagic = "\x1f\x8b\x08"
	zstdMagic = "\x28\xb5\x2f"
)

// decompressorOf tells it by the first bytes of the file, since logrotate gives it any name.
func decompressorOf(head []byte) decompressor {
	switch string(head) {
	case gzipMagic:
		return func(in io.Reader) (io.Reader, error) { return gzip.NewReader(in) }
	case zstdMagic:
		const window = 128 << 20 // what zstd --long needs
		return func(in io.Reader) (io.Reader, error) {
			return zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window))
		}
	}
	return nil
}

// An opener opens the parts of logs, each once, and keeps a few files open.
type opener struct {
	logs    [][]*part // of each log at least one, the oldest first
	parts   []*part   // all
	open    []*part   // those that are open, the one used last at the end
	skipped []string  // what was not read, and why
	folders []string  // and devices that are named as parts are
}

const maxOpen = 16 // files: of any number of parts only a few are read at a time

// skip reports once that something is not read.
func (o *opener) skip(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(o.skipped, text) {
		o.skipped = append(o.skipped, text)
	}
}

func (o *opener) close() {
	for _, p := range o.open {
		p.file.Close() // it was only read
	}
	o.open = nil
}

// add returns the part for a file; nil if it is known already, or not to be read.
func (o *opener) add(f rotatedFile) (*part, error) {
	info, err := os.Stat(f.name)
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		path.Op = "open" // as it is to be
	}
	if err != nil || slices.ContainsFunc(o.parts, func(p *part) bool { return os.SameFile(info, p.info) }) {
		return nil, err
	}
	if !f.current && !info.Mode().IsRegular() {
		o.skip("%s is not a file and was not read: move it away from the log", f.name)
		o.folders = append(o.folders, f.name)
		return nil, nil
	}
	p := &part{rotatedFile: f, info: info, end: info.Size(), time: math.Inf(-1), among: o}
	err = p.examine()
	if _, gone := os.Stat(f.name); err != nil && errors.Is(gone, fs.ErrNotExist) {
		return nil, gone // a service has removed it meanwhile
	}
	switch {
	case f.known && err != nil || err != nil && !errors.Is(err, fs.ErrPermission):
		return nil, err
	case err != nil:
		o.skip("%s was not read: permission denied: allow it, or move it away from the log", f.name)
	case !f.known && p.other && !p.record:
		o.skip("%s was not read: none of its lines is a record: decompress it (gzip and zstd are read), "+
			"or move it away from the log", f.name)
	}
	if o.parts = append(o.parts, p); !f.known && !p.record {
		return nil, nil
	}
	return p, nil
}

// examine finds out how a part is compressed, and reads its first record.
func (p *part) examine() (err error) {
	const most = 128 << 10 // bytes: a first record after them is not found
	head := make([]byte, 3)
	if _, err := p.ReadAt(head, 0); err != nil && err != io.EOF {
		return err
	}
	if p.magic, p.text = string(head), decompressorOf(head); p.text != nil {
		p.end = math.MaxInt64
	}
	in := bufio.NewReader(io.LimitReader(p.reader(new(int64)), most))
	for err != io.EOF {
		var line []byte
		if line, err = in.ReadBytes('\n'); err != nil && err != io.EOF {
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		p.time = float64(p.info.ModTime().UnixMilli()) / 1000
		r, invalid := Parse(line)
		if invalid != nil {
			p.other = true
			continue
		}
		if hasTime(r.TS) {
			p.time = r.TS
		}
		if r.RequestID != "" {
			p.first = line
		}
		p.record = true
		return nil
	}
	return nil
}

// ReadAt reads the file, which it opens if needed.
func (p *part) ReadAt(b []byte, at int64) (int, error) {
	o := p.among
	if last := len(o.open) - 1; last < 0 || o.open[last] != p {
		if i := slices.Index(o.open, p); i >= 0 {
			o.open = slices.Delete(o.open, i, i+1)
		} else if err := p.reopen(); err != nil {
			return 0, err
		}
		if o.open = append(o.open, p); len(o.open) > maxOpen {
			o.open[0].file.Close() // it was only read
			o.open = slices.Delete(o.open, 0, 1)
		}
	}
	return p.file.ReadAt(b, at)
}

// reopen opens the file, also if it was moved to another name in its folder.
func (p *part) reopen() error {
	folder, names := filepath.Dir(p.name), []string{p.name}
	for range 2 {
		for _, name := range names {
			f, err := atomicfile.Open(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			if info, err := f.Stat(); err == nil && os.SameFile(info, p.info) {
				p.file = f
				return nil
			}
			f.Close() // another file
		}
		names = nil
		entries, err := os.ReadDir(folder)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && os.SameFile(info, p.info) {
				names = append(names, filepath.Join(folder, e.Name()))
			}
		}
	}
	return &fs.PathError{Op: "open", Path: p.name, Err: errors.New("it was removed while it was read: run this again")}
}

// before returns the bytes of the file that its reader does not read.
func (p *part) before() int64 {
	if p.text == nil {
		return p.start
	}
	if p.start == p.end {
		return p.info.Size()
	}
	return 0
}

// reader reads the text, and adds to done how much of the file it has read.
func (p *part) reader(done *int64) io.Reader {
	if p.text == nil || p.start == p.end {
		return counter{io.NewSectionReader(p, p.start, p.end-p.start), done}
	}
	return &textReader{part: p, packed: counter{io.NewSectionReader(p, 0, p.info.Size()), done}}
}

type counter struct {
	io.Reader
	done *int64
}

func (c counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	*c.done += int64(n)
	return n, err
}

// A textReader reads the text of a compressed part. What cannot be decompressed is skipped.
type textReader struct {
	*part
	packed io.Reader
	in     io.Reader // the text; nil before the first Read
}

func (r *textReader) Read(b []byte) (n int, err error) {
	if r.in == nil {
		if r.in, err = r.text(r.packed); err == nil {
			_, err = io.CopyN(io.Discard, r.in, r.start)
		}
	}
	if err == nil {
		n, err = r.in.Read(b)
	}
	if err == nil || err == io.EOF || errors.As(err, new(*fs.PathError)) {
		return n, err
	}
	r.among.skip("%s cannot be decompressed to its end and was read up to there: %v", r.name, err)
	return n, io.EOF
}
