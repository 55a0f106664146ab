#!/bin/bash
# Digests of both algorithms that the OCI specifications register, by curl: whatever takes a SHA-256 takes a SHA-512.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
start_ingotd
base=http://$REGISTRY/v2
image=application/vnd.oci.image.manifest.v1+json
index=application/vnd.oci.image.index.v1+json

# ask STATUS CURL-ARGUMENTS...: the answer's body in $TMP/body, its head in $TMP/head.
ask() {
    local wanted=$1 status
    shift
    status=$(curl -s -m 60 -o "$TMP/body" -D "$TMP/head" -w '%{http_code}' "$@") || fail "curl $* ends with $?"
    [ "$status" = "$wanted" ] || fail "status $status, not $wanted, of: $* ($(head -c 300 "$TMP/body"))"
}
header() { sed -n "s/^$1: *\([^\r]*\)\r*$/\1/Ip" "$TMP/head"; }
refused() {
    local wanted=$1
    shift
    ask "$@"
    grep -q "\"$wanted\"" "$TMP/body" || fail "the error of $* is $(cat "$TMP/body"), not $wanted"
}
long() { echo "sha512:$(sha512sum "$1" | cut -d' ' -f1)"; }
short() { echo "sha256:$(sha256sum "$1" | cut -d' ' -f1)"; }
digested() { [ "$(header Docker-Content-Digest)" = "$1" ] || fail "Docker-Content-Digest: $(header Docker-Content-Digest), not $1"; }
# begin NAME [QUERY]: an upload, at $location.
begin() { ask 202 -X POST "$base/$1/blobs/uploads/${2:-}"; location=http://$REGISTRY$(header Location); }
# fresh FILE [SIZE]: new bytes; their digest in $digest.
fresh() {
    head -c "${2:-100000}" /dev/urandom >"$TMP/$1"
    digest=$(long "$TMP/$1")
}
has() {
    ask 200 "$base/$1/blobs/$2"
    cmp -s "$TMP/body" "$3" || fail "other bytes come for $2"
    digested "$2"
    ask 200 -I "$base/$1/blobs/$2"
    digested "$2"
    [ "$(header Content-Length)" = "$(stat -c %s "$3")" ] || fail "HEAD of $2: $(cat "$TMP/head")"
}

# --- blobs ---

fresh one
ask 201 -X POST --data-binary "@$TMP/one" "$base/a/blobs/uploads/?digest=$digest"
digested "$digest"
[ "$(header Location)" = "/v2/a/blobs/$digest" ] || fail "Location: $(header Location)"
has a "$digest" "$TMP/one"
has a "$(short "$TMP/one")" "$TMP/one"
for hint in '' '?digest-algorithm=sha512' '?digest-algorithm=sha256'; do
    fresh put
    begin a "$hint"
    ask 201 -X PUT --data-binary "@$TMP/put" "$location?digest=$digest"
    has a "$digest" "$TMP/put"
    fresh chunks 200000
    begin a "$hint"
    head -c 100000 "$TMP/chunks" | ask 202 -X PATCH -H 'Content-Range: 0-99999' --data-binary @- "$location"
    tail -c +100001 "$TMP/chunks" >"$TMP/end"
    ask 416 -X PATCH -H 'Content-Range: 100001-200000' --data-binary "@$TMP/end" "$location"
    ask 202 -X PATCH -H 'Content-Range: 100000-199999' --data-binary "@$TMP/end" "$location"
    ask 201 -X PUT "$location?digest=$digest"
    has a "$digest" "$TMP/chunks"
done
: >"$TMP/empty"
ask 201 -X POST "$base/a/blobs/uploads/?digest=$(long "$TMP/empty")"
has a "$(long "$TMP/empty")" "$TMP/empty"
ask 206 -H 'Range: bytes=500-1499' "$base/a/blobs/$digest"
cmp -s "$TMP/body" <(tail -c +501 "$TMP/chunks" | head -c 1000) || fail "another range"
ask 304 -H "If-None-Match: \"$digest\"" "$base/a/blobs/$digest"
ok "blobs pushed in every way, with a hint of their algorithm or without, and pulled by both digests"

fresh other
wrong=$digest
printf 'not these' >"$TMP/small"
refused DIGEST_INVALID 400 -X POST --data-binary "@$TMP/small" "$base/a/blobs/uploads/?digest=$wrong"
begin a
refused DIGEST_INVALID 400 -X PUT --data-binary "@$TMP/small" "$location?digest=$wrong"
ask 204 "$location"
[ "$(header Range)" = 0-8 ] || fail "a wrong digest has dropped what came: $(header Range)"
ask 201 -X PUT "$location?digest=$(long "$TMP/small")"
ask 404 "$base/a/blobs/$wrong"
ask 404 -I "$base/a/blobs/$wrong"
ask 404 -X DELETE "$base/a/blobs/$wrong"
for bad in "${wrong}0" "${wrong%?}" "${wrong/512/384}" "${wrong^^}" "md5:${wrong#*:}" "sha512:${wrong:7:64}" sha512:; do
    refused DIGEST_INVALID 400 "$base/a/blobs/$bad"
    refused DIGEST_INVALID 400 "$base/a/manifests/$bad"
    refused DIGEST_INVALID 400 "$base/a/referrers/$bad"
    refused DIGEST_INVALID 400 -X POST --data-binary x "$base/a/blobs/uploads/?digest=$bad"
    grep -q 'sha256.*sha512' "$TMP/body" || fail "it says not what is taken: $(cat "$TMP/body")"
done
refused DIGEST_INVALID 400 -X POST "$base/a/blobs/uploads/?digest-algorithm=sha384"
ok "wrong digests and other algorithms are refused, and what came stays"

one=$(long "$TMP/one")
ask 201 -X POST "$base/b/blobs/uploads/?mount=$one&from=a"
digested "$one"
has b "$one" "$TMP/one"
ask 201 -X POST "$base/c/blobs/uploads/?mount=$one"
ask 202 -X POST "$base/b/blobs/uploads/?mount=$wrong&from=a"
ask 404 "$base/d/blobs/$one"
ask 202 -X DELETE "$base/b/blobs/$one"
ask 404 "$base/b/blobs/$one"
has a "$one" "$TMP/one"
ok "mounts and deletions, each in its own repository"

# --- manifests ---

descriptor() { printf '{"mediaType":"%s","digest":"%s","size":%d}' "$1" "$2" "$(stat -c %s "$3")"; }
# manifest FILE [MORE]: of the blob "one"
manifest() {
    printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]%s}' "$image" \
        "$(descriptor text/c "$one" "$TMP/one")" "$(descriptor text/l "$one" "$TMP/one")" "${2:-}" >"$TMP/$1"
}
put() { ask "$1" -X PUT -H "Content-Type: $2" --data-binary "@$TMP/$3" "$base/$4"; }
manifest m
m=$(long "$TMP/m")
refused DIGEST_INVALID 400 -X PUT -H "Content-Type: $image" --data-binary "@$TMP/m" "$base/a/manifests/$wrong"
put 201 "$image" m "a/manifests/$m"
digested "$m"
[ "$(header Location)" = "/v2/a/manifests/$m" ] || fail "Location: $(header Location)"
for by in "$m" "$(short "$TMP/m")"; do
    ask 200 "$base/a/manifests/$by"
    cmp -s "$TMP/body" "$TMP/m" || fail "another manifest by $by"
    digested "$by"
    ask 200 -I "$base/a/manifests/$by"
    digested "$by"
    ask 304 -H "If-None-Match: \"$by\"" "$base/a/manifests/$by"
done
put 201 "$image" m a/manifests/latest
ask 200 -I "$base/a/manifests/latest"
digested "$(short "$TMP/m")"
sed "s/$one/$wrong/" "$TMP/m" >"$TMP/lacks"
put 404 "$image" lacks a/manifests/lacks
grep -q "MANIFEST_BLOB_UNKNOWN.*$wrong" "$TMP/body" || fail "what is missing: $(cat "$TMP/body")"
sed 's/"size":[0-9]*/"size":1/' "$TMP/m" >"$TMP/lies"
refused MANIFEST_INVALID 400 -X PUT -H "Content-Type: $image" --data-binary "@$TMP/lies" "$base/a/manifests/lies"
printf '{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' "$index" "$(descriptor "$image" "$m" "$TMP/m")" >"$TMP/index"
put 201 "$index" index "a/manifests/$(long "$TMP/index")?tag=1.0.0&tag=many"
[ "$(header OCI-Tag | tr -d '\n')" = '1.0.0, many' ] || fail "OCI-Tag: $(header OCI-Tag)"
for tag in 1.0.0 many; do
    ask 200 "$base/a/manifests/$tag"
    cmp -s "$TMP/body" "$TMP/index" || fail "another manifest has the tag $tag"
    digested "$(long "$TMP/index")"
done
put 409 "$image" m "a/manifests/$m?tag=fine&tag=1.0.0"
ask 404 "$base/a/manifests/fine"
put 400 "$image" m "a/manifests/$m?tag=not/fine"
ask 409 -X DELETE "$base/a/manifests/$m" # the index needs it
ok "manifests by both digests, with tags put beside them, all or none"

# --- referrers ---

subject() { printf ',"artifactType":"%s","subject":{"mediaType":"%s","digest":"%s","size":%d}' "$1" "$image" "$2" "$3"; }
listed() { python3 -c 'import json,sys; print(*sorted(m["digest"] for m in json.load(open(sys.argv[1]))["manifests"]))' "$TMP/body"; }
manifest later ',"annotations":{"come":"later"}'
later=$(long "$TMP/later")
manifest about "$(subject text/x "$later" "$(stat -c %s "$TMP/later")")"
put 201 "$image" about "a/manifests/$(long "$TMP/about")"
[ "$(header OCI-Subject)" = "$later" ] || fail "OCI-Subject: $(header OCI-Subject)"
ask 200 "$base/a/referrers/$later"
[ "$(listed)" = "$(long "$TMP/about")" ] || fail "attached to what is not here: $(cat "$TMP/body")"
ask 200 "$base/a/referrers/$(short "$TMP/later")"
[ -z "$(listed)" ] || fail "nobody can know that: $(cat "$TMP/body")"
put 201 "$image" later "a/manifests/$later"
manifest also "$(subject text/y "$(short "$TMP/later")" "$(stat -c %s "$TMP/later")")"
put 201 "$image" also a/manifests/also
for by in "$later" "$(short "$TMP/later")"; do
    ask 200 "$base/a/referrers/$by"
    [ "$(listed | wc -w)" = 2 ] || fail "attached to $by: $(cat "$TMP/body")"
    ask 200 "$base/a/referrers/$by?artifactType=text/y"
    [ "$(listed)" = "$(short "$TMP/also")" ] || fail "of one kind: $(cat "$TMP/body")"
done
ask 200 "$base/a/referrers/$(short "$TMP/later")?artifactType=text/x"
[ "$(listed)" = "$(short "$TMP/about")" ] || fail "of the other kind: $(cat "$TMP/body")"
ok "referrers of a subject by both digests, before and after it comes"

# --- other registries: a mirror and a cache take all of that as it is named there ---

gone=$(long "$TMP/chunks")
fresh large 5000000
large=$digest
ask 201 -X POST --data-binary "@$TMP/large" "$base/a/blobs/uploads/?digest=$large"
printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' "$image" "$(descriptor text/c "$one" "$TMP/one")" \
    "$(descriptor text/l "$large" "$TMP/large")" >"$TMP/disk"
put 201 "$image" disk "a/manifests/$(long "$TMP/disk")?tag=2.0.0"
manifest seal "$(subject text/seal "$(long "$TMP/disk")" "$(stat -c %s "$TMP/disk")")"
put 201 "$image" seal "a/manifests/$(long "$TMP/seal")"
expect 0 ingotd mirror --data "$TMP/mirrored" "http://$REGISTRY" a
upstream=$SERVER upstream_base=$base
start_ingotd "$TMP/mirrored"
base=http://$REGISTRY/v2
for by in "$large" "$(short "$TMP/large")"; do has a "$by" "$TMP/large"; done
for tag in 1.0.0 2.0.0 latest "$m" "$(short "$TMP/m")"; do ask 200 "$base/a/manifests/$tag"; done
ask 200 "$base/a/referrers/$(short "$TMP/disk")"
[ "$(listed)" = "$(short "$TMP/seal")" ] || fail "what is attached did not come: $(cat "$TMP/body")"
kill "$SERVER"
wait "$SERVER" || fail "the mirror ends with $?"
start_cache cache "${upstream_base%/v2}"
base=http://$cache/v2
ask 200 -I "$base/a/blobs/$large"
ask 200 "$base/a/manifests/$(long "$TMP/disk")"
cmp -s "$TMP/body" "$TMP/disk" || fail "another manifest comes through the cache"
ask 404 "$base/a/blobs/$wrong"
ask 404 "$base/a/manifests/$wrong"
for by in "$large" "$one"; do ask 200 "$base/a/blobs/$by"; done
ask 200 "$base/a/manifests/2.0.0"
ask 200 "$base/a/referrers/$(long "$TMP/disk")"
[ "$(listed)" = "$(long "$TMP/seal")" ] || fail "what is attached did not come through the cache: $(cat "$TMP/body")"
kill "$upstream"
wait "$upstream" || fail "ingotd ends with $?"
has a "$large" "$TMP/large"
has a "$one" "$TMP/one"
ask 200 "$base/a/manifests/$(long "$TMP/disk")"
digested "$(long "$TMP/disk")"
end_cache
start_ingotd "$TMP/registry"
base=http://$REGISTRY/v2
ok "a mirror and a cache have all of it by both digests"

# --- afterwards ---

kill "$SERVER"
wait "$SERVER" || fail "ingotd ends with $?"
expect 0 ingotd gc --data "$TMP/registry" --grace 0s --untagged-grace 0s
expect 0 ingotd scrub --data "$TMP/registry"
! grep -q inconsistent "$TMP/out" || fail "$(cat "$TMP/out")"
rm "$TMP/registry"/catalogue.sqlite*
expect 0 ingotd rebuild --data "$TMP/registry"
expect 0 ingotd scrub --data "$TMP/registry"
start_ingotd
base=http://$REGISTRY/v2
has a "$one" "$TMP/one"
ask 200 "$base/a/manifests/$m"
ask 404 "$base/a/blobs/$gone"
ask 200 -I "$base/a/manifests/many"
digested "$(long "$TMP/index")"
put 201 "$index" index a/manifests/many
ask 200 -I "$base/a/manifests/many"
digested "$(short "$TMP/index")"
ask 200 "$base/a/referrers/$(short "$TMP/later")"
[ "$(listed)" = "$(short "$TMP/also")" ] || fail "after a rebuild: $(cat "$TMP/body")"
ask 202 -X DELETE "$base/a/manifests/$(long "$TMP/index")"
ask 202 -X DELETE "$base/a/manifests/$m"
ask 404 "$base/a/manifests/$(short "$TMP/m")"
ok "garbage is collected, and a rebuild knows both digests again"
