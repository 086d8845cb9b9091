module churn

go 1.26.0

require (
	github.com/cenkalti/backoff/v5 v5.0.3 // waits between retries of an alert or a query
	github.com/cheggaaa/pb/v3 v3.3.0 // progress bars on a terminal
	github.com/getkin/kin-openapi v0.152.0 // the OpenAPI document as types
	github.com/go-chi/chi/v5 v5.5.0 // groups of routes with a middleware of their own; which route a request took
	github.com/go-chi/httprate v0.16.1 // request limits per client
	github.com/go-json-experiment/json v1.27.2 // encoding/json/v2: duplicate and unknown names are errors, values stream
	github.com/go-playground/validator/v10 v10.30.6 // the rules of a schema's validate
	github.com/gofrs/flock v0.13.1 // locks between processes, on Windows too
	github.com/jackc/pgx/v5 v5.12.0 // PostgreSQL under database/sql; its errors by code, cancellation of queries
	github.com/jedib0t/go-pretty/v6 v6.8.3 // tables on the terminal
	github.com/klauspost/compress v1.20.1 // gzip and zstd, in which logs are rotated
	github.com/parquet-go/parquet-go v0.32.0 // Parquet files: 7 MB of prepare, evaluate and serve
	github.com/prometheus/client_golang v1.25.0 // metrics for Prometheus
	github.com/spf13/cobra v1.10.2 // commands, flags and help
	github.com/spf13/pflag v1.0.9 // cobra's flags: what is wrong with a value
	github.com/swaggest/swgui v1.8.5 // the files of Swagger UI, to work offline
	github.com/trinodb/trino-go-client v1.1.0 // Trino: its protocol and types
	golang.org/x/sys v0.49.0 // system calls that package os does not have
	golang.org/x/term v0.47.0 // whether a stream is a terminal, and its width
	golang.org/x/text v0.44.0 // encodings of text other than UTF-8
	gonum.org/v1/gonum v0.17.0 // linear algebra, distributions and their quantiles
	gonum.org/v1/plot v0.17.0 // plots in SVG for the pages of evaluate and drift
	google.golang.org/protobuf v1.36.12 // its wire format, in which ONNX files are
)

// Tests alone need these.
require (
	github.com/chromedp/cdproto v0.159.0 // the browser's protocol
	github.com/chromedp/chromedp v0.23.0 // the service's pages in a real browser
	github.com/creack/pty v1.1.24 // programs on a terminal
	github.com/oasdiff/yaml v0.1.1 // the README's manifests
	github.com/rogpeppe/go-internal v1.16.0 // testscript: sessions as tests
	go.uber.org/goleak v1.3.0 // goroutines that were left behind
	pgregory.net/rapid v1.3.0 // properties over random inputs
)

require (
	codeberg.org/go-fonts/liberation v0.5.0 // indirect
	codeberg.org/go-latex/latex v0.2.0 // indirect
	codeberg.org/go-pdf/fpdf v0.11.1 // indirect
	git.sr.ht/~sbinet/gg v0.7.0 // indirect
	github.com/VividCortex/ewma v1.2.0 // indirect
	github.com/ajstarks/svgo v0.0.0-20211024235047-1546f124cd8b // indirect
	github.com/andybalholm/brotli v1.1.1 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/clipperhouse/uax29/v2 v2.2.0 // indirect
	github.com/fatih/color v1.19.0 // indirect
	github.com/gabriel-vasile/mimetype v1.4.16 // indirect
	github.com/go-openapi/jsonpointer v0.22.5 // indirect
	github.com/go-openapi/swag/jsonname v0.25.5 // indirect
	github.com/go-playground/locales v0.14.2 // indirect
	github.com/go-playground/universal-translator v0.18.2 // indirect
	github.com/golang/freetype v0.0.0-20170609003504-e2365dfdc4a0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/hashicorp/go-uuid v1.0.3 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/jcmturner/aescts/v2 v2.0.0 // indirect
	github.com/jcmturner/dnsutils/v2 v2.0.0 // indirect
	github.com/jcmturner/gofork v1.7.6 // indirect
	github.com/jcmturner/goidentity/v6 v6.0.1 // indirect
	github.com/jcmturner/gokrb5/v8 v8.4.4 // indirect
	github.com/jcmturner/rpc/v2 v2.0.3 // indirect
	github.com/klauspost/cpuid/v2 v2.2.10 // indirect
	github.com/kr/pretty v0.3.1 // indirect
	github.com/leodido/go-urn v1.5.0 // indirect
	github.com/mattn/go-colorable v0.1.16 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/mattn/go-runewidth v0.0.31 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/oasdiff/yaml3 v0.0.14 // indirect
	github.com/parquet-go/bitpack v1.0.0 // indirect
	github.com/parquet-go/jsonlite v1.0.0 // indirect
	github.com/pierrec/lz4/v4 v4.1.30 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // indirect
	github.com/twpayne/go-geom v1.6.1 // indirect
	github.com/zeebo/xxh3 v1.0.2 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/image v0.30.0 // indirect
	golang.org/x/net v0.61.0 // indirect
	golang.org/x/sync v0.25.0 // indirect
	golang.org/x/tools v0.52.0 // indirect
)
