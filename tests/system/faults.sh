#!/bin/bash
# The registry is killed at random moments under mixed push, pull, delete and gc: what was acknowledged is there afterwards,
# byte for byte, and nothing is there by halves. KILLS, SEED and SLOW (for
# programs that a sanitizer slows down) may be given.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
kills=${KILLS:-200} seed=${SEED:-$RANDOM}

# Frames that the images are made of: most are small, a few make packs of their own.
mkdir "$TMP/frames"
for n in $(seq 40); do head -c $((n * 700)) /dev/urandom >"$TMP/frames/$n"; done
for n in 41 42 43 44; do head -c $((n * 10000)) /dev/urandom >"$TMP/frames/$n"; done
head -c 1500000 /dev/urandom >"$TMP/frames/45"
zstd -q --rm "$TMP"/frames/*

echo "seed $seed"
python3 tests/system/faults.py "$TMP" "$kills" "$seed" 2>"$TMP/err" || { grep -v 'status=' "$TMP/ingotd.log" | tail -20; fail "seed $seed: $(cat "$TMP/err")"; }
ok "$kills times killed, nothing acknowledged was lost and nothing was there by halves"
