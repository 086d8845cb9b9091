package internal_test

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"churn/internal/testing/need"
)

// allowed lists the packages below internal that a package may import. Data
// flows one way: dataset, model, registry, predictor, log, drift.
var allowed = map[string][]string{
	"status":      {},
	"cli":         {"atomicfile", "status", "strictjson"},
	"atomicfile":  {},
	"strictjson":  {},
	"progress":    {},
	"input":       {"progress"},
	"redact":      {},
	"pipeline":    {},
	"dataset":     {"metric", "pipeline", "strictjson", "status"},
	"datacheck":   {"dataset", "fingerprint", "metric", "pipeline", "strictjson"},
	"csvdata":     {"dataset", "pipeline", "strictjson"},
	"filedata":    {"csvdata", "dataset", "filedata", "input", "progress", "strictjson"},
	"scoring":     {"csvdata", "dataset", "drift", "filedata", "metric", "model", "predlog"},
	"logreg":      {"pipeline"},
	"metric":      {},
	"registry":    {"atomicfile", "strictjson", "status"},
	"alert":       {"atomicfile", "redact", "strictjson"},
	"drift":       {"dataset", "metric"},
	"fingerprint": {"dataset", "pipeline"},
	"model":       {"dataset", "fingerprint", "logreg", "metric", "pipeline", "strictjson", "status"},
	"onnx":        {"dataset", "model"},
	"predlog":     {"atomicfile", "dataset", "pipeline"},
	"report":      {"dataset", "drift", "metric", "model", "strictjson"},
	"replay":      {"cli", "dataset", "model", "modelstore", "predlog", "progress", "status"},
	"modelstore":  {"dataset", "model", "registry"},
	"sqldata": {
		"dataset", "logreg", "metric", "model", "predlog", "progress", "redact", "sqlterms", "strictjson", "status",
	},
	"sqlterms":   {"dataset", "logreg", "model"},
	"streamdata": {"atomicfile", "csvdata", "dataset", "filedata", "logreg", "metric", "model", "pipeline", "status"},
	"predictor": {
		"atomicfile", "dataset", "drift", "filedata", "model", "modelstore", "predlog", "registry", "report",
		"scoring", "predictor/apikey", "predictor/budget", "predictor/httpbody", "predictor/openapi", "predictor/webui",
	},
}

func TestImportsRunOneWay(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		files++
		for _, spec := range f.Imports {
			target, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), "churn/")
			if ours {
				checkImport(t, rel, target)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("only %d files were read", files)
	}
}

func checkImport(t *testing.T, file, target string) {
	t.Helper()
	to, internal := strings.CutPrefix(target, "internal/")
	if strings.HasPrefix(target, "cmd/internal/") && strings.HasPrefix(file, "cmd/") {
		return // what commands share
	}
	if !internal {
		t.Errorf("%s imports %s: a command is nobody's library", file, target)
		return
	}
	from := strings.Split(file, "/")[1]
	switch {
	case strings.HasPrefix(to, "testing/") && from != "testing":
		t.Errorf("%s imports %s, which is for tests", file, target)
		return
	case strings.HasPrefix(file, "cmd/"), from == "testing":
		return // they may import any package
	}
	may, known := allowed[from]
	if !known {
		t.Errorf("%s: package %s is not in the list of what may import what", file, from)
	} else if !slices.Contains(may, to) {
		t.Errorf("%s imports %s, which package %s may not", file, target, from)
	}
}

// TestRoomsAreSmall verifies that a file can be read without scrolling twice, and that a folder's
// files can be told apart from their names.
func TestRoomsAreSmall(t *testing.T) {
	const lines, files = 400, 14
	count := map[string]int{} // sources by folder
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if n := bytes.Count(text, []byte("\n")); n > lines {
			t.Errorf("%s has %d lines, at most %d", path, n, lines)
		}
		count[filepath.Dir(path)]++
		return err
	})
	if err != nil || len(count) < 20 {
		t.Fatal(err, len(count))
	}
	for folder, n := range count {
		if n > files {
			t.Errorf("%s has %d source files, at most %d", folder, n, files)
		}
	}
}

// Where git would write CRLF, as on Windows, the scripts would not run, and outputs differ from those of tests.
func TestCheckoutsHaveNoCRLF(t *testing.T) {
	cmd := exec.Command(need.Program(t, "git", "git"), "check-attr", "eol", "--", "../cmd/demo.sh", "layout_test.go")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Skipf("SKIPPED: this is no clone of git: %s", out)
	}
	if strings.Count(string(out), ": eol: lf\n") != 2 {
		t.Errorf("git check-attr has %s, want lf for both", out)
	}
}
