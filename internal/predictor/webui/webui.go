// Package webui serves what people see in a browser: the page at / and the documentation
// at /docs. The files are embedded in the binary; what they show comes from the service's
// other endpoints.
package webui

import (
	"embed"
	"net/http"
)

// The page at /: a form for one customer and the current model's prediction for it.
// It is one document, one style sheet and two scripts. Their links are relative to /,
// so that a proxy may add a prefix.
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

// pagePolicy is docsPolicy without data: images.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Page returns the handler of GET / and the files that it needs. It works offline.
func Page(notFound http.HandlerFunc) http.HandlerFunc { return serve(pageFiles, pagePolicy, notFound) }
