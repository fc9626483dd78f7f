# Everything a developer or a user types. Needs Python 3.11 or newer and make; the rest comes as wheels.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/installed
PROTOS := $(sort $(wildcard proto/kintsugi/v1/*.proto))
SERVICES := $(sort $(wildcard proto/kintsugi/v1/*_service.proto))
# Error bodies carry these, so Envoy has to know them although no proto of ours imports them.
DETAILS := google/rpc/error_details.proto google/rpc/status.proto
INCLUDE = -I proto -I $(shell $(BIN)/python -c 'import google.rpc, pathlib; print(pathlib.Path(google.rpc.__path__[0]).parents[1])')
PROTOC = PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc $(INCLUDE)

API_LINTER := build/api-linter

.PHONY: run test soak bench install lint api-lint gen lock release-protos build/protos.binpb

run: install
	@$(BIN)/kintsugi up

test: install
	$(BIN)/pytest

soak: install
	KINTSUGI_SOAK=1 $(BIN)/pytest
	KINTSUGI_SOAK=1 $(BIN)/python -m bench sizes

bench: install
	$(BIN)/python -m bench

install: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

lint: install build/protos.binpb
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint build/protos.binpb
	$(BIN)/buf breaking build/protos.binpb --against proto/released.binpb
	@if command -v go > /dev/null; then $(MAKE) --no-print-directory api-lint; \
	else echo "api-linter is skipped: it is built with Go, which isn't here"; fi

api-lint: install $(API_LINTER)
	$(API_LINTER) --config api-linter.yaml --set-exit-status --output-format github $(INCLUDE) $(PROTOS:proto/%=%)

$(API_LINTER): proto/lint/go.mod proto/lint/go.sum
	@mkdir -p build
	cd proto/lint && CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -o $(CURDIR)/$@ \
	  github.com/googleapis/api-linter/v2/cmd/api-linter

# The protos with their comments, for what reads these.
build/protos.binpb: install
	@mkdir -p build
	$(PROTOC) --include_imports --include_source_info --descriptor_set_out=$@ $(PROTOS)

gen: install build/protos.binpb
	rm -rf gen/kintsugi && mkdir -p gen
	$(PROTOC) --python_out=gen --mypy_out=quiet:gen $(PROTOS)
	$(PROTOC) --grpc_python_out=gen --mypy_grpc_out=quiet:gen $(SERVICES)
	$(PROTOC) --include_imports --descriptor_set_out=gen/kintsugi/v1/descriptors.binpb $(PROTOS) $(DETAILS)
	$(BIN)/python -m server.resources.document
	$(BIN)/python -m server.document
	$(BIN)/python -m openapi build/protos.binpb gen/kintsugi/v1

# Makes the protos as they are now the ones that later changes must not break.
release-protos: install
	$(PROTOC) --include_imports --descriptor_set_out=proto/released.binpb $(PROTOS)

# Pins the newest versions that pyproject.toml allows, for every platform.
lock: install
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 --no-header \
	  pyproject.toml --group dev --output-file requirements.lock
