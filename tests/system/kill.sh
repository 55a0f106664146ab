#!/bin/bash
# Builds killed with -9 at random points: the next one is right, no node is wrong, nothing is left behind.
# Usage: tests/system/kill.sh [ROUNDS] [SEED]   (12 rounds)
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/base.sh
. tests/system/base.sh
rounds=${1:-12} seed=${2:-$(date +%s)}
echo "seed $seed"
RANDOM=$seed
share_base warm
export TMPDIR=$TMP/work
mkdir -p "$TMPDIR"
root=$((66 << 20)) # where the base's root file system starts

# Each round has a step that was not run before, in the middle of five.
recipe() {
    printf 'name: killed\nversion: 1.0.0\nsource: {from: debian-12}\nmachine: {cpus: 1}\nsteps:\n'
    for n in 1 2; do echo "  - shell: echo $n >/srv/$n"; done
    echo "  - shell: echo round-$1 >/srv/3; dd if=/dev/urandom of=/srv/bytes bs=1M count=5 status=none; sha256sum /srv/bytes >/srv/sum"
    for n in 4 5; do echo "  - shell: cat /srv/3 >/srv/$n; sha256sum -c --quiet /srv/sum"; done
}
recipe 0 >"$TMP/killed.yaml"
ingot build --no-test -q "$TMP/killed.yaml" >/dev/null 2>&1
for round in $(seq "$rounds"); do
    recipe "$round" >"$TMP/killed.yaml"
    ingot build --no-test "$TMP/killed.yaml" >"$TMP/out" 2>"$TMP/log" &
    pid=$!
    sleep "$((RANDOM % 6)).$((RANDOM % 10))"
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
done
ingot build --no-test "$TMP/killed.yaml" >"$TMP/out" 2>"$TMP/log" || fail "the next build: $(tail -20 "$TMP/log")"
! grep -q discarded "$TMP/log" || fail "a node was wrong: $(cat "$TMP/log")"
ingot pull -q killed:1.0.0 -o "$TMP/disk.raw" >/dev/null
e2fsck -fn "$TMP/disk.raw?offset=$root" >"$TMP/fsck" 2>&1 || fail "the file system: $(cat "$TMP/fsck")"
for n in 3 4 5; do
    [ "$(debugfs -R "cat /srv/$n" "$TMP/disk.raw?offset=$root" 2>/dev/null)" = "round-$rounds" ] || fail "/srv/$n is of another round"
done
ok "after $rounds builds that were killed the next one is right"

# What is left: no machine, no work folder, no unfinished node.
ingot cache ls >/dev/null
for folder in "$INGOT_CACHE"/nodes/*/; do [ -e "$folder/node.json" ] || fail "$folder is unfinished"; done
[ -z "$(ls -A "$TMPDIR")" ] || fail "work files are left: $(ls -A "$TMPDIR")"
! grep -aqs "$TMP" /proc/[0-9]*/cmdline --exclude-dir=self || for p in /proc/[0-9]*; do
    if grep -aqs "$TMP" "$p/cmdline" && grep -aqs qemu "$p/comm"; then fail "a machine outlived its build: $(tr '\0' ' ' <"$p/cmdline")"; fi
done
# What is kept is what its record says, byte by byte.
python3 - "$INGOT_CACHE" <<'PY' >"$TMP/sums"
import glob, json, os, sys
for path in glob.glob(sys.argv[1] + "/nodes/*/node.json"):
    for name, checksum in json.load(open(path))["files"].items():
        print(f"{checksum}  {os.path.join(os.path.dirname(path), name)}")
PY
[ "$(wc -l <"$TMP/sums")" -gt 10 ] || fail "only $(wc -l <"$TMP/sums") files are kept: the rounds were killed too early to mean anything"
xxhsum -H2 --quiet --check "$TMP/sums" >"$TMP/out" 2>&1 || fail "a node is wrong: $(cat "$TMP/out")"
ok "nothing is left behind, and no node is wrong"
