package parquet

import (
	"bytes"
	"testing"
)

// Runs that are damaged are an error or too short, which the library refuses, but never other values.
func TestDecodeRuns(t *testing.T) {
	whole := []byte{8, 0, 0, 0,
		13 << 1, 1, // 13 times true
		2<<1 | 1, 0b01010101, 0b11110000,
		100<<1&127 | 128, 100 << 1 >> 7, 0, // 100 times false
		9, // behind the end
	}
	want := []byte{0xff, 0xbf, 0x0a, 0x1e, 0}
	for room := range len(want) + 1 {
		dirty := bytes.Repeat([]byte{0xaa}, room)
		got, err := runs{}.DecodeBoolean(dirty, whole)
		if err != nil || !bytes.Equal(got, want[:room]) {
			t.Errorf("%d bytes: %x, %v, want %x", room, got, err, want[:room])
		}
	}
	for n := range 12 {
		if got, err := (runs{}).DecodeBoolean(make([]byte, 5), whole[:n]); err == nil {
			t.Errorf("cut at %d: %x", n, got)
		}
		cut := bytes.Clone(whole)
		cut[0] = byte(n)
		if got, err := (runs{}).DecodeBoolean(make([]byte, 5), cut); n < 8 && err == nil && len(got) == 5 {
			t.Errorf("%d bytes of runs: %x", n, got)
		}
	}
	if got, err := (runs{}).DecodeBoolean(make([]byte, 2), []byte{2, 0, 0, 0, 0xff, 0xff}); err == nil {
		t.Errorf("a length without an end: %x", got)
	}
}
