# `make` alone lists the targets. `make demo` and `make test` do their own
# set-up on a bare Debian machine with Go: .ci/setup installs what is missing.

GO       := go
LINT     := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
CACHE    := $(CURDIR)/.cache
TIME     := 30s
ROUNDS   := 200
COMMANDS := 36000
# Each commit is a release of its own, so that its packages replace those
# built before.
VERSION  := 0.1.$(shell git rev-list --count HEAD 2>/dev/null || echo 0)
ARCHES   := amd64 arm64 riscv64 s390x ppc64le
export CGO_ENABLED := 0

.DEFAULT_GOAL := help
.PHONY: help build demo test compat test-faults soak databases bench packages sysext policy lint fmt fuzz audit generate clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the static binary bin/qemu-ga
	$(GO) build -trimpath -buildvcs=false -ldflags='-s -w' -o bin/qemu-ga ./cmd/qemu-ga

demo: build ## freeze and thaw a scratch guest, and show how long writers stall
	.ci/setup tools
	$(GO) build -o bin/qga-demo ./cmd/qga-demo
	bin/qga-demo bin/qemu-ga

test: build audit ## run all tests: units, real filesystems, the real qemu-ga, VMs
	.ci/setup
	QGA_REFERENCE=$(CACHE)/reference/qemu-ga $(GO) test -count=1 -timeout=60m ./...
	QGA_REFERENCE=$(CACHE)/reference/qemu-ga GO=$(GO) .ci/fuzz 200x $(CACHE)/fuzz-short.md

compat: build ## compare every reply with the real qemu-ga's
	.ci/setup
	$(GO) test -count=1 -v ./cmd/qemu-ga/compat

test-faults: build ## the faults alone, and their table in .cache/faults.md
	.ci/setup
	rm -f $(CACHE)/faults.md
	FAULTS_TABLE=$(CACHE)/faults.md $(GO) test -count=1 ./cmd/qemu-ga/faults/...
	cat $(CACHE)/faults.md

soak: build ## 10,000 programs, ROUNDS (200) deaths in a freeze, COMMANDS (36000) at speed
	.ci/setup
	EXEC_ROUNDS=10000 $(GO) test -count=1 -v -run TestExecLeavesNothing ./agent
	SOAK_ROUNDS=$(ROUNDS) SOAK_COMMANDS=$(COMMANDS) $(GO) test -count=1 -v -timeout=3h -run TestSoak ./cmd/qemu-ga/faults/ground

databases: build ## 20 snapshots of busy databases, with and without hooks
	.ci/setup
	DATABASES_SNAPSHOTS=20 $(GO) test -count=1 -v -timeout=3h ./cmd/qemu-ga/databases

bench: build ## this agent against the real qemu-ga; results in packaging/doc/bench
	.ci/setup
	$(GO) build -o bin/qga-bench ./cmd/qga-bench
	bin/qga-bench bin/qemu-ga $(CACHE)/reference packaging/doc/bench

packages: ## build deb, rpm, apk and Arch packages for ARCHES into dist
	packaging/build.sh packages dist $(VERSION) $(ARCHES)

sysext: ## build a systemd system extension for ARCHES into dist
	packaging/build.sh sysext dist $(VERSION) $(ARCHES)

policy: ## compile the SELinux module, install it in a scratch store, and analyse it
	.ci/setup tools
	.ci/setup selinux
	$(GO) test -count=1 -v -run TestModule ./cmd/qemu-ga/confined

lint: ## check the code's form, and the walls between the packages
	$(LINT) run ./...
	shellcheck .ci/run .ci/setup .ci/fuzz .ci/vuln
	shellcheck -e SC2317 packaging/hooks/*

fmt: ## format the code
	$(LINT) fmt ./...

fuzz: ## run every fuzz target for TIME (30s), and keep count in .cache/fuzz.md
	.ci/setup reference
	QGA_REFERENCE=$(CACHE)/reference/qemu-ga GO=$(GO) .ci/fuzz $(TIME) $(CACHE)/fuzz.md

audit: ## check the modules' sums, and for known vulnerabilities (VULNDB)
	$(GO) mod verify
	GO=$(GO) .ci/vuln

generate: ## write the reference of the commands anew: a page and a manual page
	$(GO) run ./cmd/internal/reference

clean: ## remove what was built and downloaded
	rm -rf bin dist .cache
