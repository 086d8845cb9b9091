package apikey

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"churn/internal/testing/fuzzing"
)

// FuzzKeys: each line of an accepted key file admits its client, and no other key does.
func FuzzKeys(f *testing.F) {
	f.Add([]byte("# the team\nfirst-key\r\n\n  second-key  \n#third-key\n"), "first-key")
	f.Add([]byte("one\ntwo"), "two ")
	f.Add([]byte("\xef\xbb\xbfone\n"), "one")
	f.Add([]byte("a b\n"), "a b")
	f.Add([]byte("\u00a0k\u2028"), "Bearer k")
	path := filepath.Join(f.TempDir(), "keys")
	f.Fuzz(func(t *testing.T, text []byte, sent string) {
		defer fuzzing.Watch()()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := ReadKeys(path)
		if err != nil {
			for line := range strings.Lines(string(text)) {
				if line = strings.TrimSpace(line); len(line) > 8 && !strings.HasPrefix(path, line) && strings.Contains(err.Error(),
					line) {
					t.Fatalf("%q: the error gives a line away: %v", text, err)
				}
			}
			return
		}
		names := map[string]bool{}
		knows := func(key string) string {
			r := &http.Request{Header: http.Header{"X-Api-Key": {key}}}
			return k.Known(r)
		}
		known := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
				continue
			}
			known[line] = true
			name := knows(line)
			if name == "" || strings.Contains(name, line) && len(line) > 3 {
				t.Fatalf("%q: the key %q is called %q", text, line, name)
			}
			names[name] = true
			bearer := &http.Request{Header: http.Header{"Authorization": {"bearer " + line}}}
			if k.Known(bearer) != name {
				t.Fatalf("%q: the key %q is not known as a bearer's", text, line)
			}
		}
		if len(names) != len(slices.Collect(maps.Keys(known))) || len(names) == 0 {
			t.Fatalf("%q: %d names of %d keys", text, len(names), len(known))
		}
		if got := knows(sent); (got != "") != known[sent] {
			t.Fatalf("%q: %q is known as %q", text, sent, got)
		}
		if knows("") != "" {
			t.Fatalf("%q: no key is known", text)
		}
	})
}

// Whether keys are compared in constant time is read from the code: Known, the only place
// that compares them, compares the hashes of all keys by package subtle, without a branch in
// its loop.
func TestKeysAreComparedInConstantTime(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "apikey.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	called := map[string]bool{}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Name.Name != "Known" {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				called[fmt.Sprint(exprText(n.Fun))] = true
			case *ast.RangeStmt:
				ast.Inspect(n.Body, func(n ast.Node) bool {
					switch n.(type) {
					case *ast.IfStmt, *ast.SwitchStmt, *ast.BranchStmt, *ast.ReturnStmt:
						t.Errorf("Known branches on the key, in %T", n)
					}
					return true
				})
			}
			return true
		})
	}
	for _, want := range []string{"sha256.Sum256", "subtle.ConstantTimeCompare", "subtle.ConstantTimeSelect"} {
		if !called[want] {
			t.Errorf("Known does not call %s, but %v", want, called)
		}
	}
	if len(called) > 8 {
		t.Errorf("Known calls %v: is it still the comparison?", called)
	}
	if kind := reflect.TypeOf(key{}.sum).Kind(); kind != reflect.Array {
		t.Errorf("a key is kept as %v, not as its hash", kind)
	}
}

// exprText is the name of a function that is called.
func exprText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return exprText(e.X) + "." + e.Sel.Name
	}
	return ""
}
