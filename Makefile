# Each target does its own set-up: on a fresh machine `make run` or `make test` is all there is to type.

.DEFAULT_GOAL := help
.PHONY: help setup deploy-tools console build run test test-unit test-console clients clients-generate lint check-specs bless release-schemas bench soak map clean

TARGET := $(or $(CARGO_TARGET_DIR),target)
# The whole workspace is named everywhere, so that every target sees the same features and nothing is built twice.
HOOKLINE := cargo build --workspace --bin hookline

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST))

deploy-tools: ## fetch the tools that deploy/check.sh looks with
	@deploy/dev/setup.sh --deploy

setup: ## find or fetch nats-server and Postgres
	@deploy/dev/setup.sh

# A debug binary reads the console from console/dist as it runs; a release binary holds what was there when it was built.
console: ## build the console, where a source of it has changed
	@deploy/dev/console.sh build

build: setup console
	$(HOOKLINE)

run: build ## everything in one process, with a simulated Meta and the console; data in .hookline
	@exec $(TARGET)/debug/hookline up --simulate

# Tests start the real binary, so it is built first. Most of them wait: three for each core.
test: build ## all tests, against real servers and a real browser
	@deploy/dev/setup.sh --tests
	@if cargo nextest --version >/dev/null 2>&1; then \
	  threads=$$(( $$(getconf _NPROCESSORS_ONLN) * 3 )); code=0; \
	  (set -x; cargo nextest run --workspace --test-threads $$threads) || code=$$?; \
	  echo 'The slowest tests, in seconds:'; \
	  sed -n 's/.*<testcase name="\([^"]*\)" classname="\([^"]*\)".* time="\([0-9.]*\)".*/  \3  \2 \1/p' $(TARGET)/nextest/default/junit.xml | sort -rn | head -n 10; \
	  exit $$code; \
	else \
	  set -x; cargo test --workspace --lib --bins --tests; \
	fi
	cargo test --workspace --doc
	@deploy/dev/console.sh test
	@deploy/dev/clients.sh test

test-console: ## the tests of the console alone
	@deploy/dev/setup.sh --tests
	@deploy/dev/console.sh test

clients: setup ## the clients of all languages: is what is generated up to date, tests, a soak
	@deploy/dev/clients.sh test

clients-generate: ## write the generated types of the clients anew
	@deploy/dev/clients.sh generate

# Servers and processes are started by the crates `tests` and `servers`, and in `clients/rust/tests`, alone.
test-unit: ## the tests that start nothing: seconds, for the loop
	@if cargo nextest --version >/dev/null 2>&1; then \
	  set -x; cargo nextest run --workspace --exclude tests --exclude servers --lib; \
	else \
	  set -x; cargo test --workspace --exclude tests --exclude servers --lib; \
	fi

lint: setup ## formatting, clippy, docs, dependencies, scripts, what is published
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	@if cargo deny --version >/dev/null 2>&1; then \
	  set -x; cargo deny check bans licenses sources; \
	else \
	  echo 'notice: cargo-deny is not installed; dependencies are not checked (cargo install cargo-deny)'; \
	fi
	@if cargo machete --version >/dev/null 2>&1; then \
	  set -x; cargo machete; \
	else \
	  echo 'notice: cargo-machete is not installed; unused dependencies are not looked for (cargo install cargo-machete)'; \
	fi
	@deploy/dev/console.sh lint
	@deploy/dev/specs.sh
	deploy/dev/check-nats-conf.sh
	deploy/check.sh

# OpenAPI, AsyncAPI and the JSON Schemas, by the programs that others read them with.
check-specs: ## check what is published for others to read
	@deploy/dev/specs.sh

bless: setup ## write the generated files (JSON Schemas, golden events, AsyncAPI, docs/metrics.md, types of the console) anew
	BLESS=1 cargo test -p schemas
	BLESS=1 cargo test -p hookline --test metrics
	BLESS=1 cargo test -p api --lib openapi
	@deploy/dev/console.sh types

release-schemas: setup ## keep today's schemas as release VERSION=1.N, which no later one may break
	cargo test -p schemas
	cargo test -p api --lib openapi
	deploy/dev/release-schemas.sh $(VERSION)
	cargo test -p schemas --test released

# `make bench BENCH=ingest` runs one of them.
bench: setup console ## measure, with all optimisations
	cargo build --profile dist --workspace --bin hookline
	cargo bench --profile dist -p bench $(if $(BENCH),--bench $(BENCH))

soak: build ## the tests that take long
	cargo test -p tests --test long -- --include-ignored
	cargo test -p facts --release --lib -- --ignored

map: ## draw the house: crates, arrows, circles, what is longest, figures
	@cargo run --quiet -p house -- map

clean: ## build results, fetched programs, and the data of `make run`
	@deploy/dev/clean.sh
	cargo clean
