package crash_test

import (
	"bufio"
	"fmt"
	"go/ast"
	gobuild "go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"churn/internal/testing/programs"
)

// writes are the names of functions and methods that change files, of any package or type.
var writes = map[string]bool{
	"Create": true, "CreateTemp": true, "OpenFile": true, "WriteFile": true, "CopyFS": true, "Rename": true,
	"Remove": true, "RemoveAll": true,
	"Mkdir": true, "MkdirAll": true, "MkdirTemp": true, "Link": true, "Symlink": true, "Truncate": true, "Chmod": true,
	"Chtimes": true,
	"SyncDir": true,
}

// wantAllWritesTried verifies that each place in the sources that changes files ran, by the
// coverage counters in a folder.
func wantAllWritesTried(t *testing.T, counters string) {
	t.Helper()
	ran := linesThatRan(t, counters)
	fset := token.NewFileSet()
	places := 0
	root := programs.Root(t)
	for _, dir := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && slices.Contains([]string{"bench", "e2e", "testing"}, d.Name()) { // not part of a program
				return fs.SkipDir
			}
			if ok, _ := gobuild.Default.MatchFile(filepath.Dir(path), d.Name()); !ok || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(fset, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				f, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				from, _ := f.X.(*ast.Ident)
				whole := from != nil && from.Name == "atomicfile" && f.Sel.Name == "Write"
				reads := from != nil && from.Name == "parquet" // whose OpenFile opens no file for writing
				if whole || writes[f.Sel.Name] && !reads {
					places++
					at := fset.Position(f.Sel.Pos())
					rel, _ := filepath.Rel(root, path)
					if !ran.at("churn/"+filepath.ToSlash(rel), at) {
						t.Errorf("%s: %s was reached by no run: add one to writers in fixtures_test.go", at, f.Sel.Name)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if places < 30 {
		t.Errorf("only %d places were found", places)
	}
	t.Logf("%d places in the sources that change files, all reached", places)
}

// lines are the blocks of the sources that ran, by file.
type lines map[string][]block

type block struct{ fromLine, fromColumn, toLine, toColumn int }

func (l lines) at(file string, p token.Position) bool {
	for _, s := range l[file] {
		after := p.Line > s.fromLine || p.Line == s.fromLine && p.Column >= s.fromColumn
		if after && (p.Line < s.toLine || p.Line == s.toLine && p.Column <= s.toColumn) {
			return true
		}
	}
	return false
}

func linesThatRan(t *testing.T, counters string) lines {
	t.Helper()
	profile := filepath.Join(t.TempDir(), "profile")
	tool := exec.Command("go", "tool", "covdata", "textfmt", "-i="+counters, "-o="+profile)
	if out, err := tool.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", tool, err, out)
	}
	f, err := os.Open(profile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := lines{}
	for scan := bufio.NewScanner(f); scan.Scan(); {
		var s block
		var statements, count int
		file, rest, _ := strings.Cut(scan.Text(), ":")
		if n, _ := fmt.Sscanf(rest, "%d.%d,%d.%d %d %d", &s.fromLine, &s.fromColumn, &s.toLine, &s.toColumn, &statements,
			&count); n == 6 && count > 0 {
			found[file] = append(found[file], s)
		}
	}
	return found
}
