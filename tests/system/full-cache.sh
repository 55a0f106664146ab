#!/bin/bash
# A cache on a disk that is full, apart from the work folder: the build goes on without keeping anything, and says so once.
set -eu
cd "$(dirname "$0")/../.."
if [ "${1:-}" != inside ]; then
    # A small file system of our own, gone with the namespace.
    if [ "$(id -u)" = 0 ]; then exec unshare --mount --propagation unchanged "$0" inside; fi
    exec unshare --user --map-root-user --mount "$0" inside
fi
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/base.sh
. tests/system/base.sh
mount --make-rprivate / 2>/dev/null || true
share_base warm
small=$TMP/small
mkdir "$small"
# There is room for the machine that both builds go on from, and not for another one.
mount -t tmpfs -o size=$(($(du -sk "$INGOT_CACHE/nodes" | cut -f1) + 15000))k tmpfs "$small"
trap 'status=$?; umount -l "$small/sources" "$small"; set +e; (exit $status); finish' EXIT
mkdir "$small/sources"
mount --bind "$INGOT_CACHE/sources" "$small/sources"
cp -a "$INGOT_CACHE/nodes" "$small/"
cp -a "$INGOT_CACHE/accel" "$small/" 2>/dev/null || true
kept=$(ls "$small/nodes")
export INGOT_CACHE=$small INGOT_CACHE_SIZE=5G TMPDIR=$TMP/work
mkdir -p "$TMPDIR"
cat >"$TMP/full.yaml" <<'YAML'
name: full
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1}
steps:
  - shell: echo one >/srv/one
  - shell: echo two >/srv/two
YAML
ingot build --no-test "$TMP/full.yaml" >"$TMP/out" 2>"$TMP/log" || fail "the build fails: $(tail "$TMP/log")"
# Whether qemu-img, cp or Ingot itself finds the disk full first is by chance, and so is the line that their words are on.
[ "$(grep -c '^nothing more is kept for later builds: ' "$TMP/log")" = 1 ] || fail "it does not say so once: $(cat "$TMP/log")"
grep -A1 '^nothing more is kept' "$TMP/log" | grep -q 'No space left' || fail "it gives no reason: $(cat "$TMP/log")"
ingot pull -q full:1.0.0 -o "$TMP/disk.raw" >/dev/null
[ "$(debugfs -R 'cat /srv/two' "$TMP/disk.raw?offset=$((66 << 20))" 2>/dev/null)" = two ] || fail "the image"
[ "$(ls -A "$small/nodes")" = "$kept" ] || fail "something is left: $(ls -A "$small/nodes")"
ok "a build goes on where nothing can be kept"

# With room the same build keeps its nodes by copies, and the next one goes on from them.
mount -o remount,size=900m "$small"
sed -i 's/two/three/g' "$TMP/full.yaml"
ingot build --no-test "$TMP/full.yaml" >"$TMP/out" 2>"$TMP/log" || fail "$(tail "$TMP/log")"
! grep -q 'nothing more' "$TMP/log" || fail "$(cat "$TMP/log")"
sed -i 's/three/four/g' "$TMP/full.yaml"
ingot build --no-test "$TMP/full.yaml" >"$TMP/out" 2>"$TMP/log" || fail "$(tail "$TMP/log")"
grep -q "resume after 'echo one" "$TMP/log" || fail "it was not resumed: $(cat "$TMP/log")"
ingot pull -q full:1.0.0 -o "$TMP/disk.raw" >/dev/null
[ "$(debugfs -R 'cat /srv/four' "$TMP/disk.raw?offset=$((66 << 20))" 2>/dev/null)" = four ] || fail "the image"
ok "a cache on another file system than the work folder"
