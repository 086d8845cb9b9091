package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestSpoolReportsAFailedSync(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	s := NewSpool(f)
	if _, err := s.Write(make([]byte, syncBytes-1)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s.due <- struct{}{} // as the next byte would
	if err := s.Wait(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v, want %v", err, os.ErrClosed)
	}
}
