#!/bin/bash
# The registry's storage: what is alike is kept once, garbage is collected while serving, damage is found and repaired,
# a lost catalogue is made again.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
data=$TMP/registry
packed() { find "$data/packs" -name '*.pack' -printf '%s\n' | awk '{ s += $1 } END { print s + 0 }'; }
scrub() { ingotd scrub --data "$data" "$@"; }

small_disk "$TMP/v1.raw"
cp --sparse=always "$TMP/v1.raw" "$TMP/v2.raw"
head -c 2000000 /dev/urandom >"$TMP/new"
echo "write $TMP/new new" | debugfs -w "$TMP/v2.raw" >/dev/null 2>&1
image=$(ingot pack -q "$TMP/v1.raw" web:1.0.0)
second=$(ingot pack -q "$TMP/v2.raw" web:2.0.0)
start_ingotd
ingot push -q web:1.0.0 "$REGISTRY/team/web" >/dev/null
first=$(packed)
ingot push -q web:2.0.0 "$REGISTRY/team/web" >/dev/null
more=$(($(packed) - first))
received() { grep -oE 'received=[0-9]+' "$TMP/ingotd.log" | awk -F= '{ s += $2 } END { print s }'; }
[ "$more" -gt 2000000 ] && [ "$more" -lt 4000000 ] || fail "2 MB that are new take $more bytes"
before=$(received)
ingot push -q web:2.0.0 "$REGISTRY/other/copy" >/dev/null
sent=$(($(received) - before))
again=$(($(packed) - first - more))
[ "$again" -lt 20000 ] || fail "the same image under another name takes $again bytes"
whole() {
    rm -rf "$TMP/check"
    ingot pull -q --store "$TMP/check" "$REGISTRY/$1" -o "$TMP/check.raw" >/dev/null && cmp "$TMP/check.raw" "$TMP/$2.raw" || fail "$1 differs"
}
whole team/web:1.0.0 v1
whole team/web:2.0.0 v2
ok "a version takes the room of what is new ($more bytes for 2000000), a copy none ($again bytes)"

# Only what is missing crosses the network: a list of frames, and those that are new.
cp --sparse=always "$TMP/v2.raw" "$TMP/v3.raw"
head -c 1000000 /dev/urandom >"$TMP/new"
echo "write $TMP/new newer" | debugfs -w "$TMP/v3.raw" >/dev/null 2>&1
newest=$(ingot pack -q "$TMP/v3.raw" web:3.0.0)
before=$(received)
ingot push -q web:3.0.0 "$REGISTRY/team/web" >/dev/null
third=$(($(received) - before))
[ "$third" -gt 1000000 ] && [ "$third" -lt 2000000 ] || fail "a push of 1 MB that is new sends $third bytes"
[ "$sent" -lt 200000 ] || fail "a push of what is there sends $sent bytes"
whole team/web:3.0.0 v3
ok "a push sends what is new alone ($third bytes for 1000000)"

# The list and the frames are not believed.
head -c 100000 "$TMP/new" >"$TMP/frame1"
tail -c 100000 "$TMP/new" >"$TMP/frame2"
cat "$TMP/frame1" "$TMP/frame2" "$TMP/frame1" >"$TMP/blob"
python3 - "$TMP" <<'PY'
import hashlib, struct, sys
f = [open(f"{sys.argv[1]}/frame{n}", "rb").read() for n in (1, 2)]
open(sys.argv[1] + "/list", "wb").write(b"".join(hashlib.sha256(d).digest() + struct.pack("<I", len(d)) for d in (f[0], f[1], f[0])))
PY
digest=sha256:$(sha256sum <"$TMP/blob" | cut -d' ' -f1)
begin() { location=http://$REGISTRY$(curl -sf -X POST -D - "http://$REGISTRY/v2/a/blobs/uploads/" | sed -n 's/^Location: *\([^\r]*\).*/\1/ip'); }
answer() {
    local wanted=$1 status
    shift
    status=$(curl -s -o "$TMP/answer" -w '%{http_code}' -H 'Expect:' "$@")
    [ "$status" = "$wanted" ] || fail "status $status, not $wanted: $(cat "$TMP/answer")"
}
begin
head -c 100 "$TMP/list" >"$TMP/short"
answer 400 -X POST --data-binary "@$TMP/short" "$location"
answer 200 -X POST --data-binary "@$TMP/list" "$location"
[ "$(od -An -tx1 "$TMP/answer" | tr -d ' ')" = 03 ] || fail "missing: $(od -An -tx1 "$TMP/answer")"
answer 400 -X POST --data-binary "@$TMP/list" "$location"
answer 400 -X PUT --data-binary "@$TMP/frame1" "$location?digest=$digest" # the second has not come
begin
answer 200 -X POST --data-binary "@$TMP/list" "$location"
cat "$TMP/frame2" "$TMP/frame1" >"$TMP/swapped"
answer 400 -X PUT --data-binary "@$TMP/swapped" "$location?digest=$digest"
begin
answer 200 -X POST --data-binary "@$TMP/list" "$location"
cat "$TMP/blob" "$TMP/frame1" >"$TMP/long"
answer 400 -X PUT --data-binary "@$TMP/long" "$location?digest=$digest"
begin
answer 200 -X POST --data-binary "@$TMP/list" "$location"
cat "$TMP/frame1" "$TMP/frame2" >"$TMP/both"
answer 400 -X PUT --data-binary "@$TMP/both" "$location?digest=sha256:$(sha256sum <"$TMP/both" | cut -d' ' -f1)"
begin
answer 200 -X POST --data-binary "@$TMP/list" "$location"
answer 202 -X PATCH --data-binary "@$TMP/frame1" "$location"
answer 201 -X PUT --data-binary "@$TMP/frame2" "$location?digest=$digest"
curl -sf "http://$REGISTRY/v2/a/blobs/$digest" | cmp - "$TMP/blob" || fail "the blob of three frames"
begin
answer 200 -X POST --data-binary "@$TMP/list" "$location"
[ "$(od -An -tx1 "$TMP/answer" | tr -d ' ')" = 00 ] || fail "missing: $(od -An -tx1 "$TMP/answer")"
answer 201 -X PUT "$location?digest=$digest"
ok "an offer's list, frames and digest are checked"

# A foreign blob of zstd frames profits too, one of no frames is kept as it is.
head -c 3000000 /dev/urandom >"$TMP/noise"
for n in 1 2 3 4 5 6; do head -c $((n * 500000)) "$TMP/noise" | tail -c 500000 | zstd -q; done >"$TMP/frames"
{ head -c 700000 "$TMP/noise" | zstd -q; tail -c +1 "$TMP/frames"; } >"$TMP/more-frames"
put() {
    local digest
    digest=sha256:$(sha256sum <"$2" | cut -d' ' -f1)
    [ "$(curl -s -o "$TMP/answer" -w '%{http_code}' -H 'Expect:' -X POST --data-binary "@$2" "http://$REGISTRY/v2/$1/blobs/uploads/?digest=$digest")" = 201 ] || fail "put: $(cat "$TMP/answer")"
    curl -sf "http://$REGISTRY/v2/$1/blobs/$digest" | cmp - "$2" || fail "$2 came back changed"
    echo "$digest"
}
put a "$TMP/frames" >/dev/null
before=$(packed)
put a "$TMP/more-frames" >/dev/null
[ $(($(packed) - before)) -lt 800000 ] || fail "frames that were there take $(($(packed) - before)) bytes"
noise=$(put a "$TMP/noise")
[ "$(curl -sf -r 1048570-1048585 "http://$REGISTRY/v2/a/blobs/$noise" | sha256sum)" = "$(tail -c +1048571 "$TMP/noise" | head -c 16 | sha256sum)" ] || fail "a range over two pieces"
: >"$TMP/empty"
put a "$TMP/empty" >/dev/null
ok "blobs of other tools: with frames, without, empty"

scrub >"$TMP/out" || fail "the scrub of a whole registry: $(cat "$TMP/out")"
ok "a whole registry scrubs clean"

# Deleting marks; a collection gives the room back, while the server runs.
for v in 1 2 3; do
    head -c 1500000 /dev/urandom >"$TMP/big$v"
    put b "$TMP/big$v" >/dev/null
done
full=$(packed)
ingotd gc --data "$data" --dry-run --grace 0s >"$TMP/out"
grep -q 'blob b@sha256' "$TMP/out" && grep -q '^would go: 0 tags' "$TMP/out" || fail "a dry run says: $(cat "$TMP/out")"
[ "$(packed)" = "$full" ] || fail "a dry run changed something"
ingotd gc --data "$data" >"$TMP/out" # within the grace nothing goes, but small packs are merged
grep -q ' 0 unneeded blobs .*; 0 blobs, 0 pieces' "$TMP/out" && [ "$(packed)" -gt $((full - 100000)) ] || fail "what was just pushed went: $(cat "$TMP/out")"
full=$(packed)
ingotd gc --data "$data" --grace 0s >"$TMP/out"
[ $((full - $(packed))) -gt 4500000 ] || fail "a collection freed $((full - $(packed))) bytes: $(cat "$TMP/out")"
whole team/web:1.0.0 v1
whole team/web:2.0.0 v2
for one in "team/web/manifests/$second" "other/copy/manifests/$second" "team/web/manifests/$newest"; do
    curl -sf -X DELETE "http://$REGISTRY/v2/$one" || fail "delete"
done
before=$(packed)
ingotd gc --data "$data" --grace 0s --json >"$TMP/out"
python3 -c 'import json,sys; o = json.load(open(sys.argv[1])); assert o["bytes"] > 2000000 and o["blobs"] >= 3, o' "$TMP/out" || fail "$(cat "$TMP/out")"
[ $((before - $(packed))) -gt 2000000 ] || fail "the version's room did not come back: $((before - $(packed)))"
whole team/web:1.0.0 v1
scrub >"$TMP/out" || fail "after the collection: $(cat "$TMP/out")"
ok "a collection gives back what is deleted, and nothing else"

# A pack that is half dead is written anew.
for n in 1 2 3 4 5 6; do head -c 900000 /dev/urandom | zstd -q >"$TMP/part$n"; done
cat "$TMP"/part[123456] >"$TMP/all"
cat "$TMP"/part[25] >"$TMP/few"
put c "$TMP/all" >/dev/null
few=$(put d "$TMP/few")
curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"digest\":\"$few\",\"size\":$(stat -c %s "$TMP/few")},\"layers\":[]}" "http://$REGISTRY/v2/d/manifests/1.0.0" || fail "manifest"
before=$(packed)
ingotd gc --data "$data" --grace 0s >"$TMP/out"
[ $((before - $(packed))) -gt 3500000 ] || fail "a pack that is mostly dead stays: $(cat "$TMP/out")"
curl -sf "http://$REGISTRY/v2/d/blobs/$few" | cmp - "$TMP/few" || fail "what lived in it is gone"
scrub >"$TMP/out" || fail "after the compaction: $(cat "$TMP/out")"
ok "packs that are mostly dead are written anew"

# Policies: the newest versions, and what channels name or named.
for v in 1.0.0 1.1.0 1.2.0 1.10.0; do
    echo "$v" >"$TMP/layer"
    layer=$(put old "$TMP/layer")
    curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"digest\":\"$layer\",\"size\":$(stat -c %s "$TMP/layer")},\"layers\":[]}" "http://$REGISTRY/v2/old/manifests/$v" || fail "manifest"
done
ingot promote -q "$REGISTRY/old" 1.1.0 prod >/dev/null
ingot promote -q "$REGISTRY/old" 1.0.0 dev >/dev/null
ingot promote -q "$REGISTRY/old" 1.2.0 dev >/dev/null
ingotd gc --data "$data" --keep 'other/*=0' --keep 'o*=1,1d' >"$TMP/out"
[ "$(ingot ls "$REGISTRY/old" | tr '\n' ' ')" = "1.0.0 1.1.0 1.2.0 1.10.0 dev prod " ] || fail "a channel's past went: $(ingot ls "$REGISTRY/old")"
sleep 1.1
ingotd gc --data "$data" --keep 'o*=1' >"$TMP/out"
[ "$(ingot ls "$REGISTRY/old" | tr '\n' ' ')" = "1.1.0 1.2.0 1.10.0 dev prod " ] || fail "the policy left: $(ingot ls "$REGISTRY/old")"
expect 2 ingotd gc --data "$data" --keep 'o*'
ok "policies keep the newest versions and what channels name or named"

# Damage: found, told with what needs it, never served, repaired by a push or from elsewhere.
pack=$(find "$data/packs" -size +5M | head -1)
flip "$pack" 1000000
disk=$(python3 -c "import json; print(json.load(open('$INGOT_STORE/blobs/sha256/${image#sha256:}'))['layers'][1]['digest'])")
if curl -sf "http://$REGISTRY/v2/team/web/blobs/$disk" -o "$TMP/got"; then fail "a damaged blob was served to its end"; fi
cmp -n "$(stat -c %s "$TMP/got")" "$TMP/got" "$INGOT_STORE/blobs/sha256/${disk#sha256:}" || fail "damaged bytes were served"
expect 1 ingotd scrub --data "$data"
grep -q 'damaged: piece sha256:' "$TMP/out" && grep -q 'needed by team/web:1.0.0' "$TMP/out" || fail "the scrub says: $(cat "$TMP/out")"
curl -sf "http://$REGISTRY/metrics" | grep -q '^ingot_pieces_damaged 1$' || fail "the figure: $(curl -s "http://$REGISTRY/metrics" | grep damaged)"
ok "a damaged piece is found, with the images that need it, and not served"

ingot push -q web:1.0.0 "$REGISTRY/team/web" >/dev/null
whole team/web:1.0.0 v1
scrub >"$TMP/out" || fail "after the repair: $(cat "$TMP/out")"
ok "a push repairs it"

mirror=$REGISTRY
cp -a "$data" "$TMP/second"
rm -f "$TMP/second/control.sock"
data=$TMP/second
start_ingotd "$data"
flip "$(find "$data/packs" -size +5M | head -1)" 2000000
flip "$(find "$data/packs" -size +5M | head -1)" 3000000
expect 1 ingotd scrub --data "$data"
scrub --from "http://$mirror" >"$TMP/out" || fail "repair from another registry: $(cat "$TMP/out")"
grep -q 'repaired' "$TMP/out" || fail "$(cat "$TMP/out")"
whole team/web:1.0.0 v1
scrub >"$TMP/out" || fail "$(cat "$TMP/out")"
ok "another registry repairs it"

rows() {
    python3 - "$1" <<'PY'
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
for sql in ("SELECT * FROM state", "SELECT id, size FROM packs", "SELECT * FROM pieces", "SELECT * FROM blobs", "SELECT * FROM repositories",
            "SELECT repository, blob FROM links", "SELECT repository, blob, type, subject FROM manifests",
            "SELECT * FROM mentions", "SELECT repository, name, blob FROM tags"):
    for row in c.execute(sql + " ORDER BY 1, 2"):
        print(sql, row)
PY
}
# One flipped byte anywhere in the catalogue, or in the tables of packs and the log of events.
kill "$SERVER"
wait "$SERVER" || true
sqlite_whole=$TMP/catalogue.whole
cp "$data/catalogue.sqlite" "$sqlite_whole"
cp "$data/names.log" "$TMP/names.whole"
size=$(stat -c %s "$sqlite_whole")
found=0
rows "$sqlite_whole" >"$TMP/rows"
for n in $(seq 1 40); do
    at=$(python3 -c "import random; random.seed($n); print(random.randrange($size))")
    cp "$sqlite_whole" "$data/catalogue.sqlite"
    rm -f "$data"/catalogue.sqlite-*
    flip "$data/catalogue.sqlite" "$at"
    if ingotd scrub --data "$data" >"$TMP/out" 2>&1; then
        # Room that nothing uses, or what decides nothing: when something was made, what a tag named before.
        rows "$data/catalogue.sqlite" | cmp -s - "$TMP/rows" || fail "a flip at $at changes rows, and no scrub finds it"
    else
        found=$((found + 1))
    fi
    cmp -s "$data/names.log" "$TMP/names.whole" || fail "a flip at $at costs the log of events"
done
[ $found -ge 10 ] || fail "of 40 flips in the catalogue a scrub found $found"
cp "$sqlite_whole" "$data/catalogue.sqlite"
cp "$TMP/names.whole" "$data/names.log"
rm -f "$data"/catalogue.sqlite-*
scrub >/dev/null || fail "the restored catalogue"
flip "$data/names.log" 100
expect 1 ingotd scrub --data "$data"
cp "$TMP/names.whole" "$data/names.log"
ok "flipped bytes of the catalogue and the log of events are found"

# The catalogue is lost.
start_ingotd "$data"
ingot ls "$REGISTRY/old" >"$TMP/tags.before"
curl -sf "http://$REGISTRY/v2/_catalog" >"$TMP/names.before"
kill "$SERVER"
wait "$SERVER" || true
rm "$data"/catalogue.sqlite*
expect 1 ingotd --data "$data" --listen 127.0.0.1:0
grep -q 'ingotd rebuild' "$TMP/err" || fail "$(cat "$TMP/err")"
ingotd rebuild --data "$data" >"$TMP/out" 2>"$TMP/err" || fail "rebuild: $(cat "$TMP/err")"
grep -q 'lost: 0' "$TMP/out" || fail "rebuild: $(cat "$TMP/out" "$TMP/err")"
start_ingotd "$data"
ingot ls "$REGISTRY/old" | cmp - "$TMP/tags.before" || fail "tags differ"
curl -sf "http://$REGISTRY/v2/_catalog" | cmp - "$TMP/names.before" || fail "repositories differ"
whole team/web:1.0.0 v1
curl -sf "http://$REGISTRY/v2/d/blobs/$few" | cmp - "$TMP/few" || fail "a blob of a compacted pack"
scrub >"$TMP/out" || fail "after the rebuild: $(cat "$TMP/out")"
ok "a lost catalogue is made again from packs and names"
