# What a developer, CI and the README run. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help devnet test lint unit simulation mutations sim sets deaths evidence reorgs model contracts analyze e2e bench kills fmt tools clients geth ethereumjs wasm

# Cargo's own choice of jobs; seeds of `make sim`.
SEEDS ?= 1-50

STAMP := contracts/node_modules/.package-lock.json

help: # this list
	@grep -E '^[a-z0-9]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14

devnet: ## an L1, four sequencers and a follower on this machine
	cargo build --locked -p rota-node -p rota-deploy
	./target/debug/rota devnet up $(ARGS)

test: unit simulation mutations contracts e2e wasm ## everything that CI runs, besides lint

lint: ## formats, clippy without warnings, documentation links
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --workspace --test '*' -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet

# Always the whole workspace, so that every step builds the same features and nothing is compiled twice.
unit: $(STAMP) ## tests of every crate, some of them against a real anvil
	cargo test --locked --workspace

simulation: ## whole sets under a virtual clock, each seed twice; the model of the round-change rules
	cargo test --locked --workspace --test simulation --test set_changes --test byzantine --test evidence --test losses --test insurance --test ed25519 --test leading --test model

mutations: ## rules switched off one by one: the simulation must notice each
	cargo test --locked --workspace --features rota-tests/mutations --test mutations

# A number N means 1-N. A failure names the command that replays it; VERBOSE=1 then prints every message.
sim: ## random plans of whole sets: make sim SEEDS=1-300, make sim SEED=17
	cargo build --locked -p rota-tests --example sim
	./target/debug/examples/sim $(if $(SEED),seed=$(SEED),$(SEEDS))

deaths: ## what deaths of leaders cost in virtual time: make deaths SEEDS=1-900
	cargo build --locked -p rota-tests --example sim
	./target/debug/examples/sim sets deaths=$(SEEDS)

evidence: ## sets with liars; every accusation goes before the contracts: make evidence SEEDS=1-300
	cargo build --locked -p rota-tests --example sim
	./target/debug/examples/sim $(if $(SEED),evidence-seed=$(SEED),evidence=$(SEEDS))

sets: ## the set changes, and something goes wrong just then: make sets SEEDS=1-300
	cargo build --locked -p rota-tests --example sim
	./target/debug/examples/sim $(if $(SEED),sets-seed=$(SEED),sets=$(SEEDS))

reorgs: ## liars, and an L1 that takes final blocks back: make reorgs SEEDS=1-300
	cargo build --locked -p rota-tests --example sim
	./target/debug/examples/sim $(if $(SEED),reorgs-seed=$(SEED),reorgs=$(SEEDS))

model: ## the rules of round changes, at random: make model WALKS=1000000, SEED=17, RULES=no-a4
	cargo build --locked -p rota-tests --example model
	@WALKS='$(WALKS)' SEED='$(SEED)' RULES='$(RULES)' ./target/debug/examples/model

# The target is a part of Rust that rustup fetches: where it cannot be had, this is skipped and says so.
WASM_DIR = $$(rustc --print target-libdir --target wasm32-unknown-unknown)
wasm: ## receipts checked by WebAssembly in Node, against the vectors
	@if ! [ -d "$(WASM_DIR)" ] && ! rustup target add wasm32-unknown-unknown; then \
	  echo "SKIPPED wasm: rustup target add wasm32-unknown-unknown failed"; exit 0; fi; \
	CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_STRIP=true CARGO_PROFILE_RELEASE_OPT_LEVEL=s CARGO_PROFILE_RELEASE_LTO=fat \
	  cargo build --locked --release -p rota-verify-wasm --target wasm32-unknown-unknown; \
	node verify/wasm/test.mjs "$${CARGO_TARGET_DIR:-target}/wasm32-unknown-unknown/release/rota_verify_wasm.wasm"

contracts: $(STAMP) ## Solidity: format, tests, committed artifacts, gas
	cd contracts && npm run --silent fmt:check
	cd contracts && npm test --silent
	cd contracts && npm run --silent artifacts:check
	cd contracts && npm run --silent gas:check

# Not in CI: what it finds is judged in contracts/README.md. Slither asks forge for its settings only; the compiler is the npm one.
ANALYZED = $(CURDIR)/target/analyze
analyze: $(STAMP) ## Slither over the contracts; skipped where it is not installed
	@if ! command -v slither >/dev/null; then \
	  echo "SKIPPED analyze: slither is not installed (pip install slither-analyzer)"; exit 0; fi; \
	cd contracts; export PATH="$$PWD/node_modules/.bin:$$PATH"; \
	forge build --quiet --force --build-info --skip test script --out $(ANALYZED) --cache-path $(ANALYZED)/cache \
	  --build-info-path $(ANALYZED)/build-info; \
	slither . --ignore-compile --foundry-out-directory $(ANALYZED) --foundry-build-info-directory $(ANALYZED)/build-info \
	  --filter-paths "node_modules|test/" --exclude incorrect-equality,uninitialized-local,unused-return \
	  --exclude-low --exclude-informational --exclude-optimization --fail-none

e2e: $(STAMP) clients geth ethereumjs ## stock clients against real processes
	cargo test --locked --workspace --test rpc -- --ignored
	cargo build --locked --workspace --bins
	cargo test --locked --workspace --test 'e2e*' -- --test-threads=1

bench: clients ## the figures of the README, on this machine
	cargo build --locked --release -p rota-node -p rota-deploy -p rota-execution
	cargo run --locked --release -p rota-tests --example bench
	cargo run --locked --release -p rota-execution --example bench
	cargo run --locked --release -p rota-tests --example derive
	cargo run --locked --release -p rota-tests --example signer

kills: clients ## what deaths of the leader cost, on this machine: make kills N=200
	cargo build --locked -p rota-node -p rota-deploy -p rota-execution
	cargo run --locked -p rota-tests --example kills -- $(or $(N),200) $(or $(SEED),1) target/kills.json

fmt: ## write the format
	cargo fmt --all
	cd contracts && npx --no-install forge fmt

tools: $(STAMP)
$(STAMP): contracts/package-lock.json
	cd contracts && npm ci --silent
	@touch $@

clients: node/tests/clients/node_modules/.package-lock.json
node/tests/clients/node_modules/.package-lock.json: node/tests/clients/package-lock.json
	cd node/tests/clients && npm ci --silent
	@touch $@

# Unmodified Ethereum clients that follow the rollup. The newest geth whose modules can all be had from the module proxy; the same version
# is named in tests/src/clients.rs. Built once, kept in the target directory.
GETH = v1.17.8
GETH_BIN = $(abspath $(or $(CARGO_TARGET_DIR),target))/geth/$(GETH)
geth: ## go-ethereum by its Go module; skipped where Go is not installed
	@if [ -x "$(GETH_BIN)/geth" ]; then exit 0; fi; \
	if ! command -v go >/dev/null; then echo "SKIPPED geth: Go is not installed"; exit 0; fi; \
	GOBIN="$(GETH_BIN)" go install github.com/ethereum/go-ethereum/cmd/geth@$(GETH) \
	  || echo "SKIPPED geth: it could not be built"

ethereumjs: tests/clients/node_modules/.package-lock.json
tests/clients/node_modules/.package-lock.json: tests/clients/package-lock.json
	cd tests/clients && npm ci --silent
	@touch $@
