#!/bin/bash
# A cache keeps what it cached and lets go of what it must; a cold blob streams while it is copied, once for all who read it.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

# push_blob HOST NAME FILE: its digest.
push_blob() {
    local digest
    digest=sha256:$(sha256sum <"$3" | cut -d' ' -f1)
    [ "$(curl -s -o "$TMP/pushed" -w '%{http_code}' -X POST --data-binary "@$3" "http://$1/v2/$2/blobs/uploads/?digest=$digest")" = 201 ] || fail "push: $(cat "$TMP/pushed")"
    echo "$digest"
}

: >"$TMP/first.address"
ingotd --data "$TMP/first" --listen 127.0.0.1:0 >"$TMP/first.address" 2>>"$TMP/ingotd.log" &
first_pid=$!
ENDING+=("$first_pid")
until grep -q http "$TMP/first.address"; do sleep 0.05; done
first=$(sed 's,.*http://,,' "$TMP/first.address")
for n in 1 2 3; do
    head -c 1500000 /dev/urandom >"$TMP/v$n.raw"
    truncate -s 2M "$TMP/v$n.raw"
    ingot pack -q "$TMP/v$n.raw" web:$n.0.0 >/dev/null
    ingot push -q web:$n.0.0 "$first/team/web" >/dev/null
done

# pull_again VERSION: from the cache alone.
pull_again() {
    rm -rf "$TMP/again" "$TMP/again.raw"
    ingot pull -q --store "$TMP/again" "$cache/team/web:$1" -o "$TMP/again.raw" >/dev/null && cmp "$TMP/again.raw" "$TMP/v${1%%.*}.raw"
}
start_cache kept "http://$first" --upstream-absent 1s
for n in 1 2; do pull_again $n.0.0 || fail "through an empty cache"; done
ingotd gc --data "$TMP/kept" --grace 0s --untagged-grace 0s >"$TMP/out" || fail "gc: $(cat "$TMP/out")"
kill -STOP "$first_pid"
for n in 1 2; do pull_again $n.0.0 || fail "what was cached is gone after gc, with the upstream stopped"; done
kill -CONT "$first_pid"
end_cache
ok "a collection keeps what was cached, and it is served while the upstream stands still"

start_cache small "http://$first" --upstream-absent 1s --cache-size 4M
for n in 1 2 3; do pull_again $n.0.0 || fail "through a small cache"; done
[ "$(curl -s -o "$TMP/answer" -w '%{http_code}' -X POST --data-binary own "http://$cache/v2/own/thing/blobs/uploads/?digest=sha256:$(printf own | sha256sum | cut -d' ' -f1)")" = 201 ] || fail "$(cat "$TMP/answer")"
sleep 1
pull_again 1.0.0 || fail "again"
ingotd gc --data "$TMP/small" >"$TMP/out" || fail "gc: $(cat "$TMP/out")"
grep -q 'tag team/web:2.0.0' "$TMP/out" && ! grep -q 'team/web:1.0.0' "$TMP/out" || fail "what goes: $(cat "$TMP/out")"
kill -STOP "$first_pid"
pull_again 1.0.0 || fail "the image that was pulled last is gone"
kill -CONT "$first_pid"
pull_again 2.0.0 || fail "what went does not come again"
end_cache
ok "what was pulled longest ago goes where room is short, and comes again"

# A slow upstream: 200 KB a second for each of a few connections.
start_upstream "$first"
head -c 12000000 /dev/urandom >"$TMP/blob"
blob=$(push_blob "$first" team/blob "$TMP/blob")
echo '^GET.*/team/blob/blobs slow 200000' >"$TMP/rules"
start_cache cold "http://$upstream" --upstream-absent 1s
for n in 1 2 3; do
    curl -s -m 120 -o "$TMP/whole$n" "http://$cache/v2/team/blob/blobs/$blob" &
    readers[n]=$!
done
until [ -s "$TMP/whole1" ] && [ -s "$TMP/whole2" ] && [ -s "$TMP/whole3" ]; do sleep 0.05; done
[ "$(code "/v2/team/blob/blobs/$blob" -r 11900000-11900099)" = 206 ] || fail "a range of a blob that comes: $(cat "$TMP/head")"
cmp "$TMP/answer" <(tail -c +11900001 "$TMP/blob" | head -c 100) || fail "other bytes"
for n in 1 2 3; do
    [ "$(stat -c %s "$TMP/whole$n")" -lt 12000000 ] || fail "the range came after the whole"
done
wait "${readers[@]}"
for n in 1 2 3; do cmp "$TMP/whole$n" "$TMP/blob" || fail "another blob"; done
[ "$(grep -c '?frames=1' "$TMP/asked")" = 1 ] || fail "copied more than once: $(grep "$blob" "$TMP/asked")"
: >"$TMP/asked"
[ "$(code "/v2/team/blob/blobs/$blob")" = 200 ] && cmp "$TMP/answer" "$TMP/blob" && [ ! -s "$TMP/asked" ] || fail "it was not kept: $(cat "$TMP/asked")"
ok "a cold blob streams to all who read it, while it is copied once, and a range of it does not wait"

# What is wrong never comes to its end, and is not kept.
head -c 3000001 /dev/urandom >"$TMP/blob2"
blob2=$(push_blob "$first" team/blob "$TMP/blob2")
echo '^GET.*/team/blob/blobs flip' >"$TMP/rules"
status=0
curl -s -m 60 --retry 20 -D "$TMP/head" -o "$TMP/answer" "http://$cache/v2/team/blob/blobs/$blob2" || status=$?
[ $status != 0 ] && [ "$(stat -c %s "$TMP/answer")" -lt 3000001 ] || fail "a wrong blob looks whole: $(cat "$TMP/head"), $(stat -c %s "$TMP/answer") bytes"
: >"$TMP/rules"
until [ "$(code "/v2/team/blob/blobs/$blob2")" = 200 ] && cmp -s "$TMP/answer" "$TMP/blob2"; do sleep 0.2; done
# An upstream that does not know ranges.
head -c 3000002 /dev/urandom >"$TMP/blob3"
blob3=$(push_blob "$first" team/blob "$TMP/blob3")
echo '^GET.*/team/blob/blobs norange' >"$TMP/rules"
[ "$(code "/v2/team/blob/blobs/$blob3" -r 2900000-2900099)" = 206 ] || fail "$(cat "$TMP/head")"
cmp "$TMP/answer" <(tail -c +2900001 "$TMP/blob3" | head -c 100) || fail "other bytes"
: >"$TMP/rules"
ok "a blob that is wrong never looks whole, and an upstream without ranges is read through"

# A mirrored manifest that names a digest which is private here brings nothing of it.
printf 'a secret of the cache' >"$TMP/secret"
secret=$(push_blob "$cache" private/thing "$TMP/secret")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"a/b","digest":"%s","size":21},"layers":[]}' "$secret" >"$TMP/lie"
lie=sha256:$(sha256sum <"$TMP/lie" | cut -d' ' -f1)
cat >"$TMP/rules" <<RULES
/team/lie/manifests body $(cat "$TMP/lie")
/team/lie/tags/list body {"name":"team/lie","tags":["1"]}
/v2/_catalog body {"repositories":["team/lie"]}
RULES
expect 1 ingotd mirror --data "$TMP/cold" "http://$upstream" 'team/lie'
[ "$(code "/v2/team/lie/blobs/$secret")" = 404 ] || fail "a mirror gives it"
[ "$(code /v2/team/lie/manifests/1)" = 200 ] || fail "the manifest: $(cat "$TMP/answer")"
for path in "/v2/team/lie/blobs/$secret" "/v2/team/lie/blobs/$secret?frames=1"; do
    [ "$(code "$path")" = 404 ] || fail "$path: $(cat "$TMP/answer")"
    [ "$(code "$path" -I)" = 404 ] || fail "HEAD of $path"
done
grep -q 'a secret' "$TMP/answer" && fail "the secret came"
[ "$(code "/v2/private/thing/blobs/$secret")" = 200 ] || fail "its owner has lost it"
[ "$(code "/v2/team/lie/manifests/$lie")" = 200 ] || fail "$(cat "$TMP/answer")"
end_cache
ok "a manifest that names what is private here brings nothing of it"
