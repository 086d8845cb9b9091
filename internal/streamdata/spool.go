package streamdata

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"unsafe"

	"churn/internal/atomicfile"
	"churn/internal/dataset"
	"churn/internal/pipeline"
)

// A spool is the rows in a file without a name, which goes with the process: their cells as codes
// and numbers, by block and column. A pass over the text would take several times as long.
type spool struct {
	file   *atomicfile.File
	empty  *dataset.Table // has what the codes stand for
	blocks []span

	origins []float64 // by feature: about the median of all rows
}

// A span is the place of a block in a spool.
type span struct {
	at       int64
	first, n int // of all rows
}

// rows are some rows of a block.
type rows struct {
	*dataset.Table
	use []int32
}

func newSpool(dir string, empty *dataset.Table) (*spool, error) {
	f, err := atomicfile.Create(filepath.Join(dir, "rows"), 0o600) // removes what a killed process left
	if err != nil {
		return nil, fmt.Errorf("rows that do not fit --memory need a file: %w", err)
	}
	os.Remove(f.Name()) // Windows removes no open file; Close does
	return &spool{file: f, empty: empty}, nil
}

// Close frees the disk's space.
func (s *spool) Close() { s.file.Abort() }

// cells returns the memory of a table's cells.
func cells(t *dataset.Table) [][]byte {
	out := [][]byte{memory(t.Positive)}
	for j := range t.Columns {
		out = append(out, memory(t.Columns[j].Codes), memory(t.Columns[j].Numbers))
	}
	return out
}

func memory[T any](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(*new(T))))
}

func (s *spool) write(t *dataset.Table) error {
	next := span{n: t.Rows()}
	if k := len(s.blocks) - 1; k >= 0 {
		next.first = s.blocks[k].first + s.blocks[k].n
	}
	next.at, _ = s.file.Seek(0, io.SeekCurrent)
	s.blocks = append(s.blocks, next)
	for _, b := range cells(t) {
		if _, err := s.file.Write(b); err != nil {
			return fmt.Errorf("rows that do not fit --memory need room: free some, or raise --memory: %w", err)
		}
	}
	return nil
}

func (s *spool) read(b span, t *dataset.Table) error {
	t.Positive = slices.Grow(t.Positive[:0], b.n)[:b.n]
	for j := range t.Columns {
		if c := &t.Columns[j]; c.Numbers != nil {
			c.Numbers = slices.Grow(c.Numbers[:0], b.n)[:b.n]
		} else {
			c.Codes = slices.Grow(c.Codes[:0], b.n)[:b.n]
		}
	}
	for _, to := range cells(t) {
		if _, err := s.file.ReadAt(to, b.at); err != nil {
			return err
		}
		b.at += int64(len(to))
	}
	return nil
}

// blank returns a copy of the empty table.
func (s *spool) blank() *dataset.Table {
	t := *s.empty
	t.Columns = slices.Clone(t.Columns)
	for j := range t.Columns {
		c := &t.Columns[j]
		c.Codes, c.Numbers = slices.Clone(c.Codes), slices.Clone(c.Numbers)
	}
	return &t
}

// each calls work with the blocks and which of their rows to use, on all cores, and add with what
// that returned, in order. A block is valid until add returns.
func each[T any](ctx context.Context, s *Source, work func(rows) (T, error), add func(T)) error {
	type block struct {
		span
		rows
		result T
		err    error
	}
	next := 0
	cut := func(b *block) error {
		if next == len(s.blocks) {
			return io.EOF
		}
		b.span = s.blocks[next]
		next++
		return nil
	}
	do := func(_ int, b *block) {
		if b.Table == nil {
			b.Table = s.blank()
		}
		b.use = b.use[:0]
		for i := range b.n {
			if s.hashes.Has(b.first+i, s.seed) {
				b.use = append(b.use, int32(i))
			}
		}
		if b.err = s.read(b.span, b.Table); b.err == nil {
			b.result, b.err = work(b.rows)
		}
	}
	return pipeline.Run(ctx, runtime.GOMAXPROCS(0), cut, do, func(b *block) error {
		if b.err == nil {
			add(b.result)
		}
		return b.err
	})
}
