package cli

import (
	"io"
	"os"
)

// An output is standard output, and remembers that a write failed: tables and
// texts come in many small writes that nobody looks at, and a result that was not
// told must not count as one. After the first failure it writes no more.
type output struct {
	file *os.File
	err  error // of the first write that failed
}

func (o *output) Write(b []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.file.Write(b)
	o.err = err
	return n, err
}

// fileOf returns the file behind a writer, or nil if there is none.
func fileOf(w io.Writer) *os.File {
	switch w := w.(type) {
	case *os.File:
		return w
	case *output:
		return w.file
	}
	return nil
}
