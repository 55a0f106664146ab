#!/bin/bash
# The store heals: replaced images, gc, fsck, tag, rm of several, damage that a pull repairs.
set -eu
. tests/system/lib.sh

disk() { head -c 3000320 /dev/urandom >"$1"; }
blobs() { find "$INGOT_STORE/blobs" -type f | wc -l; }
# The disk blob is the largest.
disk_blob() { find "$INGOT_STORE/blobs" -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2; }

disk "$TMP/one.raw"
disk "$TMP/two.raw"
first=$(ingot pack -q "$TMP/one.raw" team/web:1.0.0)
before=$(blobs)
ingot pack -q "$TMP/two.raw" team/web:1.0.0 >/dev/null
ingot images | grep -q "^team/web  *<none>  *${first:0:19}" || fail "the replaced image is not listed: $(ingot images)"
ingot export "team/web@$first" -F raw -o "$TMP/back.raw"
cmp -n 3000320 "$TMP/one.raw" "$TMP/back.raw" || fail "the replaced image is another one"
ingot gc 2>"$TMP/said"
grep -q '1 replaced image' "$TMP/said" || fail "gc says: $(cat "$TMP/said")"
[ "$(blobs)" = "$before" ] || fail "gc leaves $(blobs) blobs of $before"
ok "a replaced image stays, without a name, until gc"

ingot tag team/web:1.0.0 team/web:stable >"$TMP/out"
grep -q '^team/web:stable sha256:' "$TMP/out" || fail "tag prints $(cat "$TMP/out")"
! ingot tag team/web:1.0.0 team/web 2>"$TMP/said" || fail "a name without a tag is taken"
grep -q 'NAME:TAG' "$TMP/said" || fail "tag says: $(cat "$TMP/said")"
ingot pack -q "$TMP/one.raw" team/other:1.0.0 >/dev/null
! ingot rm team/web:stable team/none:1.0.0 team/other:1.0.0 2>"$TMP/said" || fail "rm of one that is not there ends well"
grep -q 'team/web:stable: removed' "$TMP/said" || fail "rm says: $(cat "$TMP/said")"
grep -q 'team/other:1.0.0: removed' "$TMP/said" || fail "rm stops at the one that is not there: $(cat "$TMP/said")"
grep -q '1 of 3' "$TMP/said" || fail "rm says: $(cat "$TMP/said")"
[ "$(blobs)" = "$before" ] || fail "rm leaves $(blobs) blobs of $before"
ok "tag names an image again; rm of several goes on"

# What a killed pack and a pull that was not gone on with leave.
echo half >"$INGOT_STORE/tmp/partial-$(printf 'a%.0s' $(seq 64))"
echo loose >"$INGOT_STORE/blobs/sha256/$(echo loose | sha256sum | cut -d' ' -f1)"
: >"$INGOT_STORE/.index.json.ABCDEF"
ingot gc 2>"$TMP/said"
grep -q '1 blobs that nothing named, 1 unfinished' "$TMP/said" || fail "gc says: $(cat "$TMP/said")"
[ "$(blobs)" = "$before" ] && [ -z "$(ls -A "$INGOT_STORE/tmp")" ] && [ ! -e "$INGOT_STORE/.index.json.ABCDEF" ] || fail "gc leaves something"
ingot fsck >"$TMP/out"
[ ! -s "$TMP/out" ] || fail "fsck of a whole store prints $(cat "$TMP/out")"
ok "gc takes what nothing names"

start_ingotd
ingot push -q team/web:1.0.0 "$REGISTRY/team/web:1.0.0" >/dev/null
flip() { printf '\125\252\125\252' | dd of="$1" bs=1 seek=1000000 conv=notrunc status=none; }
flip "$(disk_blob)"
! ingot fsck >"$TMP/out" 2>"$TMP/said" || fail "fsck finds no damage"
grep -q "^team/web:1.0.0: .*damaged" "$TMP/out" || fail "fsck prints $(cat "$TMP/out")"
! ingot export team/web:1.0.0 -F raw -o "$TMP/back.raw" 2>/dev/null || fail "a damaged image is exported"
ingot pull -q "$REGISTRY/team/web:1.0.0" >/dev/null
ingot export team/web:1.0.0 -F raw -o "$TMP/back.raw"
cmp -n 3000320 "$TMP/two.raw" "$TMP/back.raw" || fail "the pull did not repair the disk"
ok "a pull repairs a damaged disk"

for blob in "$INGOT_STORE"/blobs/sha256/*; do
    cp "$blob" "$TMP/kept"
    printf 'x' >"$blob"
    ! ingot fsck >/dev/null 2>&1 || fail "fsck finds no damage in $blob"
    ingot fsck --repair >"$TMP/out" 2>"$TMP/said" || fail "fsck --repair of $blob: $(cat "$TMP/out" "$TMP/said")"
    cmp "$TMP/kept" "$blob" || fail "$blob is not repaired"
    rm "$blob"
    ingot fsck --repair >"$TMP/out" 2>"$TMP/said" || fail "fsck --repair without $blob: $(cat "$TMP/out" "$TMP/said")"
    cmp "$TMP/kept" "$blob" || fail "$blob is not fetched"
done
ok "fsck --repair fetches every kind of blob again"
