#!/bin/bash
# The benchmark in small: every row comes out; a part that fails is a row that says so, and takes no other with it.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/base.sh
. tests/system/base.sh
share_base warm
export TMPDIR=$TMP/work
mkdir "$TMPDIR"

# The quick ones, with one of their peers broken: its row fails, the others come out, and the status says so.
mkdir "$TMP/bin"
printf '#!/bin/sh\necho "out of order" >&2\nexit 1\n' >"$TMP/bin/zstd"
chmod +x "$TMP/bin/zstd"
(
    PATH=$TMP/bin:$PATH
    expect 1 tests/bench/run --small pack
)
grep -qE '^pack / casync make  .* 0\.125' "$TMP/out" && grep -qE '^pack / zstd .* FAILED: out of order$' "$TMP/out" || fail "a row that fails: $(cat "$TMP/out" "$TMP/err")"
BENCH_WORK=$TMP/hanging expect 1 bash -c '. tests/bench/lib.sh; attempt hangs 1 sleep 100; attempt goes-on 5 row goes-on 1 1 s 1; done_with'
[ "$(cat "$TMP/out")" = "hangs|FAILED|it took longer than 1 s||
goes-on|1|1|s|1" ] || fail "a row that hangs: $(cat "$TMP/out" "$TMP/err")"
ok "what fails or hangs is a row of its own"

export INGOT_STORE=$TMP/store
expect 0 tests/bench/run --small
! grep -qE 'FAILED|NOT MET' "$TMP/out" || fail "$(cat "$TMP/out" "$TMP/err")"
[ "$(grep -cE " (s|ms|MB) +[0-9.]+ +[0-9.]+ $" "$TMP/out")" = 60 ] || fail "rows are missing: $(cat "$TMP/out")"
cat "$TMP/out"
ok "every row of the benchmark comes out"
