# Everything that is done with this repository. `make` or `make help` lists it.

# The walls between modules: a target may import only what Package.swift says it depends on.
WALLS := --explicit-target-dependency-import-check error
# Their tests wait on Swift's own threads, which tests with processes keep busy: they run by themselves.
ASYNC := ^(NexusOriginsTests|NexusCacheTests)\.
SOURCES := Sources Tests Benchmarks Examples fuzz Package.swift
# For `make run`: make run ARGS="--max-memory 1gb --redis-port 7000"
ARGS ?=
SECONDS ?= 60
NODES ?= 3
# For `make test-tsan` and `make test-asan`: a regular expression of tests; all where it is empty.
FILTER ?=

.DEFAULT_GOAL := help
.PHONY: help demo run build bench bench-quick chaos test test-asan test-tsan fuzz lint format docs docc clean

help: ## this list
	@echo "NexusCache: targets of this Makefile"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: build ## build, then a cluster of three nodes on this machine to play with (NODES=5; Ctrl-C stops it)
	@exec .build/release/nexuscache demo --nodes $(NODES)

run: build ## build, then start a node (settings: make run ARGS="--max-memory 1gb")
	@exec .build/release/nexuscache serve $(ARGS)

build: ## .build/release/nexuscache, with the Swift libraries linked in
	@scripts/setup build
	swift build -c release --product nexuscache --static-swift-stdlib

test: ## formatting, module walls, tidiness and every test, those with real clients too
	@scripts/setup build test
	@scripts/venv
	@$(MAKE) --no-print-directory lint
	swift build --build-tests $(WALLS)
	swift test --skip-build --disable-xctest $(WALLS) --skip "$(ASYNC)"
	swift test --skip-build --disable-xctest $(WALLS) --filter "$(ASYNC)"

test-asan: ## the tests, and the servers they start, under the address and leak sanitizer
	@scripts/setup build test
	@scripts/venv
	@ASYNC='$(ASYNC)' scripts/sanitized address "$(FILTER)"

test-tsan: ## the same under the thread sanitizer (FILTER=StoreTests runs those alone)
	@scripts/setup build test
	@scripts/venv
	@ASYNC='$(ASYNC)' scripts/sanitized thread "$(FILTER)"

chaos: build ## real nodes killed, kept busy and asked a million times; writes chaos/REPORT.md (about an hour)
	@scripts/setup build test
	swift build --build-tests $(WALLS)
	scripts/chaos

bench: build ## everything measured beside Redis, memcached and nginx (about 30 minutes; TRACES=DIR adds miss ratios)
	@scripts/setup bench
	bench/run

bench-quick: build ## the same, smaller and noisier (about 3 minutes)
	@scripts/setup bench
	bench/run --quick

fuzz: ## the parsers and the store under libFuzzer (make fuzz SECONDS=60)
	@scripts/setup build
	fuzz/run $(SECONDS)

lint: ## formatting, strictly
	swift format lint --strict --recursive --parallel $(SOURCES)

format: ## put the formatting right
	swift format --in-place --recursive --parallel $(SOURCES)

docs: ## write the sections of docs/ that come from tables in the code
	UPDATE_DOCS=1 swift test --disable-xctest --filter DocumentationTests

docc: ## the library's documentation as web pages in .build/docc, rendered without a network
	@scripts/setup build
	scripts/docc

clean: ## remove what was built
	rm -rf .build .build-asan .build-tsan .venv
