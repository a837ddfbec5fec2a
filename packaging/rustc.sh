#!/bin/sh
# Cargo's RUSTC_WRAPPER in `make build`: no folder of this machine gets into the library, so that two builds of one commit from
# scratch give the same bytes. As flags of RUSTFLAGS the folders would change the names of cargo's own folders, which stand there too.
exec "$@" --remap-path-prefix="${CARGO_HOME:-$HOME/.cargo}=/cargo" --remap-path-prefix="$PG_RFM_TARGET=/target"
