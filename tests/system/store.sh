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
# The problem names a path, which is any bytes.
ln -s "$INGOT_STORE" "$TMP/"$'by\xff'
! ingot fsck --json --store "$TMP/"$'by\xff' >"$TMP/out" 2>"$TMP/said" || fail "fsck --json finds no damage"
python3 -c 'import json, sys; sys.exit("damaged" not in json.load(open(sys.argv[1]))[0]["problem"])' "$TMP/out" || fail "fsck --json prints $(cat "$TMP/out" "$TMP/said")"
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

# A list of images that is damaged or gone is told, wherever it is needed, and brought back.
ingot pack -q "$TMP/one.raw" team/web:2.0.0 >/dev/null
second=$(ingot pack -q "$TMP/one.raw" team/web:3.0.0)
for damage in ': >index.json' 'rm index.json' 'echo "{\"manifests\": [" >index.json' 'rm index.json; mkdir index.json' 'rm index.json; mkfifo index.json' \
    'rm index.json; ln -s oci-layout index.json'; do
    (cd "$INGOT_STORE" && eval "$damage")
    for verb in images "show team/web:1.0.0" "rm team/web:1.0.0" gc "tag team/web:1.0.0 a:1" "pack $TMP/two.raw b:1" fsck; do
        # shellcheck disable=SC2086
        expect 1 timeout 60 ingot $verb
        grep -q "index.json.*fsck\|index.json.*--repair brings back" "$TMP/err" || fail "$verb after '$damage' says: $(cat "$TMP/err")"
    done
    grep -q -- '--repair brings back [345] names, and calls [01] images' "$TMP/err" || fail "fsck after '$damage' says: $(cat "$TMP/err")"
    expect 0 ingot fsck --repair
    ingot tag team/web:1.0.0 team/web:again >/dev/null || fail "names are lost after '$damage': $(ingot images)"
    [ -e "$INGOT_STORE/index.json.damaged-1" ] || [ "$damage" = 'rm index.json' ] || fail "the damaged list is not kept"
    rm -rf "$INGOT_STORE"/index.json.damaged-*
    ingot rm team/web:again 2>"$TMP/err"
done
[ "$(ingot images --json | grep -c "$second")" -ge 1 ] || fail "an image is lost: $(ingot images)"
rm "$INGOT_STORE/index.json" "$INGOT_STORE/index.json.last"
expect 1 ingot fsck
grep -q -- '--repair brings back 0 names, and calls 2 images' "$TMP/err" || fail "fsck without any list says: $(cat "$TMP/err")"
expect 0 ingot fsck --repair
ingot tag "recovered:${second:7:12}" team/web:3.0.0 >/dev/null || fail "what was found has no name: $(ingot images)"
ingot export team/web:3.0.0 -F raw -o "$TMP/back.raw" 2>/dev/null
cmp -n 3000320 "$TMP/one.raw" "$TMP/back.raw" || fail "what was found is another image"
ok "a damaged list of images is told and brought back"

# What stands in the place of the store's files is neither followed nor waited for.
ingot pull -q "$REGISTRY/team/web:1.0.0" >/dev/null
for blob in "$INGOT_STORE"/blobs/sha256/*; do
    cp "$blob" "$TMP/kept"
    for place in fifo link; do
        rm "$blob"
        if [ $place = fifo ]; then mkfifo "$blob"; else ln -s "$TMP/kept" "$blob"; fi
        expect 1 timeout 60 ingot fsck # first: others may fetch what is not there
        for verb in images "export $REGISTRY/team/web:1.0.0 -F raw -o $TMP/back.raw" "push $REGISTRY/team/web:1.0.0" gc "show $REGISTRY/team/web:1.0.0"; do
            status=0
            # shellcheck disable=SC2086
            timeout 60 ingot $verb >/dev/null 2>"$TMP/err" || status=$?
            [ $status -lt 2 ] || fail "$verb with a $place in the place of a blob ends with $status: $(cat "$TMP/err")"
        done
        rm -f "$blob"
        cp "$TMP/kept" "$blob"
    done
done
expect 0 ingot fsck
ok "pipes and links in a store are neither waited for nor followed"

# Thousands of names of hundreds of images, with few descriptors.
export INGOT_STORE=$TMP/many
ingot pack -q "$TMP/one.raw" first:1.0.0 >/dev/null
python3 - "$INGOT_STORE" <<'PY'
import hashlib, json, os, sys
store = sys.argv[1]
path = os.path.join(store, "index.json")
index = json.load(open(path))
row = index["manifests"][0]
manifest = json.load(open(os.path.join(store, "blobs/sha256", row["digest"][7:])))
for n in range(500):
    data = json.dumps(dict(manifest, annotations={"n": str(n)})).encode()
    name = hashlib.sha256(data).hexdigest()
    open(os.path.join(store, "blobs/sha256", name), "wb").write(data)
    index["manifests"] += [{"mediaType": row["mediaType"], "digest": "sha256:" + name, "size": len(data), "annotations": {
        "org.opencontainers.image.ref.name": "team/web:%d.%d.0" % (n, tag)}} for tag in range(10)]
json.dump(index, open(path, "w"))
PY
(
    ulimit -n 64
    few() { timeout 300 ingot "$@" || fail "ingot $* with 5000 names ends with $?"; }
    [ "$(few images | wc -l)" = 5002 ] || fail "images of 5000 names"
    few fsck
    few tag team/web:499.9.0 other:1.0.0 >/dev/null
    few export team/web -F raw -o "$TMP/back.raw" 2>/dev/null
    few rm team/web:1.1.0 team/web:7.7.0 other:1.0.0 2>/dev/null
    few gc 2>/dev/null
    few pack -q "$TMP/two.raw" new:1.0.0 >/dev/null
    few push -q new:1.0.0 "$REGISTRY/new" >/dev/null
    few pull -q "$REGISTRY/team/web:1.0.0" >/dev/null
    [ "$(few images | wc -l)" = 5002 ] || fail "images after that"
) || exit 1
cmp -n 3000320 "$TMP/one.raw" "$TMP/back.raw" || fail "one of 5000 images is another one"
ok "5000 names need few descriptors"
