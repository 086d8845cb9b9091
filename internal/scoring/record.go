package scoring

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"sync/atomic"
	"time"

	"churn/internal/csvdata"
	"churn/internal/filedata"
	"churn/internal/model"
	"churn/internal/predlog"
)

// Record reads the file once more and gives the records of its customers to a log, which drift
// and outcomes are then evaluated by, with the column of ID as request_id. It returns how many have an
// empty one there: these get one that is random.
func Record(ctx context.Context, m *model.Model, file *filedata.Table, o Options,
	log func(records []byte) error) (nameless int, err error) {
	s := &scorer{Options: o, model: m, file: file}
	var empty atomic.Int64
	id, at := -1, float64(time.Now().UnixMilli())/1000
	features := make([]predlog.Feature, 0, len(m.Schema.Features))
	for _, f := range m.Schema.Features {
		features = append(features, predlog.Feature{Name: f.Name})
	}
	_, err = s.read(ctx, "logging", csvdata.RowReader{
		Bind: func(header []string) error {
			id = csvdata.Place(header, o.ID)
			return nil
		},
		Row: func(r *csvdata.Row, out []byte) []byte {
			score := m.Score(r.Values)
			record := predlog.Record{
				ModelVersion: o.Name, Probability: score.Probability, Prediction: score.Prediction(), TS: at,
				Features: slices.Clone(features), Threshold: m.Threshold, Warnings: score.Warnings, RequestID: rand.Text(),
			}
			if id >= 0 {
				if own := bytes.TrimSpace(r.Cells[id]); len(own) > 0 {
					record.RequestID = string(own)
				} else {
					empty.Add(1)
				}
			}
			for j, v := range r.Values {
				record.Features[j].Value = v
			}
			return append(record.Append(out), '\n')
		},
		Each: func(records, _ []byte, n int) error {
			if n == 0 {
				return nil
			}
			return log(records[:len(records)-1])
		},
	})
	return int(empty.Load()), err
}
