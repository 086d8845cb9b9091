package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"churn/internal/testing/programs"
)

// concepts are the terms that messages of the programs may use without explaining them, as
// headings of the glossary. What a message may write is before the colon.
var concepts = map[string]string{
	`\bgate\b`: "Gate", `golden row`: "Golden rows", `\bjournal\b`: "Journal", `fingerprint`: "Fingerprint",
	`log loss`: "Log loss", `\bAUC\b`: "ROC AUC", `\bF1\b`: "F1", `\bHolm\b`: "Holm correction", `calibrat`: "Calibration",
	`log-odds`: "Log-odds", `odds ratio`: "Odds ratio", `out-of-fold`: "Out-of-fold", `backtest`: "Backtest",
	`identifier`: "Identifier", `\bdrift`: "Drift", `threshold`: "Threshold",
	`candidate`: "Candidate", `\bpairs?\b`: "Pair", `\bcurves?\b`: "Curve", `\blevels?\b`: "Level",
	`base rate|always predicting`: "Baseline", `held out`: "Hold-out", `collinear|inflation factor`: "Collinear",
}

var flagName = regexp.MustCompile(`--[a-z][a-z0-9-]+`)

// TestMessagesAreExplained collects the texts in the sources of the programs. Each flag that one
// names is on a page, and each concept has its heading in the glossary.
func TestMessagesAreExplained(t *testing.T) {
	pages := readPages(t)
	var all strings.Builder
	glossary := map[string]bool{}
	for _, p := range pages {
		all.WriteString(p.text)
		if p.name == "docs/glossary.md" {
			for _, m := range heading.FindAllStringSubmatch(p.prose, -1) {
				glossary[m[1]] = true
			}
		}
	}
	flags, used := map[string]string{}, map[string]bool{}
	for _, text := range literals(t) {
		if !strings.Contains(text, " ") {
			continue // a key, or a variable of a style
		}
		for _, name := range flagName.FindAllString(text, -1) {
			flags[name] = text
		}
		for pattern := range concepts {
			if regexp.MustCompile(pattern).MatchString(text) {
				used[pattern] = true
			}
		}
	}
	if len(flags) < 40 || len(used) < len(concepts)/2 {
		t.Fatalf("%d flags and %d concepts in the sources: are they read?", len(flags), len(used))
	}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if !regexp.MustCompile(regexp.QuoteMeta(name) + `\b`).MatchString(all.String()) {
			t.Errorf("%s is on no page, and a message names it: %.120q", name, flags[name])
		}
	}
	for pattern, term := range concepts {
		if !used[pattern] {
			t.Errorf("no message has %s: take it out of this test", pattern)
		}
		if !glossary[term] {
			t.Errorf("messages have %s, and docs/glossary.md has no heading %q", pattern, term)
		}
	}
}

// literals returns the texts in the sources of the programs.
func literals(t *testing.T) (texts []string) {
	t.Helper()
	root := programs.Root(t)
	for _, folder := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "e2e" || d.Name() == "testing" || d.Name() == "bench" || d.Name() == "testdata"):
				return fs.SkipDir
			case d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if text, err := strconv.Unquote(lit.Value); err == nil {
						texts = append(texts, text)
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
	return texts
}
