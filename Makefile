TAGS := validator_novalidatefn # makes each binary a third smaller: the linker can drop unused methods
GO_BUILD := CGO_ENABLED=0 go build -trimpath -tags $(TAGS) -ldflags "-s -w"
E2E := ./internal/e2e/... # whole programs
TIMED := ./internal/e2e/load ./internal/e2e/hostile # under many clients at once, which measure time and memory
SLOW := -e /e2e/ -e /sqldata -e /postgres -e /alert # that run whole programs or databases
FIRST := ./internal/model ./internal/sqldata ./internal/predlog ./internal/predictor # the longest tests, with all cores
UNITS = $(FIRST) $$(go list ./... | grep -v /e2e/)
STEPS := generate prepare train evaluate serve drift rollback

.PHONY: help build $(STEPS) retrain demo tutorial test check quick pictures completions man fuzz soak dist cross reproducible \
	vulns bench bench-serve growth clean

help: ## this list
	@awk -F ':[^#]*## ' '/^[^#\t].*## / { sub(/.*STEPS./, "STEP"); printf "make %-13s %s\n", $$1, $$2 }' Makefile
	@echo "STEP is one of $(STEPS)."
	@echo "ARGS are a step's options, as in: make train ARGS=\"--version v2\""

build: ## the seven binaries, in bin/
	@$(GO_BUILD) -o bin/ ./cmd/...

$(STEPS): build ## build and run one step, with ARGS
	@bin/$@ $(ARGS)

retrain: build ## drift, and if there is any prepare and evaluate; IN=customers.csv LABELS=outcomes.csv ARGS
	@sh cmd/retrain.sh $(ARGS) # make hands variables of its command line on

# The demo requires an F1 of 0.60 only: on 300 test rows F1 varies by 0.03 between seeds.
DEMO_ADDR := 127.0.0.1:8765

demo: build ## the whole loop in a minute, with a drift and a rollback
	@sh cmd/demo.sh $(DEMO_ADDR)

tutorial: ## the whole loop in ten minutes: explains each command, shows it, and waits for Enter
	@sh cmd/tutorial.sh

test: START := $(shell date +%s)
test: ## all tests: about twenty minutes on two cores, a line for each package
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
		echo "SKIPPED: the service's pages in a browser: there is no chromium"
	@PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null || echo "SKIPPED: replicas behind nginx: there is no nginx"
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || \
		echo "SKIPPED: customers in PostgreSQL: there is no postgresql"
	@test -n "$$CHURN_TRINO_URL" || \
		echo "SKIPPED: customers in Trino: CHURN_TRINO_URL is not set (.ci/trino.sh starts a cluster)"
	@test -n "$$CHURN_TELCO_CSV" || \
		echo "SKIPPED: the comparison with scikit-learn on the telco data: CHURN_TELCO_CSV is not set"
	@"$${CHURN_PYTHON:-python3}" -c 'import numpy, onnx, onnxruntime' 2>/dev/null || \
		echo "SKIPPED: exported models under ONNX Runtime: CHURN_PYTHON names no Python with .ci/tools/python.txt"
	@test "$$(git rev-parse --is-shallow-repository 2>&1)" = false || \
		echo "SKIPPED: upgrades from earlier versions: there is no history (git fetch --unshallow gets it)"
	go test -count=1 -timeout 20m $(UNITS)
	go test -count=1 -timeout 20m $$(go list $(E2E) | grep -v -e /load -e /hostile)
	go test -count=1 -timeout 20m -p 1 $(TIMED)
	@awk -v start=$(START) -v now="$$(date +%s)" 'BEGIN { printf "all tests passed in %.1f minutes\n", (now - start) / 60 }'

check: ## formatting, vet, staticcheck, import order, tests with the race detector (needs a C compiler)
	@test -z "$$(gofmt -l cmd internal)" || { echo "not formatted:"; gofmt -l cmd internal; exit 1; }
	go vet ./...
	go tool -modfile=.ci/tools/go.mod staticcheck ./...
	go test -count=1 -run TestImportsRunOneWay ./internal
	CGO_ENABLED=1 go test -count=1 -timeout 20m -short -race $(UNITS)
	CGO_ENABLED=1 go test -count=1 -timeout 20m -short -race -p 1 $(TIMED)

quick: ## formatting, vet, import order and the tests of single packages: less than a minute on two idle cores
	@test -z "$$(gofmt -l cmd internal)" || { echo "not formatted:"; gofmt -l cmd internal; exit 1; }
	go vet ./...
	go test -short -p 4 $$(go list ./... | grep -v $(SLOW)) # some wait for clocks and disks

pictures: ## draw the pictures of docs/ from the programs (needs chromium)
	@mkdir -p docs/pictures
	CHURN_PICTURES=$(CURDIR)/docs/pictures go test -count=1 -run '^TestPictures?$$' ./internal/e2e/pages ./internal/bench/growth

completions: build ## completions for bash, zsh and fish, in bin/completions
	@mkdir -p bin/completions
	@for step in $(STEPS); do for shell in bash zsh fish; do \
		bin/$$step --completion $$shell >bin/completions/$$step.$$shell || exit 1; \
	done; done

man: build ## manual pages from --help, in bin/man (needs help2man)
	@mkdir -p bin/man
	@for step in $(STEPS); do \
		help2man --no-info --version-option=-V --name="$$(bin/$$step --help | awk -v RS='[.,:]' 'NR == 1 { gsub(/\n/, " "); print }')" bin/$$step -o bin/man/$$step.1 || exit 1; \
	done

dist: ## the archives of a release, in dist/, with checksums and a list of all parts (needs help2man)
	@GO_BUILD='$(GO_BUILD)' PLATFORMS='$(PLATFORMS)' sh .ci/dist.sh

cross: ## compile for linux, darwin and windows on amd64 and arm64
	@for os in linux darwin windows; do for arch in amd64 arm64; do \
		echo "$$os/$$arch"; GOOS=$$os GOARCH=$$arch $(GO_BUILD) -o /dev/null ./cmd/... || exit 1; \
	done; done

reproducible: ## build the last commit twice, in different folders, and compare the bytes
	@sh .ci/reproducible.sh

vulns: ## known vulnerabilities in code that the binaries reach (needs the Go vulnerability database)
	@sh .ci/vulns.sh

# A target that hangs is reported if TIME is 15s or more. Inputs are kept in $(go env GOCACHE)/fuzz between runs.
fuzz: TIME ?= 10s
fuzz: JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
fuzz: ## every fuzz target for TIME (default 10s), JOBS at once (default one per core)
	@sh .ci/fuzz.sh $(TIME) $(JOBS)

# Its use of the machine is bounded: some hundreds of requests per second, and checked logs are removed.
soak: TIME ?= 1m
soak: ## the service under load for TIME (default 1m), with model switches, kills, log rotations and drift runs
	CHURN_SOAK=$(TIME) go test -count=1 -timeout 24h -run '^TestSoak$$' -v ./internal/e2e/load

# ROWS, ROUNDS, LARGE_ROUNDS, LOG_GB, PYTHON and CHURN_TELCO_CSV may be set. Without the peers the binaries alone are
# measured.
bench: build ## ROWS (default 1000000) and two other shapes through the steps, against six Python libraries
	@CHURN_BENCH=1 go test -count=1 -timeout 24h -run TestSteps -v ./internal/bench

bench-serve: ## the service against bare net/http and FastAPI, and its batches (needs wrk)
	@sh internal/bench/serve.sh

# MAX_ROWS, MAX_COLUMNS, MAX_TABLE_ROWS and MAX_TABLE_COLUMNS may be set.
growth: build ## how time and memory grow with rows and columns, in files and in PostgreSQL, and its picture
	@CHURN_GROWTH=1 go test -count=1 -timeout 24h -run TestGrowth -v ./internal/bench
	@CHURN_PICTURES=$(CURDIR)/docs/pictures go test -count=1 -run '^TestPicture$$' ./internal/bench/growth

clean: ## remove bin/, dist/ and all files in data, registry, models and logs, your own too
	rm -rf bin dist
	find data registry models logs -mindepth 1 ! -name README.md -delete
