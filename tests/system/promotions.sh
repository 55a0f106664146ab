#!/bin/bash
# Channels are promoted and rolled back by several at once, under load, while the registry is killed, and loses at every second
# kill what was not flushed: tags, channels, moves and events agree afterwards, and no move that was acknowledged is lost.
# ROUNDS (200 for a long run), SEED and SLOW may be given.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
rounds=${ROUNDS:-12} seed=${SEED:-$RANDOM}
run() { python3 tests/system/promotions.py "$TMP" "$1" "$seed" "${@:2}"; }

echo "seed $seed"
# A sanitizer's own library has to be loaded first: there the kills are without power cuts.
if [ -n "${SAN:-}" ]; then
    run "$rounds" || { tail -20 "$TMP/ingotd.log"; fail "seed $seed"; }
    ok "$rounds times killed, events, moves, tags and channels agreed, and nothing acknowledged was lost"
    exit 0
fi
${CC:-gcc} -O2 -D_GNU_SOURCE -shared -fPIC -o "$TMP/liblossy.so" tests/faults/lossy.c -ldl
run "$rounds" "$TMP/liblossy.so" || { tail -20 "$TMP/ingotd.log"; fail "seed $seed"; }
ok "$rounds times killed, every second time without power, events, moves, tags and channels agreed, and nothing acknowledged was lost"

# What is never flushed is missed: the test can fail.
for deaf in names.log catalogue.sqlite-wal; do
    rm -rf "$TMP/registry" "$TMP/disk" "$TMP/copy"
    if LOSSY_DEAF=$deaf run 40 "$TMP/liblossy.so" >"$TMP/out" 2>&1; then
        fail "nothing is missed where $deaf is never flushed: $(cat "$TMP/out")"
    fi
    grep -q '^FAILED' "$TMP/out" || fail "$deaf: $(cat "$TMP/out")"
done
ok "a flush that is left out is found"
