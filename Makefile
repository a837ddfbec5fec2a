# pg_rfm without cargo-pgrx: needs Rust, make, and a PostgreSQL that `make deps` can install on Debian.

# The PostgreSQL to build for. Recursive on purpose: it is looked up after `deps` had the chance to install one.
PG_CONFIG ?= $(shell tests/support/deps.sh --pg-config)
PG         = $(shell "$(PG_CONFIG)" --version | sed -nE 's/^PostgreSQL ([0-9]+).*/pg\1/p')
TARGET    := $(abspath $(or $(CARGO_TARGET_DIR),target))
SO         = $(TARGET)/$(PG)/pg_rfm.so
PKGLIBDIR  = $(DESTDIR)$(shell "$(PG_CONFIG)" --pkglibdir)
EXTDIR     = $(DESTDIR)$(shell "$(PG_CONFIG)" --sharedir)/extension
CORE      := --locked --no-default-features
DEPS       = PG_CONFIG="$(PG_CONFIG)" tests/support/deps.sh
CLUSTER    = PG_CONFIG="$(PG_CONFIG)" PG_RFM_SO="$(SO)" tests/support/cluster.sh

export PGRX_PG_CONFIG_PATH = $(PG_CONFIG)

.PHONY: all help deps build schema install install-files uninstall package test test-citus upgrade matrix integrations lint \
        bench faults sidecar demo dashboard demo-stop clean

# Steps that install what is missing come before those that need it; cargo uses all cores by itself.
.NOTPARALLEL:

all: build

help:
	@echo 'make demo       segment 6,919 real orders in a PostgreSQL of its own and print the tables'
	@echo '                own data: make demo ORDERS=file.csv [CUSTOMER=col] [DATE=col] [AMOUNT=col] [ORDER=col] [AS_OF=day]'
	@echo 'make dashboard  Apache Superset over that and a worked shop, in English and Japanese, on 127.0.0.1 (about 830 MB of packages)'
	@echo 'make demo-stop  stop and delete that PostgreSQL'
	@echo 'make test       all tests, in a throwaway PostgreSQL; one of them: make test ARGS="--test installation smoke"'
	@echo 'make test-citus a coordinator and two workers on this machine, where Citus is installed; one test: ARGS=segmentation'
	@echo 'make upgrade    builds a next version of the extension and updates a shop to it'
	@echo 'make matrix     all tests with PostgreSQL 13 to 18, each in a root made by debootstrap; some: make matrix VERSIONS="13 18"'
	@echo 'make integrations  what dbt, Python and Superset make of it, where their packages can be installed; some: ARGS="clients dbt"'
	@echo 'make install    into the PostgreSQL of PG_CONFIG (also: DESTDIR=..., make uninstall)'
	@echo 'make package    a Debian package for the PostgreSQL of PG_CONFIG, into target/package'
	@echo 'make bench      speed and memory, as ratios to plain SQL; one of them: make bench BENCH=speed, BENCH=segmentation, BENCH=prediction, BENCH=scale'
	@echo 'make faults     cancels, kills, a full disk, a standby, random queries, counted; hours of them: make faults ARGS=long'
	@echo 'make sidecar    docs/managed-clouds.md with two PostgreSQL servers on this machine: the answers compared, seconds printed; ARGS=20000 orders'
	@echo 'make deps       install what building and testing lack (Debian); demo, test and bench do it too, nothing else does'
	@echo 'make            only the extension; make schema: write its install script sql/pg_rfm--*.sql again'
	@echo 'make lint       fmt and clippy, warnings are errors; cargo-deny, where it is installed'
	@echo 'All take PG_CONFIG=/path/to/pg_config; without it, the newest PostgreSQL of pgrx.toml that is installed.'

deps:
	@$(DEPS)

# Built for one PostgreSQL at a time in $(TARGET)/release, kept per version in $(SO), so that `make && sudo make install`
# works where root has no cargo. The section .pgrxsc holds the SQL; some linkers drop it unless told not to collect sections.
# The few lines of C that pgrx compiles name their file, which packaging/rustc.sh does not reach.
build:
	@$(DEPS) --check
	@if command -v cargo >/dev/null; then \
	  RUSTC_WRAPPER="$(abspath packaging/rustc.sh)" PG_RFM_TARGET="$(TARGET)" CFLAGS="$(CFLAGS) -ffile-prefix-map=$(TARGET)=/target" \
	  cargo rustc --release --lib --crate-type cdylib $(CORE) --features $(PG) -- -C link-arg=-Wl,--no-gc-sections && \
	  { cmp -s "$(TARGET)/release/libpg_rfm.so" "$(SO)" || install -D -m 755 "$(TARGET)/release/libpg_rfm.so" "$(SO)"; }; \
	elif [ ! -e "$(SO)" ]; then echo 'pg_rfm: cargo is not on the PATH (Rust: https://rustup.rs)' >&2; exit 1; fi

schema: build
	@PG_RFM_SO="$(SO)" PG_RFM_UPDATE=1 cargo test $(CORE) --test installation is_what_the_code_generates

install: build install-files

install-files:
	@install -d "$(PKGLIBDIR)" "$(EXTDIR)"
	@install -m 755 "$(SO)" "$(PKGLIBDIR)/pg_rfm.so"
	@install -m 644 pg_rfm.control sql/pg_rfm--*.sql "$(EXTDIR)"

uninstall:
	rm -f "$(PKGLIBDIR)/pg_rfm.so" "$(EXTDIR)"/pg_rfm.control "$(EXTDIR)"/pg_rfm--*.sql

# A package of Debian for the PostgreSQL of PG_CONFIG.
package: build
	@PG_CONFIG="$(PG_CONFIG)" SO="$(SO)" PACKAGES="$(TARGET)/package" packaging/deb.sh

# Logical: one test needs a logical replica.
test: deps build
	@PG_RFM_SETTINGS='wal_level=logical' $(CLUSTER) run test cargo test $(CORE) $(ARGS)

test-citus: deps build
	@PG_CONFIG="$(PG_CONFIG)" PG_RFM_SO="$(SO)" tests/support/citus.sh cargo test $(CORE) --test citus -- --test-threads=1 $(ARGS)

# In a server of its own, whose library the test replaces.
upgrade: deps build
	@PG_RFM_NEXT_SO=$$(TARGET="$(TARGET)" PG_CONFIG="$(PG_CONFIG)" tests/support/next_version.sh 999.0.0) && export PG_RFM_NEXT_SO && \
	  $(CLUSTER) run upgrade cargo test $(CORE) --test installation upgrade:: -- --show-output

matrix:
	@packaging/matrix.sh $(VERSIONS)

integrations: deps build
	@$(CLUSTER) run integrations integrations/check.sh $(ARGS)

lint:
	@$(DEPS) --check
	cargo fmt --check
	cargo clippy $(CORE) --all-targets -- -D warnings
	cargo clippy $(CORE) --lib --release --features $(PG) -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check; else echo 'cargo-deny is not installed: crates not checked'; fi

# Settings of a small real server: durable, so that the floor pays what a shop's server pays, on an SSD.
BENCH ?= speed segmentation prediction
bench: deps build
	@PG_RFM_SETTINGS='shared_buffers=4GB fsync=on full_page_writes=on synchronous_commit=on max_wal_size=4GB jit=off random_page_cost=1.1 work_mem=64MB' \
	  $(CLUSTER) run bench cargo bench $(CORE) $(BENCH:%=--bench %) $(if $(ARGS),-- $(ARGS))

faults: deps build
	@PG_CONFIG="$(PG_CONFIG)" PG_RFM_SO="$(SO)" tests/bench/faults.sh $(ARGS)

sidecar: deps build
	@PG_CONFIG="$(PG_CONFIG)" PG_RFM_SO="$(SO)" tests/bench/sidecar.sh $(ARGS)

demo: deps build
	@$(CLUSTER) start demo
	@eval "$$($(CLUSTER) env demo)" && ORDERS="$(ORDERS)" CUSTOMER="$(CUSTOMER)" DATE="$(DATE)" AMOUNT="$(AMOUNT)" ORDER="$(ORDER)" AS_OF="$(AS_OF)" sql/demo/demo.sh

dashboard: deps build
	@$(CLUSTER) start demo
	@eval "$$($(CLUSTER) env demo)" && integrations/superset/dashboard.sh

demo-stop:
	@$(CLUSTER) stop demo

clean:
	cargo clean
