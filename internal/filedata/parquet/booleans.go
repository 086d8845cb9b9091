package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// parquet-go 0.32.0 reads booleans in runs wrongly: it rounds the length of a run up to whole bytes,
// and takes one of eight for true in a run of true. So pages that have runs are given an encoding of
// our own, which it looks up instead.
const booleanRuns format.Encoding = 63 // none of the format

func init() { parquet.RegisterEncoding(runs{}) }

// withRuns returns the pages of a column of booleans with that encoding, and says in m where they are.
func withRuns(f io.ReaderAt, m *format.ColumnMetaData) (io.ReaderAt, error) {
	start := m.DataPageOffset
	if m.DictionaryPageOffset != 0 {
		start = m.DictionaryPageOffset
	}
	in, err := io.ReadAll(io.NewSectionReader(f, start, m.TotalCompressedSize))
	if err != nil {
		return nil, err
	}
	var out []byte
	protocol := new(thrift.CompactProtocol)
	for len(in) > 0 {
		var header format.PageHeader
		r := protocol.NewReaderFromBytes(in)
		if err := thrift.NewDecoder(r).Decode(&header); err != nil {
			return nil, err
		}
		in = in[r.BytesRead():]
		size := int(header.CompressedPageSize)
		if size < 0 || size > len(in) {
			return nil, io.ErrUnexpectedEOF
		}
		for _, e := range []*format.Encoding{&header.DataPageHeader.V.Encoding, &header.DataPageHeaderV2.V.Encoding} {
			if *e == format.RLE {
				*e = booleanRuns
			}
		}
		text, err := thrift.Marshal(protocol, header)
		if err != nil {
			return nil, err
		}
		out = append(append(out, text...), in[:size]...)
		in = in[size:]
	}
	m.DataPageOffset, m.DictionaryPageOffset, m.TotalCompressedSize = 0, 0, int64(len(out))
	return bytes.NewReader(out), nil
}

// runs is the hybrid of runs and packed bits that the format calls RLE, for booleans:
// https://parquet.apache.org/docs/file-format/data-pages/encodings
type runs struct{ encoding.NotSupported }

func (runs) String() string            { return "RLE" }
func (runs) Encoding() format.Encoding { return booleanRuns }

var errRuns = errors.New("runs of booleans that are damaged: write the file again")

// DecodeBoolean fills dst, of which the last byte may be used in part.
func (runs) DecodeBoolean(dst, src []byte) ([]byte, error) {
	if len(dst) == 0 {
		return dst, nil
	}
	if len(src) < 4 || uint64(binary.LittleEndian.Uint32(src)) > uint64(len(src)-4) {
		return nil, errRuns
	}
	src = src[4:][:binary.LittleEndian.Uint32(src)]
	clear(dst)
	at, end := 0, 8*len(dst) // bits
	for at < end && len(src) > 0 {
		header, n := binary.Uvarint(src)
		if n <= 0 {
			return nil, errRuns
		}
		src = src[n:]
		run, size := header&1 == 0, uint64(1) // bytes
		count := min(header>>1, uint64(end-at))
		if !run {
			size = min(count, uint64(end-at+7)/8)
			count = min(8*size, uint64(end-at))
		}
		if size > uint64(len(src)) {
			return nil, errRuns
		}
		for i := range int(count) {
			if run && src[0]&1 == 1 || !run && src[i/8]>>(i%8)&1 == 1 {
				dst[at/8] |= 1 << (at % 8)
			}
			at++
		}
		src = src[size:]
	}
	return dst[:(at+7)/8], nil
}
