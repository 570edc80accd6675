# Graphroom. `make help` lists the targets; nothing has to be installed by hand
# but Go (and Node for the client tests and the benchmark).

GO      ?= go
GOLINT  := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
LISTEN  ?= 127.0.0.1:5000
DATA    ?= graphroom-data
# Seconds that `make fuzz` gives to each target, and kills of `make soak`.
FUZZTIME ?= 30s
SOAKROUNDS ?= 200
# Steps of the model in `make soak`.
SOAKSTEPS ?= 1000000

# Least statement coverage, in percent, of the packages that carry the promises.
FLOORS := graph=90 session=90 server=80 socketio=80 engineio=80

.DEFAULT_GOAL := help
.PHONY: help run build test cover race race-short check fmt lint bench soak soak-kill soak-graph soak-connect fuzz deps node-deps python-deps clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## start the server on LISTEN (127.0.0.1:5000) with its data in DATA
	$(GO) run ./cmd/graphroom serve --listen $(LISTEN) --data $(DATA)

build: ## build bin/graphroom
	$(GO) build -trimpath -o bin/graphroom ./cmd/graphroom

test: deps cover race-short ## everything: unit, client and race tests, coverage per package and its floors

cover: deps ## the tests once, with coverage per package; fails below a floor
	@mkdir -p bin
	@$(GO) test -count=1 -timeout 30m -cover ./... > bin/test.out 2>&1; rc=$$?; \
	cat bin/test.out; \
	[ $$rc -eq 0 ] || exit $$rc; \
	awk -v floors='$(FLOORS)' -f .ci/coverage.awk bin/test.out

race-short: ## the internal packages again under the race detector, without the longest tests
	$(GO) test -count=1 -timeout 30m -race -short ./internal/...

race: ## all of the internal packages and the end-to-end tests under the race detector
	$(GO) test -count=1 -timeout 60m -race ./internal/... ./e2e

check: fmt lint ## formatting, vet and the linters
	$(GO) vet ./...

fmt:
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not gofmt'd:"; echo "$$out"; exit 1; }

lint:
	@if command -v golangci-lint >/dev/null 2>&1; then golangci-lint run ./...; \
	else $(GO) run $(GOLINT) run ./...; fi

bench: node-deps ## measure against the goals; prints PASS or FAIL and writes JSON into bench/results
	$(GO) run ./bench

soak: node-deps soak-kill soak-graph soak-connect ## the three endurance runs; each ends with PASS or FAIL

soak-kill: ## kill the server SOAKROUNDS times under load: is anything lost, doubled or reordered?
	$(GO) run ./soak -rounds $(SOAKROUNDS)

soak-graph: ## SOAKSTEPS random steps of eight actors against a slow and obvious twin
	GRAPHROOM_SOAK_STEPS=$(SOAKSTEPS) $(GO) test -count=1 -run 'TestSoak$$' -timeout 3h -v ./internal/graph

soak-connect: node-deps ## 50,000 connects in churn: is a CONNECT lost, is anything left?
	GRAPHROOM_SOAK=1 $(GO) test -count=1 -run TestSoakConnects -timeout 2h -v ./internal/socketio

fuzz: ## give every fuzz target FUZZTIME
	@set -e; for pkg in $$($(GO) list ./internal/...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

deps: node-deps python-deps

# The lock file's own hash is the stamp: an edited lock file installs again.
node-deps:
	@set -e; for dir in e2e bench clients/typescript; do \
	  [ -f $$dir/package-lock.json ] || continue; \
	  command -v npm >/dev/null 2>&1 || { echo "FAIL: Node.js 20 or newer with npm is needed for the tests in $$dir: install nodejs and npm, then run make again" >&2; exit 1; }; \
	  want=$$(cksum < $$dir/package-lock.json); \
	  if [ "$$(cat $$dir/node_modules/.graphroom-lock 2>/dev/null)" != "$$want" ]; then \
	    echo "npm ci in $$dir"; (cd $$dir && npm ci --no-audit --no-fund --loglevel=error); \
	    echo "$$want" > $$dir/node_modules/.graphroom-lock; \
	  fi; \
	done

# Debian's python3 on purpose: it is the client library that people have.
PYTHON_PACKAGES := python3-socketio python3-aiohttp python3-websocket
python-deps:
	@if /usr/bin/python3 -c 'import socketio, aiohttp, websocket' >/dev/null 2>&1; then exit 0; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "apt-get install $(PYTHON_PACKAGES)"; \
	  { apt-get install -y -qq $(PYTHON_PACKAGES) || { apt-get update -qq && apt-get install -y -qq $(PYTHON_PACKAGES); }; } > /dev/null; \
	else \
	  echo "FAIL: the Python client tests need $(PYTHON_PACKAGES): run 'sudo apt-get install $(PYTHON_PACKAGES)', then make again" >&2; exit 1; \
	fi

clean: ## remove what was built (never the data)
	rm -rf bin coverage.out bench/results
