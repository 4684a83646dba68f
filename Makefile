# Everything that is needed is put into CDCD_CACHE (default ~/.cache/cdcd) and used again.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
export CDCD_CACHE ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/cdcd
export CGO_ENABLED := 0
STATICCHECK := $(CDCD_CACHE)/bin/staticcheck-v0.8.2
GOFUMPT := $(CDCD_CACHE)/bin/gofumpt-v0.10.0
GHOST := $(CDCD_CACHE)/bin/gh-ost-v1.1.6

.PHONY: help build test test-long unit mutants servers engines integration crash check lint race fuzz bench bench-index soak soak-tables plots demo clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/cdcd, one static binary
	go build -trimpath -ldflags '-s -w' -o bin/cdcd ./cmd/cdcd

test: unit integration ## all tests: units, then real servers and engines (installs them on first use)

unit: ## unit tests only: a few minutes, nothing to install
	CDCD_SCHEDULES=5960 CDCD_SEEDS=2000 go test -timeout 40m ./...

test-long: servers engines $(GHOST) ## every schedule of faults in memory and 2,000 random ones; what is large: tables, columns, blobs, transactions; gh-ost; each parser fuzzed for 10 minutes
	go test -count=1 -timeout 180m -run '^Test(Random|Rewrite|Quarantine|Renew)?Schedules$$' ./commit -v -schedules 0 -rounds 2000
	go test -tags integration,long -count=1 -timeout 3h -run '^Test(ManyTables|WideTable|LargeBlobs|HugeTransaction|GhOst)$$' ./integration -v
	$(MAKE) fuzz FUZZTIME=10m

mutants: ## schedules of faults, and orders of maintenance, notice each rule of the protocol that is left out
	go test -tags mutant -count=1 -run '^(TestMutants|TestMutantsOfMaintenance|TestFaultsDoc)$$' ./commit ./compaction -v

servers:
	integration/servers/db-server install mysql97 mariadb118 mariadb1011
	integration/servers/s3-server install
	integration/servers/postgres install
	integration/servers/iceberg-rest install
	integration/servers/nessie install

engines:
	integration/engines/get-engines

integration: servers engines ## tests on real MySQL and MariaDB, read by PyIceberg, DuckDB, Spark and Trino
	go test -tags integration -count=1 -timeout 80m ./integration

ROUNDS ?= 200
crash: servers engines ## kill the daemon ROUNDS times, on disk and in S3 behind injected faults (SEED repeats a run)
	CDCD_CRASH_ROUNDS=$(ROUNDS) CDCD_CRASH_SEED=$(SEED) go test -tags integration,crash -count=1 -timeout 6h -run '^(TestCrashLong|TestLossyFailover|TestResetLog)$$' -v ./integration

check: lint unit ## vet, staticcheck, gofumpt and the unit tests

lint: $(STATICCHECK) $(GOFUMPT)
	go vet ./... && go vet -tags failpoint ./... && go vet -tags mutant ./commit ./compaction ./table && go vet -tags integration,bench,crash,soak,long ./integration
	$(STATICCHECK) ./... && $(STATICCHECK) -tags integration,bench,crash,soak,long,failpoint ./integration ./commit && $(STATICCHECK) -tags mutant ./commit ./compaction ./table
	@unformatted=$$($(GOFUMPT) -l .); [ -z "$$unformatted" ] || { echo "gofumpt: $$unformatted"; exit 1; }

$(STATICCHECK):
	GOBIN=$(@D) go install honnef.co/go/tools/cmd/staticcheck@v0.8.2 && mv $(@D)/staticcheck $@

$(GOFUMPT):
	GOBIN=$(@D) go install mvdan.cc/gofumpt@v0.10.0 && mv $(@D)/gofumpt $@

$(GHOST):
	mkdir -p $(@D) && cd "$$(go mod download -json github.com/github/gh-ost@v1.1.6 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')" && go build -mod=readonly -o $@ ./go/cmd/gh-ost

race: ## unit tests under the race detector (needs a C compiler)
	CDCD_SCHEDULES=40 CDCD_SEEDS=40 CGO_ENABLED=1 go test -race -timeout 50m ./capture/... ./commit/... ./compaction/... ./table/... ./verify/... ./fsck/... ./cmd/...

FUZZTIME ?= 60s
fuzz: ## every fuzz target, FUZZTIME each, little of it on making inputs smaller
	@for package in $$(go list ./...); do for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
		echo "$$package $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$package || exit 1; done; done

bench: servers ## measure; figures go to bench/latest.json
	go test -tags integration,bench -count=1 -timeout 30m -run '^TestBench$$' ./integration -v | grep -v -e '^=== ' -e '^---'

ROWS_INDEX ?= 5000000
ROWS_SCALE ?= 20000000
bench-index: ## the key index beside a general store (ROWS_INDEX entries), alone, and rebuilt from Parquet (ROWS_SCALE)
	cd integration/indexbench && go vet . && go test -count=1 -timeout 60m -v . -rows $(ROWS_INDEX)
	go test -count=1 -timeout 60m -run '^TestScale$$' -v ./table/keyindex -scale $(ROWS_SCALE)
	go test -count=1 -timeout 60m -run '^$$' -bench '^BenchmarkCatchUp$$' -benchtime 3x ./table -catchup $(ROWS_SCALE)

soak: servers engines ## random faults under load for MINUTES (20), from SEED, on RELEASE (mysql97), in CATALOG (embedded)
	go test -tags integration,soak -count=1 -timeout 12h -run '^TestSoak$$' -v ./integration

COMMITS ?= 5000
ROWS ?= 5000000
CHANGES ?= 2000
soak-tables: servers engines ## COMMITS of CHANGES each to a table of ROWS, files rewritten meanwhile; figures go to bench/soak-tables
	COMMITS=$(COMMITS) ROWS=$(ROWS) CHANGES=$(CHANGES) go test -tags integration,bench -count=1 -timeout 4h -run '^TestSoakTables$$' ./integration -v | grep -v -e '^=== ' -e '^---'

plots: ## draw what make soak-tables and make bench measured, for docs/benchmarks.md
	mkdir -p docs/bench && cp bench/soak-tables/*.csv docs/bench/ && cp bench/soak-tables/figures.json docs/bench/soak-tables.json && cp bench/latest.json docs/bench/bench.json
	go run ./integration/plot docs/bench docs/img

demo: ## a live shop replicated into Iceberg tables, a crash in the middle, every row compared (STORE=s3 CATALOG=rest: in S3)
	demo/demo

clean: ## remove what was built here, and stop a demo that was left; the cache stays
	[ ! -e build/demo ] || demo/demo stop
	rm -rf bin build bench
