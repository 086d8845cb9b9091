// Package webui serves what people see in a browser: the page at / and the documentation
// at /docs. The files are embedded in the binary; what they show comes from the service's
// other endpoints.
package webui

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	"churn/internal/report"

	"github.com/go-chi/chi/v5"
	"github.com/swaggest/swgui/v5/static"
)

// The page at /, a form for one customer and the current model's prediction for it, with two style
// sheets and four scripts; and the page and the script that start Swagger UI on /openapi.json. Their
// links are relative, so that a proxy may add a prefix.
//
//go:embed page docs
var own embed.FS

// media are the types of the files, by the ends of their names. A page itself has no name.
var media = map[string]string{
	"":     "text/html; charset=utf-8",
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// Icon answers GET /favicon.ico, for which browsers ask unless a page names its own.
func Icon(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", media[".svg"])
	Send(w, r, find("page/icon.svg").text, nil) // too short to be packed
}

// Robots answers GET /robots.txt: nothing here is for search engines.
func Robots(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	Send(w, r, []byte("User-agent: *\nDisallow: /\n"), nil)
}

// pagePolicy lets the page load from the service alone, and run only scripts that are
// files of it.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// contents is a file as it is and as gzip: slow clients share one copy.
type contents struct{ text, packed []byte }

var read sync.Map // *contents by path

// find returns the file of a path such as docs/init.js, or nil if there is none. The style sheet of
// the reports and the files of Swagger UI are served as if they were in the folders.
func find(file string) *contents {
	if c, ok := read.Load(file); ok {
		return c.(*contents)
	}
	c := new(contents)
	switch file {
	case "page/base.css", "docs/base.css":
		c.text = []byte(report.Base)
	case "docs/swagger-ui-bundle.js", "docs/swagger-ui.css":
		c.packed, _ = static.FS.ReadFile(path.Base(file) + ".gz")
		c.text = unpack(c.packed)
	default:
		c.text, _ = own.ReadFile(file)
	}
	if c.text == nil {
		return nil
	}
	if c.packed == nil {
		c.packed = Pack(c.text)
	}
	read.Store(file, c)
	return c
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
// add a prefix.
func Bar(here Place, hidden ...Place) string {
	root := strings.Repeat("../", strings.Count(path.Clean(string(here)), "/"))
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
	folder, policy := "page/", pagePolicy
	if here == API {
		folder, policy = "docs/", docsPolicy
	}
	return func(w http.ResponseWriter, r *http.Request) {
		name := chi.URLParam(r, "file")
		kind, c := media[path.Ext(name)], find(folder+cmp.Or(name, "index.html"))
		if kind == "" || c == nil {
			notFound(w, r)
			return
		}
		SetHeaders(w.Header(), kind, policy)
		if name == "" {
			text := bytes.Replace(c.text, []byte(report.BarMark), []byte(bar(here)), 1)
			Send(w, r, text, func() []byte { return Pack(text) })
			return
		}
		Send(w, r, c.text, func() []byte { return c.packed })
	}
}

// SetHeaders sets the headers of a page or a file of it: its media type and its policy.
func SetHeaders(h http.Header, media, policy string) {
	h.Set("Content-Type", media)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache") // the next binary may have another one
}
