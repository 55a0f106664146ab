#!/bin/bash
# The power goes at random moments, and with it what was not flushed: what was acknowledged is there afterwards. The same
# rounds as in faults.sh, on a disk (tests/faults/lossy.c) that keeps of unflushed writes and names any part or none.
# ROUNDS, SEED and SLOW may be given.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
rounds=${ROUNDS:-20} seed=${SEED:-$RANDOM}

mkdir "$TMP/frames"
for n in $(seq 20); do head -c $((n * 700)) /dev/urandom >"$TMP/frames/$n"; done
for n in 21 22; do head -c $((n * 10000)) /dev/urandom >"$TMP/frames/$n"; done
head -c 1500000 /dev/urandom >"$TMP/frames/23"
zstd -q --rm "$TMP"/frames/*
${CC:-gcc} -O2 -D_GNU_SOURCE -shared -fPIC -o "$TMP/liblossy.so" tests/faults/lossy.c -ldl

echo "seed $seed"
python3 tests/system/faults.py "$TMP" "$rounds" "$seed" "$TMP/liblossy.so" 2>"$TMP/err" || { grep -v 'status=' "$TMP/ingotd.log" | tail -20; fail "seed $seed: $(cat "$TMP/err")"; }
ok "$rounds times without power, nothing acknowledged was lost and nothing was there by halves"

# What is never flushed is missed: the test can fail.
for deaf in names.log .pack /packs catalogue.sqlite-wal; do
    rm -rf "$TMP/registry" "$TMP/disk" "$TMP/copy"
    if LOSSY_DEAF=$deaf python3 tests/system/faults.py "$TMP" 60 "$seed" "$TMP/liblossy.so" >"$TMP/out" 2>&1; then
        fail "nothing is missed where $deaf is never flushed: $(cat "$TMP/out")"
    fi
    grep -q '^FAILED' "$TMP/out" || fail "$deaf: $(cat "$TMP/out")"
done
ok "a flush that is left out is found"
