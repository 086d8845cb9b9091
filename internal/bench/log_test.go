package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func logPath(dir string) string { return filepath.Join(dir, "logs", "predictions.log") }

// writeLog writes a prediction log like serve's, a record for each prepared customer of
// a folder. The records name the current model, but their probabilities are from the
// population's coefficients.
func writeLog(ctx context.Context, dir string) error {
	pointer, err := os.ReadFile(filepath.Join(dir, "registry", "current_model.txt"))
	if err != nil {
		return err
	}
	model := strings.TrimSpace(string(pointer))
	in, err := os.Open(filepath.Join(dir, "data", "processed.csv"))
	if err != nil {
		return err
	}
	defer in.Close()
	path := logPath(dir)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriterSize(f, 1<<16)
	r := csv.NewReader(in)
	r.ReuseRecord = true
	if _, err := r.Read(); err != nil { // the header
		return err
	}
	for i := 0; ; i++ {
		cells, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := writeRecord(out, i, model, cells); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return errors.Join(out.Flush(), f.Close())
}

// writeRecord writes the i-th record, of a customer in processed.csv.
func writeRecord(w io.Writer, i int, model string, cells []string) error {
	var x [3]float64
	for j := range x {
		var err error
		if x[j], err = strconv.ParseFloat(cells[j], 64); err != nil {
			return err
		}
	}
	p := 1 / (1 + math.Exp(-(1.2 + 0.55*x[1] - 0.03*x[0] - 0.02*x[2])))
	prediction := 0
	if p >= 0.5 {
		prediction = 1
	}
	const start = 1795375800 // unix seconds
	_, err := fmt.Fprintf(w, `{"request_id":"%08x-5b1c-4c7e-9d3a-%012x","model_version":%q,"prediction":%d,`+
		`"probability":%.6f,"latency_ms":%.3f,"features":{"tenure_months":%g,"num_complaints":%g,`+
		`"avg_session_minutes":%g,"plan_type":%q,"region":%q},"ts":%.3f,"threshold":0.5}`+"\n",
		uint32(i)*2654435761, i, model, prediction,
		p, 0.02+float64(i%40)/1000, x[0], x[1],
		x[2], cells[3], cells[4], start+float64(i)/100)
	return err
}

// growLog appends the first records of the log to it until it has size bytes.
func growLog(ctx context.Context, dir string, size int64) error {
	f, err := os.OpenFile(logPath(dir), os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	chunk := make([]byte, min(info.Size(), 4<<20)) // small: see peakBytes
	if _, err := f.ReadAt(chunk, 0); err != nil {
		return err
	}
	chunk = chunk[:bytes.LastIndexByte(chunk, '\n')+1]
	for have := info.Size(); have < size; have += int64(len(chunk)) {
		if _, err := f.Write(chunk); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return f.Close()
}
