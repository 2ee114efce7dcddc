# Everyday commands. `make` alone prints them.
SHELL := /bin/bash
GO ?= go
LDFLAGS := -s -w
BIN := bin
TOOLS := $(BIN)/tools
LOCAL := infra/local
PROMCHECK := infra/deploy/promcheck

.DEFAULT_GOAL := help
.PHONY: help build demo test soak interop lint bench bench-llm bench-retrieval bench-data soak-rows fmt clean tools licenses licenses-print fuzz

help: ## Print the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

build: ## Build rebased, rebased-worker and rebased-local into bin/
	@mkdir -p $(BIN)
	$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN)/rebased ./starter
	$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN)/rebased-worker ./worker
	@echo "building rebased-local: the embedded servers take some minutes the first time"
	cd $(LOCAL) && $(GO) build -ldflags '$(LDFLAGS)' -o ../../$(BIN)/rebased-local .

demo: build ## Build a demo dataset from end to end on the embedded stack
	$(BIN)/rebased-local demo

test: ## Run the tests: unit, workflow, conformance and end to end on the real servers
	$(GO) test ./...
	cd $(LOCAL) && REBASED_BIN= $(GO) test -count=1 -timeout 20m ./...

soak: ## Kill the worker five times and the stack once in mid-build, and run every fault in full; compare byte for byte (20 minutes)
	cd $(LOCAL) && REBASED_KILLS=5 REBASED_FAULTS=all $(GO) test ./e2e -run 'Killed|Faults' -v -count=1 -timeout 60m

interop: build ## Check against other people's software (Python in a virtual environment of its own)
	infra/interop/run

lint: tools ## Run the static checks
	$(TOOLS)/golangci-lint run ./...
	cd $(LOCAL) && ../../$(TOOLS)/golangci-lint run ./...
	cd $(PROMCHECK) && ../../../$(TOOLS)/golangci-lint run ./...
	$(TOOLS)/workflowcheck ./workflows/...
	cd infra/deploy/check && $(GO) test ./...
	cd $(PROMCHECK) && $(GO) test ./...
	@$(MAKE) -s --no-print-directory licenses-print | diff docs/licenses.md - || { echo "docs/licenses.md is not what is linked: make licenses"; exit 1; }

licenses: tools ## Write the licences of all that is linked to docs/licenses.md
	$(MAKE) -s --no-print-directory licenses-print > docs/licenses.md

licenses-print:
	@set -e; printf '# Licences\n\nWhat is linked into `rebased` and `rebased-worker`, made by `make licenses`; their texts: `bin/tools/licenses -texts ./worker ./starter`.\n\n'; \
	$(TOOLS)/licenses ./worker ./starter; printf '\nInto `rebased-local`:\n\n'; cd $(LOCAL); ../../$(TOOLS)/licenses .

fuzz: ## Run every fuzz test for FUZZTIME (default 10s each)
	.ci/fuzz $(or $(FUZZTIME),10s)

bench: build ## Print the benchmark tables
	cd $(LOCAL) && REBASED_BIN=$(CURDIR)/$(BIN) $(GO) run ./bench

bench-llm: build ## Print how calls to a teacher fare: rates, stored answers, limits, a kill (10 minutes)
	cd $(LOCAL) && REBASED_BIN=$(CURDIR)/$(BIN) $(GO) run ./bench -llm -runs 1

bench-retrieval: build ## Print how import, index and search fare beside pyarrow, faiss and numpy (4 minutes, 11 GB of TMPDIR)
	cd $(LOCAL) && REBASED_BIN=$(CURDIR)/$(BIN) $(GO) run ./bench -retrieval -runs 1

bench-data: ## Print what is found and removed of real and planted rows, and what it costs, beside rensa and datasketch (2 minutes)
	cd $(LOCAL) && $(GO) run ./bench/data

soak-rows: build ## Build 200,000 generated rows and print the worker's memory (4 minutes)
	cd $(LOCAL) && REBASED_BIN=$(CURDIR)/$(BIN) $(GO) run ./bench -soak -runs 1

tools: $(TOOLS)/.stamp
$(TOOLS)/.stamp: .ci/tools/go.mod
	@mkdir -p $(TOOLS)
	cd .ci/tools && $(GO) build -o ../../$(TOOLS)/ tool
	@touch $@

fmt: tools ## Format the code
	$(TOOLS)/golangci-lint fmt ./...

clean: ## Remove what was built and the local stack's data
	rm -rf $(BIN) .rebased
