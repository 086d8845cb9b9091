// Package registry keeps models in plain files, which one is current, and which was
// current when. A model is bytes to it; a function given to [Open] verifies them.
//
//	models/churn_model_v1_20261122_193000.json   a model, never changed afterwards
//	registry/metadata.json                       a list of entries, in order of registration
//	registry/history.jsonl                       one line per change of the current model
//	registry/history-2026.jsonl                  its old lines, moved by pruning
//	registry/current_model.txt                   the file name of the current model
//	registry/pending.json                        write-ahead intent, only during a change
//	registry/registry.lock                       locked by the process that makes a change
//
// Readers take no lock: each file is replaced whole. A change is first written to
// pending.json, then made in the order model, metadata, journal, pointer. If the process is
// killed in between, the next one that makes a change finishes it; a change that fails is
// undone. A manual edit of the pointer is recorded in the journal by the next change. Pruning
// removes models; their entries stay.
package registry

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"churn/internal/atomicfile"
	"churn/internal/strictjson"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Names of the registry's files, below the folder given to Open.
const (
	Models       = "models"
	MetadataFile = "registry/metadata.json"
	CurrentFile  = "registry/current_model.txt"
	HistoryFile  = "registry/history.jsonl"
	intentFile   = "registry/pending.json"
	lockFile     = "registry/registry.lock"
)

// MaxModelBytes is the largest model that is read; thousands of levels need far less.
const MaxModelBytes = 64 << 20

// limits bound what is written, in bytes. Readers take more, see reserve.
type limits struct {
	model, metadata, history int64

	lines, bytes int // that stay when a file of twice as many is pruned
}

// reserve is what metadata.json and the journal may have above their limit: nothing but what
// shortens them writes it, and a change adds at most that.
const reserve = 2 * maxIntent

// A Registry is the models and their registration below one folder.
type Registry struct {
	dir    string
	limits limits
	verify func(model []byte) error
	now    func() time.Time
}

// Open returns the registry below dir, which may be empty. verify checks a model before it
// becomes current.
func Open(dir string, verify func(model []byte) error) *Registry {
	most := limits{MaxModelBytes, 64 << 20, 256 << 20, 1000, 16 << 20} // 100,000 models, a million changes
	return &Registry{dir, most, verify, time.Now}
}

// An Entry describes a model in metadata.json. The first nine fields are the reference lab's.
type Entry struct {
	ModelFile    string   `json:"model_file"`
	Version      string   `json:"version"`
	TrainedAtUTC string   `json:"trained_at_utc"` // RFC 3339
	DataFile     string   `json:"data_file"`
	Seed         uint64   `json:"seed"`
	Metrics      Metrics  `json:"metrics"`
	GateF1       *float64 `json:"gate_f1"` // null: no gate of F1
	PassedGate   bool     `json:"passed_gate"`

	ModelSHA256 string  `json:"model_sha256"`
	DataSHA256  string  `json:"data_sha256"`
	Rows        int     `json:"rows"` // the model was fitted to
	Threshold   float64 `json:"threshold"`
	TestSize    float64 `json:"test_size"`
	C           float64 `json:"c"`
	ClassWeight string  `json:"class_weight"`
	TrainedBy   string  `json:"trained_by"` // train or evaluate

	Verdict string `json:"verdict,omitzero"` // why it passed the gate or did not, "" in older entries

	PrunedAtUTC string `json:"pruned_at_utc,omitzero"` // RFC 3339; the model's file is gone since
}

// Metrics are some of the document's, of rows that the model was not fitted to. First are the reference lab's.
type Metrics struct {
	Accuracy         float64  `json:"accuracy"`
	Precision        float64  `json:"precision"`
	Recall           float64  `json:"recall"`
	F1               float64  `json:"f1"`
	BaselineF1       float64  `json:"baseline_f1"` // of always predicting no churn
	F1Threshold05    *float64 `json:"f1_threshold_05,omitzero"`
	BestThreshold    *float64 `json:"best_threshold,omitzero"`
	BaselineF1All    float64  `json:"baseline_f1_always_1"` // of always predicting churn
	ROCAUC           float64  `json:"roc_auc"`
	AveragePrecision float64  `json:"average_precision"`
	LogLoss          float64  `json:"log_loss"`
	Brier            float64  `json:"brier"`
}

// ErrNoCurrent is for a registry in which no model has become current yet.
var ErrNoCurrent = errors.New("there is no current model yet: run train, or rollback MODEL for a candidate")

// Current returns the file name of the current model. Without a pointer file
// the error is ErrNoCurrent.
func (r *Registry) Current() (string, error) {
	text, err := r.pointer()
	if err := r.pointerError(text, err); err != nil {
		return "", err
	}
	return text, nil
}

// pointerError returns why what was read from the pointer does not name a model, or nil.
func (r *Registry) pointerError(text string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w", r.path(CurrentFile), ErrNoCurrent)
	case err != nil:
		return err
	}
	if err := checkName(text); err != nil {
		return fmt.Errorf("%s: %w", r.path(CurrentFile), err)
	}
	return nil
}

// StatCurrent returns the FileInfo of the pointer, by which a change of it is noticed.
func (r *Registry) StatCurrent() (fs.FileInfo, error) { return os.Stat(r.path(CurrentFile)) }

// pointer returns the trimmed contents of current_model.txt. Somebody may write it in place
// during a read, which then has the length of the old name and the letters of the new one:
// it is read until it is the same twice.
func (r *Registry) pointer() (string, error) {
	f, err := atomicfile.Open(r.path(CurrentFile))
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := make([]byte, 1000) // a file name is shorter
	last := ""
	for tries := 0; ; tries++ {
		n, err := f.ReadAt(b, 0)
		if err == io.EOF {
			err = nil
		}
		text := string(b[:n])
		if err != nil || tries > 0 && text == last || tries == 100 {
			return strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD")), err
		}
		last = text
	}
}

// checkName rejects what is not the plain name of a model file.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("it is empty, and not the file name of a model")
	case strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }):
		// perhaps the text of another file, which is not to be shown, or a byte order mark, which cannot be seen
		return fmt.Errorf("it has several lines or characters that do not print, such as a byte order mark, and is not the "+
			"file name of a model in %s/", Models)
	case len(name) > 255 || !strings.HasSuffix(name, ".json") || strings.HasPrefix(name, ".") ||
		strings.ContainsAny(name, `/\:`):
		if len(name) > 80 {
			name = name[:80] + "…"
		}
		return fmt.Errorf("%q is not the file name of a model in %s/: a name ends with .json, and has no folder "+
			"before it", name, Models)
	}
	return nil
}

// Entries returns the registered models in order of registration. Without a
// metadata file there are none.
func (r *Registry) Entries() ([]Entry, error) {
	m, err := r.metadata()
	return m.entries, err
}

// metadata holds the entries and their JSON, whose unknown fields are kept.
type metadata struct {
	entries []Entry
	raw     []jsontext.Value
}

// index returns the place of a model's entry, or -1.
func (m metadata) index(name string) int {
	return slices.IndexFunc(m.entries, func(e Entry) bool { return e.ModelFile == name })
}

func (r *Registry) metadata() (metadata, error) {
	path := r.path(MetadataFile)
	b, err := atomicfile.Read(path, r.limits.metadata+reserve)
	if errors.Is(err, fs.ErrNotExist) {
		return metadata{}, nil
	}
	if err != nil {
		return metadata{}, err
	}
	var m metadata
	if err := json.Unmarshal(b, &m.raw); err != nil || m.raw == nil {
		return metadata{}, fmt.Errorf("%s is not a list of models (%v): restore it from a copy, or move it away "+
			"to start a new one",
			path, reason(err))
	}
	for i, raw := range m.raw {
		var e Entry
		if err := json.Unmarshal(raw, &e); err != nil {
			return metadata{}, fmt.Errorf("%s: entry %d: %v", path, i+1, reason(err))
		}
		if e.ModelFile == "" {
			return metadata{}, fmt.Errorf("%s: entry %d has no model_file: restore the file from a copy", path, i+1)
		}
		m.entries = append(m.entries, e)
	}
	return m, nil
}

// reason returns what is wrong with JSON.
func reason(err error) string {
	if err == nil {
		return "null"
	}
	return strictjson.Clean(err).Error()
}

// ReadModel returns the bytes of a model. The name is that of a regular file in
// models/; nothing outside that folder is opened.
func (r *Registry) ReadModel(name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return r.readStored(name, "model", MaxModelBytes)
}

// missingError is fs.ErrNotExist in plain words.
type missingError struct{ path string }

func (e missingError) Error() string        { return e.path + " is missing: restore it from a copy" }
func (e missingError) Is(target error) bool { return target == fs.ErrNotExist }

// readStored reads a regular file in models/.
func (r *Registry) readStored(name, kind string, most int64) ([]byte, error) {
	root, err := os.OpenRoot(r.path(Models))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	shown := r.model(name)
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, missingError{shown}
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", shown)
	case info.Size() > most:
		return nil, fmt.Errorf("%s has %d bytes, a %s has at most %d", shown, info.Size(), kind, most)
	}
	b, err := atomicfile.ReadIn(root, name, most) // which checks again
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	return b, nil
}

// ReadRegistered returns the bytes of a model that metadata.json has, after the
// checks that it would have to pass to become current.
func (r *Registry) ReadRegistered(name string) ([]byte, error) {
	m, err := r.metadata()
	if err != nil {
		return nil, err
	}
	e, err := r.entry(m, name)
	if err != nil {
		return nil, err
	}
	return r.check(e)
}

// entry returns the entry of a model.
func (r *Registry) entry(m metadata, name string) (Entry, error) {
	if err := checkName(name); err != nil {
		return Entry{}, err
	}
	i := m.index(name)
	if i < 0 {
		return Entry{}, fmt.Errorf("%s is not in %s: see rollback --list", name, r.path(MetadataFile))
	}
	if at := m.entries[i].PrunedAtUTC; at != "" {
		return Entry{}, fmt.Errorf("%s was removed by rollback --prune at %s", name, at)
	}
	return m.entries[i], nil
}

// check returns the bytes of a registered model that may become current: they have the
// registered hash and pass verify.
func (r *Registry) check(e Entry) ([]byte, error) {
	b, err := r.ReadModel(e.ModelFile)
	if err != nil {
		return nil, err
	}
	if e.ModelSHA256 == "" {
		return nil, fmt.Errorf("%s: its entry in %s has no model_sha256, so it cannot be checked", e.ModelFile,
			MetadataFile)
	}
	if got := SHA256(b); got != e.ModelSHA256 {
		return nil, fmt.Errorf("%s was changed after it was registered: its sha256 is %.12s…, registered %.12s…: "+
			"restore it from a copy", e.ModelFile, got, e.ModelSHA256)
	}
	if err := r.verify(b); err != nil {
		return nil, fmt.Errorf("%s: %w", e.ModelFile, err)
	}
	return b, nil
}

// SHA256 returns the hash of b in hexadecimal.
func SHA256(b []byte) string {
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// Relative returns a message without the path of the registry's folder.
func (r *Registry) Relative(message string) string {
	for _, name := range []string{Models, filepath.Dir(MetadataFile)} {
		message = strings.ReplaceAll(message, r.path(name), name)
	}
	return message
}

func (r *Registry) path(name string) string { return filepath.Join(r.dir, filepath.FromSlash(name)) }

// model returns the path of a model, or of its card.
func (r *Registry) model(name string) string { return filepath.Join(r.path(Models), name) }

// MaxCardBytes is the largest card that is read; a page with some drawings needs far less.
const MaxCardBytes = 8 << 20

// ErrNoCard is for a card that was not written, or whose model is not registered.
var ErrNoCard = errors.New("there is no such card")

// CardName returns the file name of a model's card, the page that describes it.
func CardName(model string) string { return strings.TrimSuffix(model, ".json") + ".html" }

// ReadCard returns the bytes of a registered model's card, by its file name. Nothing
// outside the folder models is opened.
func (r *Registry) ReadCard(name string) ([]byte, error) {
	stem, ok := strings.CutSuffix(name, ".html")
	if !ok || checkName(stem+".json") != nil {
		return nil, ErrNoCard
	}
	m, err := r.metadata()
	if err != nil {
		return nil, err
	}
	if m.index(stem+".json") < 0 {
		return nil, ErrNoCard
	}
	b, err := r.readStored(name, "card", MaxCardBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoCard
	}
	return b, err
}

// ListBytes returns how much of the list of models Entries and ReadCard read; 0 if there is none.
func (r *Registry) ListBytes() int64 { return r.size(MetadataFile, r.limits.metadata) }

// HasCard reports whether a model has a card that can be read.
func (r *Registry) HasCard(model string) bool {
	info, err := os.Lstat(r.model(CardName(model)))
	return err == nil && info.Mode().IsRegular() && info.Size() <= MaxCardBytes
}
