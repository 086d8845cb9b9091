package predictor

import (
	"embed"
	"net/http"
)

// The page at /: a form for one customer and what the current model makes of it.
// It is one document, one style and two scripts. What they name they name relative
// to /, so that a proxy may put a prefix before it.
//
//go:embed page
var ownPage embed.FS

// pageFiles are the files of the page, by the last part of their path.
var pageFiles = map[string]file{
	"":         {ownPage, "page/index.html", "text/html; charset=utf-8"},
	"page.css": {ownPage, "page/page.css", "text/css; charset=utf-8"},
	"drift.js": {ownPage, "page/drift.js", "text/javascript; charset=utf-8"},
	"page.js":  {ownPage, "page/page.js", "text/javascript; charset=utf-8"},
	"icon.svg": {ownPage, "page/icon.svg", "image/svg+xml"},
}

// pagePolicy is docsPolicy without images in the text.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page answers GET / and the files that it needs. It works offline, and shows
// only what the other endpoints answer.
func page(w http.ResponseWriter, r *http.Request) { answerFile(w, r, pageFiles, pagePolicy) }
