package predictor

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"sync"

	"github.com/go-chi/chi/v5"
	"github.com/swaggest/swgui/v5/static"
)

// The page and the script that starts Swagger UI on /openapi.json. What they
// name they name relative to /docs, so that a proxy may put a prefix before it.
//
//go:embed docs
var ownDocs embed.FS

// A file is a part of the binary that browsers ask for.
type file struct {
	from  fs.FS
	name  string // those in .gz are sent as they are
	media string
}

var texts sync.Map // of the files, from name to []byte: who reads slowly holds no copy

// text returns what is in the file.
func (f *file) text() []byte {
	if text, ok := texts.Load(f.name); ok {
		return text.([]byte)
	}
	text, err := fs.ReadFile(f.from, f.name)
	if err != nil {
		panic("predictor: " + err.Error()) // it is part of the binary
	}
	texts.Store(f.name, text)
	return text
}

// docsFiles are the files of /docs, by the last part of their path.
var docsFiles = map[string]file{
	"":                     {ownDocs, "docs/index.html", "text/html; charset=utf-8"},
	"init.js":              {ownDocs, "docs/init.js", "text/javascript; charset=utf-8"},
	"swagger-ui-bundle.js": {static.FS, "swagger-ui-bundle.js.gz", "text/javascript; charset=utf-8"},
	"swagger-ui.css":       {static.FS, "swagger-ui.css.gz", "text/css; charset=utf-8"},
	"favicon.png":          {static.FS, "favicon-32x32.png", "image/png"},
}

// docsPolicy lets the pages load from the service itself and nowhere else, and
// run no script that is not a file of it. Swagger UI's icons are data: images.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docs answers GET /docs and the files that it needs. It works offline.
func docs(w http.ResponseWriter, r *http.Request) { answerFile(w, r, docsFiles, docsPolicy) }

// answerFile answers with the file that the end of the path names.
func answerFile(w http.ResponseWriter, r *http.Request, files map[string]file, policy string) {
	f, ok := files[chi.URLParam(r, "file")]
	if !ok {
		answerDetail(w, http.StatusNotFound, "Not Found")
		return
	}
	body := f.text()
	h := w.Header()
	h.Set("Content-Type", f.media)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache") // the next binary may have another one
	if path.Ext(f.name) == ".gz" {
		h.Set("Content-Encoding", "gzip") // which every browser takes
	}
	answer(w, http.StatusOK, body)
}
