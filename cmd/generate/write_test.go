package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestBytesDoNotDependOnTheCores(t *testing.T) {
	p := lab(t)
	for _, o := range []options{
		{rows: 1, seed: 42},
		{rows: 2 * chunkRows, seed: 7},
		{rows: 150_000, seed: 42},
		{rows: 50_000, seed: 8, dirty: 0.3},
	} {
		want, wantChurned := []byte(header), 0
		for from := 0; from < o.rows; from += chunkRows {
			var churned int
			want, churned = appendChunk(want, p, o.seed, from/chunkRows, min(chunkRows, o.rows-from), o.dirty)
			wantChurned += churned
		}
		for _, cores := range []int{1, 2, 3, 8} {
			was := runtime.GOMAXPROCS(cores)
			var got bytes.Buffer
			churned, err := writeCustomers(t.Context(), &got, p, o, func(int64) {})
			runtime.GOMAXPROCS(was)
			if err != nil || churned != wantChurned || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%d rows, seed %d, %d cores: %d churned, error %v, same bytes %v",
					o.rows, o.seed, cores, churned, err, bytes.Equal(got.Bytes(), want))
			}
		}
	}
}

func TestProgressCountsRows(t *testing.T) {
	var seen []int64
	o := options{rows: 2*chunkRows + 5}
	progress := func(rows int64) { seen = append(seen, rows) }
	if _, err := writeCustomers(t.Context(), io.Discard, lab(t), o, progress); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 3 || seen[0] != chunkRows || seen[1] != 2*chunkRows || seen[2] != int64(o.rows) {
		t.Errorf("progress saw %v, want each chunk's end", seen)
	}
}

func TestWriteStops(t *testing.T) {
	o := options{rows: 100_000_000}
	ctx, cancel := context.WithCancel(t.Context())
	last := int64(0)
	_, err := writeCustomers(ctx, io.Discard, lab(t), o, func(rows int64) {
		last = rows
		cancel()
	})
	if !errors.Is(err, context.Canceled) || last != chunkRows {
		t.Errorf("cancelled after the first chunk: error %v after %d rows", err, last)
	}
	_, err = writeCustomers(t.Context(), &fullDisk{left: 3}, lab(t), o, func(int64) {})
	if !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("the disk is full: error %v", err)
	}
}

// A fullDisk accepts a few writes.
type fullDisk struct{ left int }

func (d *fullDisk) Write(b []byte) (int, error) {
	if d.left--; d.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

func TestCancelLeavesNoFile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	cmd := command()
	cmd.SetContext(ctx)
	err := generate(cmd, options{out: filepath.Join(dir, "data", "raw.csv"), rows: 100_000_000})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

func lab(t testing.TB) *population {
	p, err := newPopulation(nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
