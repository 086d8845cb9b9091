package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"churn/internal/atomicfile"
)

// MaxCardBytes is the largest card that is read: a page with a few drawings is far below it.
const MaxCardBytes = 8 << 20

// ErrNoCard tells that there is no card of that name: none was written, or its
// model is not registered.
var ErrNoCard = errors.New("there is no such card")

// CardName returns the file name of a model's card, the page that describes it.
func CardName(model string) string { return strings.TrimSuffix(model, ".json") + ".html" }

// ReadCard returns the bytes of a card, by its file name. It is a regular file in
// models/ whose model is registered; nothing outside that folder is opened.
func (r *Registry) ReadCard(name string) ([]byte, error) {
	stem, ok := strings.CutSuffix(name, ".html")
	if !ok || checkName(stem+".json") != nil {
		return nil, ErrNoCard
	}
	entries, err := r.Entries()
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(entries, func(e Entry) bool { return e.ModelFile == stem+".json" }) {
		return nil, ErrNoCard
	}
	var b []byte
	err = r.withCard(name, func(root *os.Root) error {
		b, err = atomicfile.ReadIn(root, name, MaxCardBytes)
		return err
	})
	return b, err
}

// HasCard tells whether there is a card of that file name to read, be its model
// registered or not.
func (r *Registry) HasCard(name string) bool {
	return r.withCard(name, func(*os.Root) error { return nil }) == nil
}

// withCard calls read for a card that may be read.
func (r *Registry) withCard(name string, read func(*os.Root) error) error {
	root, err := os.OpenRoot(r.path(Models))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoCard
	}
	if err != nil {
		return err
	}
	defer root.Close()
	shown := r.path(Models + "/" + name)
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrNoCard
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", shown)
	case info.Size() > MaxCardBytes:
		return fmt.Errorf("%s has %d bytes, a card has at most %d", shown, info.Size(), MaxCardBytes)
	}
	if err := read(root); err != nil {
		return fmt.Errorf("%s: %w", shown, err)
	}
	return nil
}
