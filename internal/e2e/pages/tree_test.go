package pages_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"churn/internal/testing/programs"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
)

// A heard node is what a screen reader says of a part of the page.
type heard struct {
	depth       int // among the nodes that are not ignored
	role, name  string
	value, said string // said is its description
	level       int    // of a heading
}

func (h heard) String() string {
	text := strings.Repeat("  ", h.depth) + h.role
	if h.level > 0 {
		text += " " + strconv.Itoa(h.level)
	}
	for _, part := range []struct{ name, text string }{{"", h.name}, {"value ", h.value}, {"description ", h.said}} {
		if part.text != "" {
			text += fmt.Sprintf(" %s%q", part.name, part.text)
		}
	}
	return text
}

// tree returns the accessibility tree in the order in which it is read.
func (p *tab) tree() []heard {
	p.Helper()
	result, err := chromedp.Call(p.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		p.Fatal(err)
	}
	text := func(v *accessibility.Value) string {
		if v == nil {
			return ""
		}
		s := string(v.Value)
		if unquoted, err := strconv.Unquote(s); err == nil {
			s = unquoted
		}
		return strings.Join(strings.Fields(s), " ")
	}
	nodes := map[accessibility.NodeID]*accessibility.Node{}
	for _, n := range result.Nodes {
		nodes[n.NodeID] = n
	}
	var list []heard
	var walk func(n *accessibility.Node, depth int)
	walk = func(n *accessibility.Node, depth int) {
		h := heard{depth: depth, role: text(n.Role), name: text(n.Name), value: text(n.Value), said: text(n.Description)}
		for _, property := range n.Properties {
			if property.Name == accessibility.PropertyNameLevel {
				h.level, _ = strconv.Atoi(text(property.Value))
			}
		}
		if !n.Ignored && h.role != "InlineTextBox" && h.role != "generic" && h.role != "none" {
			list = append(list, h)
			depth++
		}
		for _, child := range n.ChildIDs {
			if nodes[child] != nil {
				walk(nodes[child], depth)
			}
		}
	}
	walk(result.Nodes[0], 0)
	return list
}

// operable are the roles of what a person works with.
var operable = []string{"button", "link", "textbox", "spinbutton", "combobox", "slider", "checkbox", "radio"}

// described are the roles of what else needs a name.
var described = []string{"image", "table", "region", "RootWebArea"}

// speaks fails the test if a screen reader has no name for something to work with, a drawing or a
// table, or if headings do not nest. It writes the tree into the folder CHURN_SCREENSHOTS, if set.
func (p *tab) speaks(name string) {
	p.Helper()
	var dump strings.Builder
	above, mains, drawings := 0, 0, 0
	drawn := eval[int](p, visibleDrawings) // before the tree: more may come
	for _, h := range p.tree() {
		fmt.Fprintln(&dump, h)
		if h.name == "" && (slices.Contains(operable, h.role) || slices.Contains(described, h.role)) {
			p.Errorf("%s: a %s has no name", name, h.role)
		}
		switch h.role {
		case "heading":
			if h.level > above+1 || h.level == 1 && above > 0 {
				p.Errorf("%s: the heading %q of level %d follows one of level %d", name, h.name, h.level, above)
			}
			above = h.level
		case "main":
			mains++
		case "image":
			drawings++
		}
	}
	if above == 0 || mains != 1 {
		p.Errorf("%s: %d parts are the main one; the last heading is of level %d", name, mains, above)
	}
	if drawings < drawn {
		p.Errorf("%s: a screen reader knows of %d of %d drawings", name, drawings, drawn)
	}
	if folder := os.Getenv("CHURN_SCREENSHOTS"); folder != "" {
		programs.WriteFile(p.T, filepath.Join(folder, name+".tree.txt"), dump.String())
	}
}

// visibleDrawings is JavaScript for the number of drawings that are not mere decoration.
const visibleDrawings = `[...document.querySelectorAll('svg')].filter(s => s.checkVisibility() &&
	!s.closest('[aria-hidden=true]')).length`

// longLines is JavaScript for the texts with a line of more than 95 characters. WCAG 1.4.8 has 80;
// a line that fits 80 letters of average width fits more narrow ones.
const longLines = `[...document.querySelectorAll('p, li, td, dd, figcaption, caption, h1, h2, h3')].flatMap(e => {
	if (!e.checkVisibility() || e.closest('pre, textarea, .unseen') || e.querySelector('p, li, table')) return [];
	const lines = new Map(), walk = document.createTreeWalker(e, NodeFilter.SHOW_TEXT), range = document.createRange();
	while (walk.nextNode()) {
		if (walk.currentNode.parentElement.closest('svg, code')) continue;
		for (const word of walk.currentNode.data.matchAll(/\S+\s*/g)) {
			range.setStart(walk.currentNode, word.index);
			range.setEnd(walk.currentNode, word.index + word[0].length);
			const box = range.getClientRects()[0];
			if (box) lines.set(Math.round(box.bottom / 8), (lines.get(Math.round(box.bottom / 8)) ?? 0) + word[0].length);
		}
	}
	const longest = Math.max(0, ...lines.values());
	return longest > 95 ? [longest + ' characters: ' + e.textContent.trim().slice(0, 60)] : [];
})`
