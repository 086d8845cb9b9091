package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/model"
)

// A card that its readers would refuse is not written.
func TestCardIsNotWrittenBeyondItsLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.html")
	err := writeCard(path, 100, &model.Model{Schema: dataset.Lab()}, "lab.csv",
		model.Assessment{ModelFile: "m.json", Detail: &model.Detail{}})
	if err == nil || !strings.Contains(err.Error(), "a card at most 100: evaluate --model m.json --html FILE") {
		t.Errorf("writeCard: %v, want the limit and the way out", err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) > 0 {
		t.Errorf("it left %v", files)
	}
}
