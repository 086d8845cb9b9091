package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/training"
	"churn/internal/warehouse"
)

const tooGood = "the model was fitted to every row of this %s: its figures here are too good"

// onFile judges the model on a file.
func (v *verdict) onFile(ctx context.Context, o training.Options, m *model.Model) (*dataset.Table, *model.Judgement, error) {
	if v.DataFile = o.In; o.In == "" {
		v.DataFile = filepath.Join(o.Dir, "data", "processed.csv")
	}
	data, err := os.Open(v.DataFile)
	if err != nil {
		return nil, nil, err
	}
	defer data.Close()
	hash := sha256.New()
	table, err := dataset.ReadTable(ctx, io.TeeReader(data, hash), v.DataFile, m.Schema, dataset.Limits{MaxMissing: 1, Known: true})
	if err != nil {
		return nil, nil, err
	}
	rows := dataset.AllRows(table.Rows())
	if hex.EncodeToString(hash.Sum(nil)) == m.Data.SHA256 {
		if m.Training.TestSize > 0 {
			v.FiguresOn = model.OnTest
			if _, rows, err = dataset.Split(table.Positive, m.Training.TestSize, m.Training.Seed); err != nil {
				return nil, nil, err
			}
		} else {
			v.Warnings = append(v.Warnings, fmt.Sprintf(tooGood, "file"))
		}
	}
	for column, n := range m.Unseen(table, rows) {
		v.warnUnseen(column, n, len(rows))
	}
	j, err := m.Examine(ctx, table, rows)
	return table, j, err
}

// onTable judges the model on a table of a database. The source is returned where
// there is one, to be closed.
func (v *verdict) onTable(ctx context.Context, o training.Options, from warehouse.Options, m *model.Model) (*warehouse.Source, *model.Judgement, error) {
	source, _, err := warehouse.OpenPrepared(ctx, from, warehouse.Wanted{
		Dir: o.Dir, Schema: m.Schema, Limits: dataset.Limits{MaxMissing: 1, Known: true}, Seed: m.Training.Seed, Model: true, Key: m.Data.Key,
	}, o.Stderr)
	if err != nil {
		return nil, nil, err
	}
	v.DataFile = source.Name()
	var part dataset.Subset
	if source.SHA256() == m.Data.SHA256 {
		if m.Training.TestSize > 0 {
			v.FiguresOn, part = model.OnTest, dataset.TestSubset(m.Training.TestSize)
		} else {
			v.Warnings = append(v.Warnings, fmt.Sprintf(tooGood, "table"))
		}
	}
	j, err := m.ExamineSource(ctx, source, part)
	if err != nil {
		return source, nil, err
	}
	unseen, err := m.UnseenIn(ctx, source, part)
	if err != nil {
		return source, nil, err
	}
	for column, n := range unseen {
		v.warnUnseen(column, n, j.Figures.Rows)
	}
	if w := training.Crowded(j.Doubt); w != "" {
		v.Warnings = append(v.Warnings, w)
	}
	return source, j, source.Check(ctx)
}

func (v *verdict) warnUnseen(column string, n, rows int) {
	v.Warnings = append(v.Warnings, fmt.Sprintf("%s: %d of %d rows have a level that the model does not know: scored as none of the known ones", column, n, rows))
}
