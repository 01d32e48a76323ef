# `make` alone lists the targets. `make demo` and `make test` do their own
# set-up on a bare Debian machine with Go: .ci/setup installs what is missing.

GO       := go
LINT     := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
CACHE    := $(CURDIR)/.cache
FUZZTIME := 30s
export CGO_ENABLED := 0

.DEFAULT_GOAL := help
.PHONY: help build demo test lint fmt fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the static binary bin/qemu-ga
	$(GO) build -trimpath -ldflags='-s -w' -o bin/qemu-ga ./cmd/qemu-ga

demo: build ## freeze and thaw a scratch guest, and show how long writers stall
	.ci/setup tools
	$(GO) build -o bin/qga-demo ./cmd/qga-demo
	bin/qga-demo bin/qemu-ga

test: build ## run all tests: units, real filesystems, the real qemu-ga, VMs
	.ci/setup
	QGA_REFERENCE=$(CACHE)/reference/qemu-ga $(GO) test -count=1 -timeout=30m ./...

lint: ## check the code's form, and the walls between the packages
	$(LINT) run ./...
	shellcheck .ci/run .ci/setup

fmt: ## format the code
	$(LINT) fmt ./...

fuzz: ## run every fuzz target for FUZZTIME (30s)
	@set -e; for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for target in $$(grep -h '^func Fuzz' $$dir/*_test.go | sed 's/func \(Fuzz[A-Za-z0-9]*\).*/\1/'); do \
			$(GO) test $$dir -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME); done; done

clean: ## remove what was built and downloaded
	rm -rf bin .cache
