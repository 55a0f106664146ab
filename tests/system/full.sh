#!/bin/bash
# A disk that fills up: a clear error, what was there stays whole, a retry succeeds once there is room.
set -eu
cd "$(dirname "$0")/../.."
if [ "${1:-}" != inside ]; then
    # A small file system of our own, gone with the namespace.
    if [ "$(id -u)" = 0 ]; then exec unshare --mount --propagation unchanged "$0" inside; fi
    exec unshare --user --map-root-user --mount "$0" inside
fi
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
small=$TMP/small
mkdir "$small"
# In a chroot there is no mount to make private, and none that others share.
mount --make-rprivate / 2>/dev/null || true
mount -t tmpfs -o size=24m tmpfs "$small"
trap 'status=$?; umount -l "$small"; set +e; (exit $status); finish' EXIT
room() { mount -o "remount,size=$1" "$small"; }

# Bytes that do not compress, so that each image takes its size.
for n in 1 2; do
    head -c 16000000 /dev/urandom >"$TMP/data$n"
    truncate -s 64M "$TMP/v$n.raw"
    mkdir "$TMP/t$n"
    mv "$TMP/data$n" "$TMP/t$n/data"
    mke2fs -q -t ext4 -d "$TMP/t$n" "$TMP/v$n.raw"
done
# full COMMAND...: fails with the reason and a path, and says it in one line.
full() {
    expect 1 "$@"
    grep -q "No space left on device" "$TMP/err" || fail "'$*' says: $(cat "$TMP/err")"
    grep -q "/" <(grep "No space left" "$TMP/err") || fail "no path in: $(cat "$TMP/err")"
}
whole() { ingot pull -q --store "$1" "$2" -o "$TMP/check.raw" >/dev/null && cmp "$TMP/check.raw" "$3" || fail "$2 in $1 is damaged"; }

export INGOT_STORE=$small/store
ingot pack -q "$TMP/v1.raw" web:1.0.0 >/dev/null
full ingot pack "$TMP/v2.raw" web:2.0.0
whole "$small/store" web:1.0.0 "$TMP/v1.raw"
[ "$(ingot images | wc -l)" = 2 ] || fail "a half image is listed: $(ingot images)"
room 48m
ingot pack -q "$TMP/v2.raw" web:2.0.0 >/dev/null
whole "$small/store" web:2.0.0 "$TMP/v2.raw"
ok "packing into a full store"

room 40m
full ingot pull web:1.0.0 -o "$small/disk.raw"
[ -z "$(find "$small" -maxdepth 1 -name 'disk.raw*')" ] || fail "a part of the output is left: $(ls "$small")"
[ "$(ingot pull -q web:1.0.0 -o - | wc -c)" = 67108864 ] || fail "the stream"
ok "writing a disk to a full file system"

cp -a "$small/store" "$TMP/store"
export INGOT_STORE=$TMP/store
rm -rf "$small/store"
room 24m
start_ingotd "$small/registry"
ingot push -q web:1.0.0 "$REGISTRY/web" >/dev/null
expect 1 ingot push web:2.0.0 "$REGISTRY/web"
grep -qi "507\|no space" "$TMP/err" || fail "push says: $(cat "$TMP/err")"
[ "$(ingot ls "$REGISTRY/web")" = 1.0.0 ] || fail "a half image is served"
ingot pull -q --store "$TMP/puller" "$REGISTRY/web:1.0.0" >/dev/null
# The broken upload may go on for a while; who else meets the full disk has its room.
broken=$(find "$small/registry/uploads" -name '*.pack' -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)
sleep 4
expect 1 ingot push web:2.0.0 "$REGISTRY/web"
[ -z "$broken" ] || [ ! -e "$broken" ] || fail "the broken upload still takes its room"
room 48m
ingot push -q web:2.0.0 "$REGISTRY/web" >/dev/null
ok "pushing to a full registry"

kill "$SERVER"
wait "$SERVER" || true
mv "$small/registry" "$TMP/registry"
room 24m
start_ingotd "$TMP/registry"
export INGOT_STORE=$small/store
ingot pull -q "$REGISTRY/web:1.0.0" >/dev/null
full ingot pull "$REGISTRY/web:2.0.0"
whole "$small/store" "$REGISTRY/web:1.0.0" "$TMP/v1.raw"
room 48m
ingot pull -q "$REGISTRY/web:2.0.0" >/dev/null
whole "$small/store" "$REGISTRY/web:2.0.0" "$TMP/v2.raw"
ok "pulling into a full store, and again once there is room"

# No byte is left: names and pulls fail with a reason, and index.json stays what it was.
ingot tag "$REGISTRY/web:1.0.0" "$REGISTRY/web:old" >/dev/null
ingot tag "$REGISTRY/web:2.0.0" "$REGISTRY/web:old" >/dev/null
for n in $(seq 100); do ingot tag "$REGISTRY/web:2.0.0" "many:$n" >/dev/null; done # so that the list is larger than a page of memory
ingot tag "$REGISTRY/web:1.0.0" tip:1 >/dev/null
ingot tag "$REGISTRY/web:2.0.0" tip:2 >/dev/null
ingot rm "$REGISTRY/web:1.0.0" 2>/dev/null
ingot tag "$REGISTRY/web:2.0.0" tip:1 >/dev/null # 1.0.0 is for gc to remove
rm -f "$small/store/index.json.last" # whose room the next list would have
cat /dev/zero >"$small/filler" 2>/dev/null || true
sum=$(sha256sum <"$small/store/index.json")
for verb in "tag $REGISTRY/web:2.0.0 x:1" "pull $REGISTRY/web:1.0.0" "pack $TMP/v1.raw new:1.0.0"; do
    # shellcheck disable=SC2086
    full ingot $verb
    grep "No space left" "$TMP/err" | grep -q "$small/store" || fail "'$verb' does not name the disk: $(cat "$TMP/err")"
    [ "$(sha256sum <"$small/store/index.json")" = "$sum" ] || fail "'$verb' has changed index.json"
done
[ -z "$(find "$small/store" -maxdepth 1 -name '.index.json.*')" ] || fail "a part of index.json is left"
rm "$small/filler"
ingot gc 2>"$TMP/err"
grep -q '1 replaced image' "$TMP/err" || fail "gc says: $(cat "$TMP/err")"
whole "$small/store" tip:2 "$TMP/v2.raw"
ingot fsck || fail "a full disk has damaged something"
ok "names on a full disk"

used() { df --output=used "$small" | tail -n 1; }
fill() {
    cat /dev/zero >>"$small/fill" 2>/dev/null || true
    dd if=/dev/zero bs=4096 oflag=append conv=notrunc of="$small/fill" 2>/dev/null || true
    ! head -c 4096 /dev/zero >"$small/probe" 2>/dev/null || fail "the disk is not full: $(df "$small")"
    rm "$small/probe"
}

# A damaged list stays in its place until there is room for another: it alone has the last change.
rm -rf "$small/store"
room 64m
for n in 1 2; do ingot pack -q "$TMP/v$n.raw" "web:$n.0.0" >/dev/null; done
last=$(ingot tag -q web:2.0.0 web:1.0.0)
python3 - "$small/store/index.json" <<'PY'
import json, sys
index = json.load(open(sys.argv[1]))
del next(row for row in index["manifests"] if row.get("annotations", {}).get("org.opencontainers.image.ref.name") == "web:2.0.0")["size"]
json.dump(index, open(sys.argv[1], "w"))
PY
fill
cp "$small/store/index.json" "$TMP/damaged.json"
for _ in 1 2; do full ingot fsck --repair; done
cmp "$small/store/index.json" "$TMP/damaged.json" || fail "a repair on a full disk takes the damaged list away"
rm "$small/fill"
expect 0 ingot fsck --repair
[ "$(ingot -q show web:1.0.0)" = "$last" ] || fail "a repair forgets the last change: $(ingot images)"
cmp "$small/store/index.json.damaged-1" "$TMP/damaged.json" || fail "the damaged list is not kept"
[ ! -e "$small/store/index.json.damaged-2" ] || fail "the damaged list is kept twice"
ok "a repair on a full disk takes nothing away"

# The list of images is written anew when there is no room for it: what is to go makes it.
rm -rf "$small/store"
room 64m
ingot pack -q "$TMP/v1.raw" web:1.0.0 >/dev/null
ingot pack -q "$TMP/v2.raw" web:1.0.0 >/dev/null
fill
before=$(used)
expect 0 ingot gc
[ "$(used)" -lt $((before - 15000)) ] || fail "gc on a full disk frees $((before - $(used))) KiB"
! ingot images | grep '<none>' || fail "a replaced image after gc on a full disk: $(ingot images)"
expect 0 ingot fsck
fill
before=$(used)
expect 0 ingot rm web:1.0.0
[ "$(used)" -lt $((before - 15000)) ] || fail "rm on a full disk frees $((before - $(used))) KiB"
[ "$(ingot images | wc -l)" = 1 ] || fail "an image after rm on a full disk: $(ingot images)"
ok "gc and rm make room on a full disk"
