// Package webui serves what people see in a browser: the page at / and the documentation
// at /docs. The files are embedded in the binary; what they show comes from the service's
// other endpoints.
package webui

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	"churn/internal/report"

	"github.com/go-chi/chi/v5"
	"github.com/swaggest/swgui/v5/static"
)

// The page at /: a form for one customer and the current model's prediction for it.
// It is one document, two style sheets and four scripts. Their links are relative to /,
// so that a proxy may add a prefix.
//
//go:embed page
var ownPage embed.FS

// pageFiles are the files of the page, by the last part of their path.
var pageFiles = map[string]file{
	"":          {ownPage, "page/index.html", "text/html; charset=utf-8"},
	"base.css":  {name: "base.css", media: "text/css; charset=utf-8"},
	"page.css":  {ownPage, "page/page.css", "text/css; charset=utf-8"},
	"drift.js":  {ownPage, "page/drift.js", "text/javascript; charset=utf-8"},
	"models.js": {ownPage, "page/models.js", "text/javascript; charset=utf-8"},
	"tools.js":  {ownPage, "page/tools.js", "text/javascript; charset=utf-8"},
	"page.js":   {ownPage, "page/page.js", "text/javascript; charset=utf-8"},
	"icon.svg":  {ownPage, "page/icon.svg", "image/svg+xml"},
}

// Icon answers GET /favicon.ico, for which browsers ask unless a page names its own.
func Icon(w http.ResponseWriter, r *http.Request) {
	f := pageFiles["icon.svg"]
	w.Header().Set("Content-Type", f.media)
	Send(w, r, f.contents().text, func() []byte { return nil })
}

// Robots answers GET /robots.txt: nothing here is for search engines.
func Robots(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	Send(w, r, []byte("User-agent: *\nDisallow: /\n"), func() []byte { return nil })
}

// pagePolicy lets the page load from the service alone, and run only scripts that are
// files of it.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// The page and the script that start Swagger UI on /openapi.json. Their links are
// relative to /docs, so that a proxy may add a prefix.
//
//go:embed docs
var ownDocs embed.FS

// A file is embedded in the binary and served to browsers.
type file struct {
	from  fs.FS  // nil: what the reports have too
	name  string // those in .gz are packed
	media string
}

// contents is a file as it is and as gzip: slow clients share one copy.
type contents struct{ text, packed []byte }

var read sync.Map // *contents by name

// contents returns what the file holds.
func (f *file) contents() *contents {
	if c, ok := read.Load(f.name); ok {
		return c.(*contents)
	}
	text := []byte(report.Base)
	if f.from != nil {
		var err error
		if text, err = fs.ReadFile(f.from, f.name); err != nil {
			panic("webui: " + err.Error()) // it is part of the binary
		}
	}
	c := &contents{text: text}
	if path.Ext(f.name) == ".gz" {
		c.text, c.packed = unpack(text), text
	} else {
		c.packed = Pack(text)
	}
	read.Store(f.name, c)
	return c
}

// docsFiles are the files of /docs, by the last part of their path.
var docsFiles = map[string]file{
	"":                     {ownDocs, "docs/index.html", "text/html; charset=utf-8"},
	"base.css":             {name: "base.css", media: "text/css; charset=utf-8"},
	"docs.css":             {ownDocs, "docs/docs.css", "text/css; charset=utf-8"},
	"init.js":              {ownDocs, "docs/init.js", "text/javascript; charset=utf-8"},
	"swagger-ui-bundle.js": {static.FS, "swagger-ui-bundle.js.gz", "text/javascript; charset=utf-8"},
	"swagger-ui.css":       {static.FS, "swagger-ui.css.gz", "text/css; charset=utf-8"},
}

// docsPolicy is pagePolicy with data: images, as Swagger UI's icons are.
var docsPolicy = strings.Replace(pagePolicy, "img-src 'self'", "img-src 'self' data:", 1)

// A Place is a page's path, as a link from the root.
type Place string

// The places that the bar leads to.
const (
	Console Place = "./"
	Card    Place = "models/current.html" // of the current model
	Drift   Place = "drift.html"
	API     Place = "docs"
)

var places = []struct {
	at   Place
	name string
}{{Console, "Predict"}, {Card, "Model card"}, {Drift, "Drift"}, {API, "API"}}

// Bar returns the links between pages, with some hidden. They are relative, so that a proxy may
// add a prefix; root leads from the page's folder to the first page's.
func Bar(here Place, root string, hidden ...Place) string {
	var b strings.Builder
	b.WriteString(`<nav class="pages" aria-label="Pages">`)
	for _, to := range places {
		mark := ""
		if to.at == here {
			mark = ` aria-current="page"`
		} else if slices.Contains(hidden, to.at) {
			mark = " hidden"
		}
		fmt.Fprintf(&b, `<a href="%s"%s>%s</a>`, root+string(to.at), mark, to.name)
	}
	return b.String() + "</nav>"
}

// Handler returns the handler of Console or API and the files that it needs, named by the path's
// last part. It works offline.
func Handler(here Place, bar func(Place) string, notFound http.HandlerFunc) http.HandlerFunc {
	files, policy := pageFiles, pagePolicy
	if here == API {
		files, policy = docsFiles, docsPolicy
	}
	return func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[chi.URLParam(r, "file")]
		if !ok {
			notFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", f.media)
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-cache") // the next binary may have another one
		c := f.contents()
		if path.Ext(f.name) == ".html" {
			text := bytes.Replace(c.text, []byte(report.BarMark), []byte(bar(here)), 1)
			Send(w, r, text, func() []byte { return Pack(text) })
			return
		}
		Send(w, r, c.text, func() []byte { return c.packed })
	}
}
