#!/bin/bash
# A bootstrapped base: the same bytes from the same state of the mirror, and a machine that boots either way and grows.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/base.sh
. tests/system/base.sh
share_base

record_of() { echo "$1"/sources/*/source.json; }
field() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$(record_of "$1")" "$2"; }
disk_of() { echo "$(dirname "$(record_of "$1")")/$(field "$1" disk)"; }
bake() { ingot build -q --no-test --store "$1/store" --cache "$1/cache" recipes/debian-12.yaml >/dev/null; }

# Two bakes, one digest, whatever surrounds the second. The shared base is one of them, unless the mirror has moved since
# it was made.
(umask 077 && TZ=Asia/Tokyo LC_ALL=C LANGUAGE=de bake "$TMP/second")
first=$INGOT_CACHE
if [ "$(field "$first" date)" != "$(field "$TMP/second/cache" date)" ]; then
    bake "$TMP/first"
    first=$TMP/first/cache
fi
cmp "$(disk_of "$first")" "$(disk_of "$TMP/second/cache")" || fail "two bakes from one state of the mirror differ"
ok "two bakes from one state of the mirror give the same bytes"

# An image's disk that was unpacked to build on is checked at each use.
cat >"$TMP/child.yaml" <<'YAML'
name: child
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1}
YAML
sed 's/child/other/' "$TMP/child.yaml" >"$TMP/other.yaml"
ingot build -q --cache "$TMP/child-cache" "$TMP/child.yaml" >/dev/null
disk=$(echo "$TMP"/child-cache/sources/from-*/disk.raw)
printf 'x' | dd of="$disk" bs=1 seek=$((200 << 20)) conv=notrunc status=none
expect 0 ingot build --cache "$TMP/child-cache" "$TMP/other.yaml"
grep -q 'its bytes do not match their checksum' "$TMP/err" || fail "a damaged source is used: $(cat "$TMP/err")"
ingot pull -q child:1.0.0 -o "$TMP/child.raw" >/dev/null && ingot pull -q other:1.0.0 -o "$TMP/other.raw" >/dev/null
cmp "$TMP/child.raw" "$TMP/other.raw" || fail "an image has the flipped byte of its source"
rm -f "$TMP"/*.raw
ok "a damaged source of an image is found and unpacked again"

# A build that keeps nothing leaves nothing in the cache.
expect 0 ingot build --no-cache --cache "$TMP/empty" "$TMP/child.yaml"
[ -z "$(find "$TMP/empty/sources" -type f 2>/dev/null)" ] || fail "--no-cache keeps $(find "$TMP/empty" -type f)"
ok "--no-cache keeps no source"

# A bake that is killed leaves nothing that the next one trips over.
ingot build -q --no-test --store "$TMP/killed/store" --cache "$TMP/killed/cache" recipes/debian-12.yaml >/dev/null 2>&1 &
killed=$!
until ls -d "$TMP"/killed/cache/sources/*.making >/dev/null 2>&1; do
    kill -0 $killed || fail "the build ended before it could be killed"
    sleep 0.1
done
kill -INT $killed
wait $killed && fail "an interrupted build says that it is done"
if ls -d "$TMP"/killed/cache/sources/*.making >/dev/null 2>&1; then
    fail "an interrupted build leaves its folder behind"
fi
ok "an interrupted bake leaves nothing behind"

# The disk is sound to tools that are not ours.
disk=$(disk_of "$first")
sfdisk --quiet --verify "$disk" >/dev/null || fail "sfdisk finds the partition table wrong"
e2fsck -fn "$disk?offset=$((66 << 20))" >"$TMP/e2fsck" 2>&1 || fail "e2fsck: $(cat "$TMP/e2fsck")"
ok "partition table and file system are sound"

# UEFI boots it too (BIOS did, in the base's own tests); a larger disk is used; nothing failed; the mirror answers.
cat >"$TMP/uefi.yaml" <<'YAML'
name: uefi
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1, memory: 1G, disk: 6G, firmware: uefi}
tests:
  - {name: firmware, shell: test -d /sys/firmware/efi}
  - {name: grown, shell: 'test "$(df --output=size -BM / | tail -n 1 | tr -dc 0-9)" -gt 5000'}
  - {name: nothing failed, shell: 'systemctl is-system-running --wait', timeout: 10m}
  - {name: trims, shell: fstrim /}
  - {name: packages, shell: apt-get update -q, timeout: 10m}
YAML
ingot build -q "$TMP/uefi.yaml" >/dev/null || fail "the base does not pass its tests under UEFI"
ok "UEFI boots it, the root grows into a larger disk"
