// Package docs_test keeps the pages of documentation true: their commands run, their outputs are
// those of the programs, their links lead somewhere, and their sentences are short.
package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"churn/internal/testing/programs"
)

// A page is a file of documentation.
type page struct {
	name   string // from the root, such as docs/model.md
	text   string
	blocks []block
	prose  string // text without blocks and comments
}

// A block is a fenced piece of a page, or a comment <!-- run … -->, whose language is "run".
type block struct {
	language, text string
	line           int    // of its first line in the page
	output         string // the ```text block directly behind it
	after          int    // the line behind it
}

var fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$|^<!-- (run)\n(.*?)^-->$|<!--.*?-->")

// readPages returns README.md and the pages of docs.
func readPages(t *testing.T) (pages []page) {
	t.Helper()
	root := programs.Root(t)
	names, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(names) == 0 {
		t.Fatal(err, len(names))
	}
	for _, path := range append([]string{filepath.Join(root, "README.md")}, names...) {
		name, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, parse(filepath.ToSlash(name), programs.ReadFile(t, path)))
	}
	return pages
}

// parse cuts a page into its blocks and its prose.
func parse(name, text string) page {
	p := page{name: name, text: text}
	end := 0
	var prose strings.Builder
	for _, m := range fence.FindAllStringSubmatchIndex(text, -1) {
		prose.WriteString(text[end:m[0]])
		end = m[1]
		group := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return text[m[2*i]:m[2*i+1]]
		}
		b := block{language: group(1) + group(3), text: group(2) + group(4), line: strings.Count(text[:m[0]], "\n") + 2}
		b.after = b.line + strings.Count(b.text, "\n") + 1
		if last := len(p.blocks) - 1; b.language == "text" && last >= 0 && p.blocks[last].language == "sh" &&
			b.line <= p.blocks[last].after+2 {
			p.blocks[last].output = b.text
		}
		if b.language != "" {
			p.blocks = append(p.blocks, b)
		}
	}
	prose.WriteString(text[end:])
	p.prose = prose.String()
	return p
}

// TestBlocks verifies that each block has a language, and that only commands for other machines
// are shown as such.
func TestBlocks(t *testing.T) {
	other := regexp.MustCompile(
		`^\$ (sudo )?(docker|podman|kubectl|systemctl|journalctl|systemd-analyze|apt|make|git|go) `)
	for _, p := range readPages(t) {
		if strings.Contains(p.prose, "```") {
			t.Errorf("%s: a block without a language, or without an end", p.name)
		}
		for _, b := range p.blocks {
			for line := range strings.Lines(b.text) {
				if b.language == "console" && strings.HasPrefix(line, "$") && !other.MatchString(line) {
					t.Errorf("%s:%d: %q can be run by a test: make it a block of sh", p.name, b.line, line)
				}
			}
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	slugged = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors returns the anchors of a page's headings, as GitHub makes them.
func anchors(p page) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(p.prose, -1) {
		slug := strings.ReplaceAll(slugged.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
		found[slug] = true
	}
	return found
}

// TestLinks verifies that each link inside the project leads to a file and a heading, and that
// each page can be reached from README.
func TestLinks(t *testing.T) {
	pages := readPages(t)
	byName := map[string]page{}
	for _, p := range pages {
		byName[p.name] = p
	}
	linked := map[string]bool{"README.md": true}
	for _, p := range pages {
		for _, m := range link.FindAllStringSubmatch(p.prose, -1) {
			target := m[1] + m[2]
			if strings.HasPrefix(target, "https://") {
				continue
			}
			file, anchor, _ := strings.Cut(target, "#")
			name := p.name
			if file != "" {
				name = filepath.ToSlash(filepath.Join(filepath.Dir(p.name), file))
			}
			if p.name == "README.md" {
				linked[name] = true
			}
			if _, err := os.Stat(filepath.Join(programs.Root(t), name)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", p.name, target)
			} else if anchor != "" && !anchors(byName[name])[anchor] {
				t.Errorf("%s: the link %s leads to no heading of %s", p.name, target, name)
			}
		}
	}
	for _, p := range pages {
		if !linked[p.name] {
			t.Errorf("README.md has no link to %s", p.name)
		}
	}
}
