# What a developer types. `make help` lists it; CI runs .ci/run, which calls the same targets.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
ARGS    ?=

TOOL    := $(GO) tool -modfile=.ci/tools/go.mod
LINT    := $(GO) tool -modfile=.ci/tools/lint/go.mod golangci-lint
SMALL   := -gcflags=github.com/aws/...=-l -gcflags=github.com/Azure/...=-l -gcflags=github.com/redis/...=-l -gcflags=github.com/docker/...=-l \
	-gcflags=github.com/go-acme/...=-l -gcflags=github.com/spf13/...=-l -gcflags=google.golang.org/...=-l
BENCHES := registrybench initbench fleetbench gcbench

.PHONY: help up build test bench lint fmt completions clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 13

up: build ## build, then start a registry here (docker if an engine answers, else a process); ARGS="--port 5001" and the like
	./bin/regctl init $(ARGS)

# Static, because the same file is the image. The version comes by the linker and
# not from the VCS stamp, which fails in a clone that another user owns. The tag
# leaves out grpc's tracing pages, which nobody could reach: 0.3 MB. Clients of
# storage, Redis, Docker and CAs wait for the network all day: not inlined, they and
# what else no request passes through are 2.6 MB less.
build: ## build the static ./bin/regctl
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -tags grpcnotrace $(SMALL) -ldflags '-s -w -X main.version=$(VERSION)' -o bin/regctl ./cmd/regctl

test: ## install what the tests need (Debian and Ubuntu, as root), run them all, name what was skipped
	@sh .ci/setup
	@GO='$(GO)' sh .ci/test $(ARGS)

bench: build ## measure regctl against docker run, Debian's docker-registry and the usual ways over SSH
	@sh .ci/setup
	@sh .ci/setup bench-packages
	@for b in $(BENCHES); do $(GO) run ./internal/bench/$$b $(ARGS) || exit 1; done

lint: ## gofumpt, go vet and golangci-lint, the direction of imports included
	@out=$$($(TOOL) gofumpt -l .) && test -z "$$out" || { echo "gofumpt: make fmt would change:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(LINT) run

fmt: ## format the code as lint wants it
	$(TOOL) gofumpt -w .

completions: build ## write the shells' completion scripts into bin/completions
	@mkdir -p bin/completions
	@for s in bash zsh fish powershell; do ./bin/regctl completion $$s >bin/completions/regctl.$$s || exit 1; done

clean: ## remove what the build left
	rm -rf bin dist
