package docs_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

const (
	readmeBytes   = 9000 // one page of a screen, with the links to all others
	lineLetters   = 120  // tables of docs apart, which cannot be broken
	sentenceWords = 35
)

var (
	inlineCode = regexp.MustCompile("`[^`]*`")
	linkText   = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	tag        = regexp.MustCompile(`<[^>]*>`)
	paragraph  = regexp.MustCompile(`\n\s*\n|\n\s*(?:[*-]|\d+\.) |\n#+ .*|\n` + "\\|")
	fileName   = regexp.MustCompile(`[\w.-]+\.(?:md|csv|json|html|log|txt)\b`)
	indented   = regexp.MustCompile(`(?m)^    .*$`)
	sentence   = regexp.MustCompile(`[.!?](?:\s|$)`)
)

// words returns a page's prose without code, links' targets and tags.
func words(p page) string {
	text := inlineCode.ReplaceAllString(indented.ReplaceAllString(p.prose, ""), "CODE")
	text = fileName.ReplaceAllString(text, "FILE")
	return tag.ReplaceAllString(linkText.ReplaceAllString(text, "$1"), "")
}

// TestProse verifies that README is one page, that lines can be read in a terminal, and that no
// sentence is longer than a breath.
func TestProse(t *testing.T) {
	for _, p := range readPages(t) {
		if p.name == "README.md" && len(p.text) > readmeBytes {
			t.Errorf("README.md has %d bytes, at most %d", len(p.text), readmeBytes)
		}
		n := 0
		for line := range strings.Lines(p.text) {
			n++
			table := strings.HasPrefix(line, "|") && p.name != "README.md"
			if letters := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); letters > lineLetters && !table {
				t.Errorf("%s:%d: %d letters, at most %d", p.name, n, letters, lineLetters)
			}
		}
		for _, part := range paragraph.Split("\n"+words(p), -1) {
			for _, s := range sentence.Split(part, -1) {
				if n := len(strings.Fields(strings.ReplaceAll(s, "|", "\n"))); n > sentenceWords && !strings.Contains(s, "|") {
					t.Errorf("%s: %d words, at most %d: %s", p.name, n, sentenceWords, strings.Join(strings.Fields(s), " "))
				}
			}
		}
	}
}

// TestSpelling verifies the words of the pages with aspell, beyond the project's own list.
func TestSpelling(t *testing.T) {
	aspell := need.Program(t, "aspell", "aspell aspell-en aspell-fr")
	for _, p := range readPages(t) {
		lang := "en"
		if p.name == "docs/fr.md" {
			lang = "fr"
		}
		list := filepath.Join(programs.Root(t), "internal", "e2e", "docs", "testdata", lang+".txt") // the project's words
		cmd := exec.CommandContext(t.Context(), aspell, "--lang="+lang, "--encoding=utf-8", "--personal="+list, "list")
		cmd.Stdin = strings.NewReader(words(p))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		seen := map[string]bool{}
		for word := range strings.FieldsSeq(string(out)) {
			if abbreviation := word == strings.ToUpper(word); !abbreviation && !seen[word] {
				t.Errorf("%s: %q is in no dictionary: mend it, or add it to %s", p.name, word, list)
			}
			seen[word] = true
		}
	}
}
