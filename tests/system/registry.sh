#!/bin/bash
# ingotd as any OCI client sees it, by curl: uploads, ranges, mounts, lists, referrers, deletion, limits, a killed server.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
INGOTD_SPARSE='sparse/*' start_ingotd
base=http://$REGISTRY/v2
head -c 300000 /dev/urandom >"$TMP/blob"
digest=sha256:$(sha256sum <"$TMP/blob" | cut -d' ' -f1)

# ask STATUS CURL-ARGUMENTS...: the answer's body in $TMP/body, its head in $TMP/head.
ask() {
    local wanted=$1 status
    shift
    status=$(curl -s -o "$TMP/body" -D "$TMP/head" -w '%{http_code}' "$@") || fail "curl $* ends with $?"
    [ "$status" = "$wanted" ] || fail "status $status, not $wanted, of: $* ($(head -c 300 "$TMP/body"))"
}
header() { sed -n "s/^$1: *\([^\r]*\)\r*$/\1/Ip" "$TMP/head"; }
code() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["errors"][0]["code"])' "$TMP/body"; }
refused() {
    local wanted=$1
    shift
    ask "$@"
    [ "$(code)" = "$wanted" ] || fail "the error of $* is $(cat "$TMP/body"), not $wanted"
}
post() { ask 202 -X POST "$base/$1/blobs/uploads/"; location=http://$REGISTRY$(header Location); }
# blob REPOSITORY TEXT: pushes it; its digest in $pushed.
blob() {
    pushed=sha256:$(printf %s "$2" | sha256sum | cut -d' ' -f1)
    ask 201 -X POST --data-binary "$2" "$base/$1/blobs/uploads/?digest=$pushed"
}
rss_peak() { awk '/^VmHWM/ { print $2 }' "/proc/$SERVER/status"; }
other=sha384:$(printf '0%.0s' $(seq 96)) # of an algorithm that is not taken

ask 200 "$base/"
post a
ask 201 -X PUT --data-binary "@$TMP/blob" "$location?digest=$digest"
[ "$(header Docker-Content-Digest)" = "$digest" ] || fail "no digest in the answer"
ask 201 -X POST --data-binary "@$TMP/blob" "$base/single/blobs/uploads/?digest=$digest"
post a
refused DIGEST_INVALID 400 -X PUT --data-binary "other bytes" "$location?digest=$digest"
ask 204 "$location"
[ "$(header Range)" = 0-10 ] || fail "a wrong digest has dropped what came: $(header Range)"
refused BLOB_UPLOAD_INVALID 416 -X PUT -H 'Content-Range: 0-10' --data-binary "other bytes" "$location?digest=$digest"
ask 201 -X PUT "$location?digest=sha256:$(printf 'other bytes' | sha256sum | cut -d' ' -f1)"
blob a ''
ask 200 "$base/a/blobs/$pushed"
[ "$(header Content-Length)" = 0 ] || fail "a blob of no bytes: $(cat "$TMP/head")"
refused DIGEST_INVALID 400 -X POST --data-binary "@$TMP/blob" "$base/a/blobs/uploads/?digest=$other"
refused DIGEST_INVALID 400 -X POST --data-binary "other bytes" "$base/a/blobs/uploads/?digest=$digest"
! curl -s -m 1 --limit-rate 30K -H 'Expect:' -X POST --data-binary "@$TMP/blob" "$base/a/blobs/uploads/?digest=$digest" || fail "a POST that was to break off"
for _ in $(seq 200); do [ -n "$(ls "$TMP/registry/uploads")" ] || break; sleep 0.05; done
[ -z "$(ls "$TMP/registry/uploads")" ] || fail "an upload that nobody can end stays: $(ls "$TMP/registry/uploads")"
ok "blobs in one piece, with POST and PUT or POST alone; a wrong digest is refused, what came stays"

post a
head -c 100000 "$TMP/blob" | ask 202 -X PATCH -H 'Content-Type: application/octet-stream' -H 'Content-Range: 0-99999' --data-binary @- "$location"
[ "$(header Range)" = 0-99999 ] || fail "Range: $(header Range)"
tail -c +200001 "$TMP/blob" >"$TMP/end"
ask 416 -X PATCH -H 'Content-Range: 200000-299999' --data-binary "@$TMP/end" "$location"
ask 204 "$location"
[ "$(header Range)" = 0-99999 ] || fail "an upload's status: $(header Range)"
tail -c +100001 "$TMP/blob" >"$TMP/end"
for bad in 100000 100000- bytes=100000-299999 299999-100000 100000-299999- 100000-299999x; do
    refused BLOB_UPLOAD_INVALID 400 -X PATCH -H "Content-Range: $bad" --data-binary "@$TMP/end" "$location"
done
refused SIZE_INVALID 400 -X PATCH -H 'Content-Range: 100000-300000' --data-binary "@$TMP/end" "$location"
# A body that says nothing of its own length is held to the range that it brings.
refused SIZE_INVALID 400 -X PATCH -H 'Content-Range: 100000-100009' -H 'Transfer-Encoding: chunked' --data-binary "@$TMP/end" "$location"
ask 204 "$location"
[ "$(header Range)" = 0-99999 ] || fail "more than the range says: $(header Range)"
refused BLOB_UPLOAD_INVALID 416 -X PUT -H 'Content-Range: 0-199999' --data-binary "@$TMP/end" "$location?digest=$digest"
refused DIGEST_INVALID 400 -X PUT --data-binary "@$TMP/end" "$location?digest=$other"
refused DIGEST_INVALID 400 -X PUT --data-binary "@$TMP/end" "$location"
ask 204 "$location"
[ "$(header Range)" = 0-99999 ] || fail "what was refused has changed the upload: $(header Range)"
head -c 1000 "$TMP/end" >"$TMP/short"
refused SIZE_INVALID 400 -X PATCH -H 'Content-Range: 100000-299999' -H 'Transfer-Encoding: chunked' --data-binary "@$TMP/short" "$location"
ask 204 "$location"
[ "$(header Range)" = 0-100999 ] || fail "what came of a chunk that was cut short: $(header Range)"
tail -c +101001 "$TMP/blob" >"$TMP/rest"
refused SIZE_INVALID 400 -X PUT -H 'Content-Range: 101000-399999' -H 'Transfer-Encoding: chunked' --data-binary @/dev/null "$location?digest=$digest"
ask 202 -X PATCH -H 'Content-Range: 101000-299999' -H 'Transfer-Encoding: chunked' --data-binary "@$TMP/rest" "$location"
ask 201 -X PUT "$location?digest=$digest"
post a
head -c 100000 "$TMP/blob" | ask 202 -X PATCH --data-binary @- "$location"
ask 201 -X PUT -H 'Content-Range: 100000-299999' --data-binary "@$TMP/end" "$location?digest=$digest"
post a
ask 204 -X DELETE "$location"
refused BLOB_UPLOAD_UNKNOWN 404 "$location"
for ticket in x x.y "${location##*/}0" "$(basename "$location" | cut -d. -f1)"; do
    for method in GET DELETE PATCH PUT POST; do
        refused BLOB_UPLOAD_UNKNOWN 404 -X $method "$base/a/blobs/uploads/$ticket"
    done
done
ok "blobs in chunks, resumed by the upload's status, in order only"

ask 200 "$base/a/blobs/$digest"
cmp "$TMP/body" "$TMP/blob" || fail "the blob differs"
ask 200 -I "$base/a/blobs/$digest"
[ "$(header Content-Length)" = 300000 ] || fail "HEAD: $(cat "$TMP/head")"
range() {
    ask 206 -H "Range: bytes=$1" "$base/a/blobs/$digest"
    cmp "$TMP/body" <(tail -c +$(($2 + 1)) "$TMP/blob" | head -c "$3") || fail "range $1"
    [ "$(header Content-Range)" = "bytes $2-$(($2 + $3 - 1))/300000" ] || fail "Content-Range: $(header Content-Range)"
}
range 0-0 0 1
range 1000-1999 1000 1000
range 299999-400000 299999 1
range 200000- 200000 100000
range -5 299995 5
range -400000 0 300000
for bad in 300000- 5-4 -0; do ask 416 -H "Range: bytes=$bad" "$base/a/blobs/$digest"; done

ask 206 -H 'Range: bytes=0-9, 299990-, 500000-600000, 100-199' "$base/a/blobs/$digest"
python3 - "$TMP/head" "$TMP/body" "$TMP/blob" <<'PY' || fail "several ranges: $(cat "$TMP/head")"
import email.parser, email.policy, re, sys
head, body, blob = (open(path, "rb").read() for path in sys.argv[1:])
kind = re.search(rb"(?im)^Content-Type: *(\S.*?)\r?$", head).group(1)
length = int(re.search(rb"(?im)^Content-Length: *(\d+)", head).group(1))
assert length == len(body), (length, len(body))
message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(b"Content-Type: " + kind + b"\r\n\r\n" + body)
parts = [(p["Content-Range"], p.get_payload(decode=True)) for p in message.iter_parts()]
wanted = [(0, 9), (299990, 299999), (100, 199)]
assert [r for r, _ in parts] == [f"bytes {a}-{b}/300000" for a, b in wanted], parts
boundary = re.search(rb"boundary=(\S+)", kind).group(1)
raw = [p.split(b"\r\n\r\n", 1)[1] for p in body.split(b"\r\n--" + boundary)[1:-1]]
assert raw == [blob[a:b + 1] for a, b in wanted]
PY
ask 200 -H "Range: bytes=0-299999,0-299999" "$base/a/blobs/$digest" # more than there is: the whole
ask 416 -H 'Range: bytes=400000-, 500000-' "$base/a/blobs/$digest"
ask 200 -I "$base/a/blobs/$digest"
tag=$(header ETag)
: >"$TMP/body"
ask 304 -H "If-None-Match: \"other\", $tag" "$base/a/blobs/$digest"
[ ! -s "$TMP/body" ] && header Cache-Control | grep -q immutable || fail "304: $(cat "$TMP/head")"
ask 206 -H "If-Range: $tag" -H 'Range: bytes=0-0' "$base/a/blobs/$digest"
ask 200 -H 'If-Range: "other"' -H 'Range: bytes=0-0' "$base/a/blobs/$digest"
refused BLOB_UNKNOWN 404 "$base/a/blobs/sha256:$(printf '0%.0s' $(seq 64))"
refused DIGEST_INVALID 400 "$base/a/blobs/sha256:abc"
ok "GET, HEAD, Range (several in one request), If-None-Match and If-Range"

# ranges OFFSET LENGTH...: a list of ranges.
ranges() { python3 -c 'import struct, sys; sys.stdout.buffer.write(b"".join(struct.pack("<Q", int(n)) for n in sys.argv[1:]))' "$@" >"$TMP/list"; }
ask 200 -I "$base/a/blobs/$digest"
[ "$(header Ingot-Ranges)" = "/v2/a/blobs/$digest" ] || fail "Ingot-Ranges: $(cat "$TMP/head")"
ranges 0 10 10 5 1000 70000 299999 1
ask 200 --data-binary "@$TMP/list" "$base/a/blobs/$digest"
cmp "$TMP/body" <(head -c 15 "$TMP/blob"; tail -c +1001 "$TMP/blob" | head -c 70000; tail -c 1 "$TMP/blob") || fail "a list of ranges"
for bad in "10 5 0 10" "0 10 9 1" "0 0" "300000 1" "299999 2" "0 18446744073709551615" "0"; do
    # shellcheck disable=SC2086
    ranges $bad
    refused SIZE_INVALID 400 --data-binary "@$TMP/list" "$base/a/blobs/$digest"
done
refused SIZE_INVALID 400 -X POST "$base/a/blobs/$digest"
# shellcheck disable=SC2046
ranges $(seq 0 4096 | sed 's/$/ 1/')
refused SIZE_INVALID 413 --data-binary "@$TMP/list" "$base/a/blobs/$digest"
ranges 0 1
refused BLOB_UNKNOWN 404 --data-binary "@$TMP/list" "$base/a/blobs/sha256:$(printf '0%.0s' $(seq 64))"
refused BLOB_UNKNOWN 404 --data-binary "@$TMP/list" "$base/b/blobs/$digest"
ok "many ranges by one request, in order, within the blob"

ask 201 -X POST "$base/b/blobs/uploads/?mount=$digest&from=a"
ask 200 -I "$base/b/blobs/$digest"
ask 202 -X POST "$base/c/blobs/uploads/?mount=$digest&from=nowhere"
ask 404 -I "$base/c/blobs/$digest"
ask 201 -X POST "$base/deep/er/blobs/uploads/?mount=$digest"
[ "$(header Location)" = "/v2/deep/er/blobs/$digest" ] || fail "Location: $(header Location)"
ask 200 -I "$base/deep/er/blobs/$digest"
blob deep/er 'soon gone'
ask 202 -X DELETE "$base/deep/er/blobs/$pushed"
for lost in "$pushed" "$other" x; do ask 202 -X POST "$base/c/blobs/uploads/?mount=$lost"; done
ok "a blob is mounted from one repository to another, and in no other is it seen"

manifest() { # CONFIG-DIGEST [MORE [SIZE]]
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"%s","size":%d},"layers":[]%s}' "$1" "${3:-300000}" "${2:-}"
}
manifest "$digest" >"$TMP/manifest"
own=sha256:$(sha256sum <"$TMP/manifest" | cut -d' ' -f1)
type='Content-Type: application/vnd.oci.image.manifest.v1+json'
for tag in 1.0.0 1.1.0 dev latest; do ask 201 -X PUT -H "$type" --data-binary "@$TMP/manifest" "$base/a/manifests/$tag"; done
ask 200 "$base/a/manifests/dev"
cmp "$TMP/body" "$TMP/manifest" || fail "the manifest differs"
[ "$(header Content-Type)" = "${type#*: }" ] && [ "$(header Docker-Content-Digest)" = "$own" ] || fail "$(cat "$TMP/head")"
ask 304 -H "If-None-Match: \"$own\"" "$base/a/manifests/dev"
[ "$(header Cache-Control)" = no-cache ] || fail "a tag's answer may be kept: $(cat "$TMP/head")"
ask 200 "$base/a/manifests/$own"
[ "$(header Cache-Control)" = no-cache ] || fail "it may be revoked, and a cache gives it all the same: $(cat "$TMP/head")"
manifest "sha256:$(printf '1%.0s' $(seq 64))" >"$TMP/lacking"
refused MANIFEST_BLOB_UNKNOWN 404 -X PUT -H "$type" --data-binary "@$TMP/lacking" "$base/a/manifests/2.0.0"
refused MANIFEST_INVALID 400 -X PUT -H "$type" --data-binary '{' "$base/a/manifests/2.0.0"
refused MANIFEST_UNKNOWN 404 "$base/a/manifests/2.0.0"
refused MANIFEST_INVALID 400 -X PUT -H "$type" --data-binary '[]' "$base/a/manifests/2.0.0"
refused MANIFEST_INVALID 400 -X PUT -H "$type" --data-binary "@$TMP/manifest" "$base/a/manifests/.2"
refused MANIFEST_UNKNOWN 404 "$base/a/manifests/.2"
for method in GET DELETE; do refused DIGEST_INVALID 400 -X $method "$base/a/manifests/$other"; done
refused DIGEST_INVALID 400 -X PUT -H "$type" --data-binary "@$TMP/manifest" "$base/a/manifests/$other"
refused DIGEST_INVALID 400 -X PUT -H "$type" --data-binary "@$TMP/manifest" "$base/a/manifests/$digest"
ok "manifests by tag and digest; one whose blobs are not there is refused"

# put STATUS REPOSITORY TAG TYPE MANIFEST: its digest in $pushed.
put() {
    pushed=sha256:$(printf %s "$5" | sha256sum | cut -d' ' -f1)
    ask "$1" -X PUT -H "Content-Type: $4" --data-binary "$5" "$base/$2/manifests/$3"
}
# kept TAG TYPE MANIFEST: it is put into the repository "types" and comes back as it was.
kept() {
    put 201 types "$1" "$2" "$3"
    ask 200 "$base/types/manifests/$1"
    [ "$(header Content-Type)" = "$2" ] && [ "$(cat "$TMP/body")" = "$3" ] || fail "$1: $(cat "$TMP/head" "$TMP/body")"
}
# image TYPE CONFIG-TYPE LAYER-TYPE; list TYPE DIGEST
image() {
    printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"%s","digest":"%s","size":2},"layers":[{"mediaType":"%s","digest":"%s","size":5}]}' "$1" "$2" "$config" "$3" "$layer"
}
list() {
    printf '{"schemaVersion":2,"mediaType":"%s","manifests":[{"mediaType":"%s","digest":"%s","size":%d}]}' "$1" "${type#*: }" "$2" \
        "$(curl -s "$base/types/manifests/$2" | wc -c)"
}
oci=application/vnd.oci.image docker=application/vnd.docker
blob types '{}'
config=$pushed
blob types layer
layer=$pushed
kept oci "${type#*: }" "$(image "${type#*: }" $oci.config.v1+json $oci.layer.v1.tar+gzip)"
one=$pushed
kept docker $docker.distribution.manifest.v2+json "$(image $docker.distribution.manifest.v2+json $docker.container.image.v1+json $docker.image.rootfs.diff.tar.gzip)"
kept chart "${type#*: }" "$(image "${type#*: }" application/vnd.cncf.helm.config.v1+json application/vnd.cncf.helm.chart.content.v1.tar+gzip)"
kept "${one/:/-}.sig" "${type#*: }" "$(image "${type#*: }" $oci.config.v1+json application/vnd.dev.cosign.simplesigning.v1+json)"
kept sbom "${type#*: }" "$(image "${type#*: }" application/vnd.oci.empty.v1+json application/spdx+json)"
kept index $oci.index.v1+json "$(list $oci.index.v1+json "$one")"
kept indexes $oci.index.v1+json "$(list $oci.index.v1+json "$pushed")"
kept list $docker.distribution.manifest.list.v2+json "$(list $docker.distribution.manifest.list.v2+json "$one")"
kept none $oci.index.v1+json '{"schemaVersion":2,"manifests":[]}'
for lost in "$layer" "$own"; do # a blob; another repository's
    put 404 types lost $oci.index.v1+json "$(list $oci.index.v1+json "$lost")"
    [ "$(code)" = MANIFEST_BLOB_UNKNOWN ] || fail "an index of '$lost': $(cat "$TMP/body")"
done
put 201 types with "${type#*: }; charset=utf-8" "$(image "${type#*: }" text/x text/y)"
ask 200 "$base/types/manifests/with"
[ "$(header Content-Type)" = "${type#*: }" ] || fail "a type with a parameter: $(header Content-Type)"
put 400 types other $oci.index.v1+json "$(image "${type#*: }" text/x text/y)"
[ "$(code)" = MANIFEST_INVALID ] || fail "a manifest of another type: $(cat "$TMP/body")"
put 400 types other $oci.index.v1+json "$(list $oci.index.v1+json "$other")"
[ "$(code)" = MANIFEST_INVALID ] || fail "an index of a digest that is none: $(cat "$TMP/body")"
# What an index names is not removed beside it, by either door; but where indexes may be sparse, it may be missing too.
blob sparse/x '{}'
blob sparse/x layer
put 201 sparse/x index $oci.index.v1+json "$(list $oci.index.v1+json "$one")"
ask 404 "$base/sparse/x/manifests/$one"
put 201 sparse/x image "${type#*: }" "$(image "${type#*: }" $oci.config.v1+json $oci.layer.v1.tar+gzip)"
ask 202 -X DELETE "$base/sparse/x/manifests/$pushed"
[ "$pushed" = "$one" ] || fail "another manifest was removed"
kept alone $oci.index.v1+json "$(list $oci.index.v1+json "$one")"
for kind in manifests blobs; do
    refused DENIED 409 -X DELETE "$base/types/$kind/$one"
    grep -q 'types@sha256:.* names it' "$TMP/body" || fail "which index: $(cat "$TMP/body")"
done
ok "manifests of other kinds: indexes, Docker's, charts, signatures; what an index names is a manifest"

# Of any kind that is taken it is known what it mentions; the others are refused, and what a browser would show.
artifact='application/vnd.oci.artifact.manifest.v1+json'
kept artifact $artifact "{\"mediaType\":\"$artifact\",\"blobs\":[{\"mediaType\":\"text/y\",\"digest\":\"$layer\",\"size\":5}]}"
put 404 types lost $artifact "{\"blobs\":[{\"digest\":\"sha256:$(printf '1%.0s' $(seq 64))\",\"size\":5}]}"
invalid() { # TYPE MANIFEST
    put 400 types invalid "$1" "$2"
    [ "$(code)" = MANIFEST_INVALID ] || fail "$1 $2: $(cat "$TMP/body")"
}
for kind in text/html application/json image/svg+xml application/xhtml+xml application/+json 'application/a b+json' 'application/<b>+json'; do
    invalid "$kind" '{"a":"<script>alert(1)</script>"}'
done
for kind in v1+json v1+prettyjws; do
    invalid "$docker.distribution.manifest.$kind" "{\"schemaVersion\":1,\"fsLayers\":[{\"blobSum\":\"$layer\"}]}"
done
one_layer() { printf '{"layers":[{"digest":"%s"%s}]}' "$layer" "$1"; }
for size in ',"size":4' ',"size":6' ',"size":-5' ',"size":"5"' ',"size":5.0' ''; do invalid "${type#*: }" "$(one_layer "$size")"; done
for bad in '{"layers":{}}' '{"layers":[5]}' '{"config":"x"}' '{"manifests":[{"size":2}]}' '{"blobs":[{"digest":"sha256:12","size":2}]}' \
    '{"subject":{"digest":"x","size":2}}'; do
    invalid "${type#*: }" "$bad"
done
put 201 types again "application/vnd.x+json" '{"layers":null}'
put 201 types again "application/vnd.y+json" '{"layers":null}'
ask 200 "$base/types/manifests/again"
[ "$(header Content-Type)" = application/vnd.y+json ] || fail "the type of the last push: $(header Content-Type)"
# What a version names is not made another kind of thing by whoever may only push.
put 201 types 1.0.0 "application/vnd.x+json" '{"layers":[]}'
put 409 types "$pushed" "application/vnd.y+json" '{"layers":[]}'
put 409 types again2 "application/vnd.y+json" '{"layers":[]}'
ask 200 "$base/types/manifests/1.0.0"
[ "$(header Content-Type)" = application/vnd.x+json ] || fail "the type of a version: $(header Content-Type)"
for path in "types/manifests/artifact" "types/blobs/$layer" types/manifests/none-such; do
    curl -s -D "$TMP/head" -o /dev/null "$base/$path"
    [ "$(header X-Content-Type-Options)" = nosniff ] && [ "$(header Content-Security-Policy)" = "sandbox; default-src 'none'" ] ||
        fail "$path may be shown as a page: $(cat "$TMP/head")"
done
ok "manifests: a rule for every kind, sizes that are true, nothing that is a page"

# A version stays; another tag moves, on conditions if need be.
moved() { printf '{"schemaVersion":2,"text":"%s"}' "$1"; }
put 201 moves 1.0.0 "${type#*: }" "$(moved a)"
a=$pushed
put 201 moves 1.0.0 "${type#*: }" "$(moved a)"
put 409 moves 1.0.0 "${type#*: }" "$(moved b)"
grep -q "$a" "$TMP/body" || fail "which digest the version has: $(cat "$TMP/body")"
refused MANIFEST_UNKNOWN 404 "$base/moves/manifests/$pushed"
put 201 moves latest "${type#*: }" "$(moved a)"
put 201 moves latest "${type#*: }" "$(moved b)"
b=$pushed
on() { # STATUS TAG HEADER TEXT
    ask "$1" -X PUT -H "$type" -H "$3" --data-binary "$(moved "$4")" "$base/moves/manifests/$2"
}
on 412 latest "If-Match: \"$a\"" c
grep -q "$b" "$TMP/body" || fail "which digest the tag has: $(cat "$TMP/body")"
on 201 latest "If-Match: \"$b\"" c
on 412 latest "If-Match: \"$b\"" a
on 412 latest 'If-None-Match: *' c
on 412 new "If-Match: \"$a\"" a
on 201 new 'If-None-Match: *' a
on 400 new 'If-Match: *' a
on 400 new "If-Match: $a" a
on 412 1.0.0 "If-Match: \"$b\"" a
on 412 1.0.0 "If-Match: \"$a\"" b
ok "a version never moves; another tag moves from the digest that it is known to have"

# But to an index that begins with what it named, where that says its platform.
config_of() { printf '{"architecture":"%s","os":"linux"}' "$1"; }
of_platform() { # ARCHITECTURE: an image whose config is for that
    printf '{"schemaVersion":2,"config":{"mediaType":"application/json","digest":"sha256:%s","size":%d},"layers":[]}' "$(config_of "$1" | sha256sum | cut -d' ' -f1)" "$(config_of "$1" | wc -c)"
}
entry() { # ARCHITECTURE
    printf '{"mediaType":"%s","digest":"sha256:%s","size":%d,"platform":{"architecture":"%s","os":"linux"}}' "${type#*: }" "$(of_platform "$1" | sha256sum | cut -d' ' -f1)" "$(of_platform "$1" | wc -c)" "$1"
}
index() { printf '{"schemaVersion":2,"manifests":[%s]}' "$(IFS=, && echo "$*")"; }
of_index=application/vnd.oci.image.index.v1+json
for one in amd64 arm64 s390x; do
    blob moves "$(config_of $one)"
    put 201 moves $one "${type#*: }" "$(of_platform $one)"
done
c=$pushed
put 201 moves 3.0.0 "${type#*: }" "$(of_platform amd64)"
a=$(entry amd64) b=$(entry arm64)
put 409 moves 1.0.0 $of_index "$(index "{\"mediaType\":\"${type#*: }\",\"digest\":\"sha256:$(moved a | sha256sum | cut -d' ' -f1)\",\"size\":$(moved a | wc -c)}" "$b")"
put 409 moves 3.0.0 $of_index "$(index "$b" "$a")"
put 409 moves 3.0.0 $of_index "$(index "$a")"
put 409 moves 3.0.0 $of_index "$(index "$a" "$(sed 's/arm64/amd64/; s/"linux"/"linux","variant":"v2"/' <<<"$b")")"
put 201 moves 3.0.0 $of_index "$(index "$a" "$b")"
put 409 moves 3.0.0 $of_index "$(index "$a" "$(entry s390x)" "$b")"
put 409 moves 3.0.0 "${type#*: }" "$(of_platform amd64)"
put 201 moves 3.0.0 $of_index "$(index "$a" "$b" "$(entry s390x)")"
ask 200 "$base/moves/manifests/3.0.0"
grep -q "$c" "$TMP/body" || fail "what the version has grown to: $(cat "$TMP/body")"
ok "a version grows to an index that begins with what it named, and to no other"


ask 200 "$base/a/tags/list?n=2"
[ "$(tr -d ' \n' <"$TMP/body")" = '{"name":"a","tags":["1.0.0","1.1.0"]}' ] || fail "tags: $(cat "$TMP/body")"
next=$(header Link | sed -n 's/^<\([^>]*\)>; rel="next"$/\1/p')
ask 200 "http://$REGISTRY$next"
[ "$(tr -d ' \n' <"$TMP/body")" = '{"name":"a","tags":["dev","latest"]}' ] || fail "the next page: $(cat "$TMP/body")"
[ -z "$(header Link)" ] || fail "the last page has a next one"
refused NAME_UNKNOWN 404 "$base/nothing/tags/list"
ask 200 "$base/a/tags/list?n=0"
[ "$(tr -d ' \n' <"$TMP/body")" = '{"name":"a","tags":[]}' ] && [ -z "$(header Link)" ] || fail "n=0: $(cat "$TMP/head" "$TMP/body")"
for bad in x -1 '' 1x; do refused UNSUPPORTED 400 "$base/a/tags/list?n=$bad"; done
ask 200 "$base/a/tags/list?last=1.1.0"
[ "$(tr -d ' \n' <"$TMP/body")" = '{"name":"a","tags":["dev","latest"]}' ] || fail "last: $(cat "$TMP/body")"
blob order '{}'
for tag in b A _ B a; do put 201 order $tag "${type#*: }" "$(manifest "$pushed" "" 2)"; pushed=$config; done
ask 200 "$base/order/tags/list"
[ "$(tr -d ' \n' <"$TMP/body")" = '{"name":"order","tags":["_","A","a","B","b"]}' ] || fail "the order of tags: $(cat "$TMP/body")"
ask 200 "$base/order/tags/list?last=a&n=1"
[ "$(tr -d ' \n' <"$TMP/body")" = '{"name":"order","tags":["B"]}' ] || fail "the order of pages: $(cat "$TMP/body")"
ask 404 "$base/a/tags/listing"
ok "tags by pages, in the specification's order"

manifest "$digest" ",\"artifactType\":\"text/x\",\"subject\":{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"$own\",\"size\":$(stat -c %s "$TMP/manifest")}" >"$TMP/about"
about=sha256:$(sha256sum <"$TMP/about" | cut -d' ' -f1)
ask 201 -X PUT -H "$type" --data-binary "@$TMP/about" "$base/a/manifests/$about"
[ "$(header OCI-Subject)" = "$own" ] || fail "no OCI-Subject"
ask 200 "$base/a/referrers/$own"
grep -q "$about" "$TMP/body" || fail "the referrer is not listed"
ask 200 "$base/a/referrers/$own?artifactType=text/y"
! grep -q "$about" "$TMP/body" && [ "$(header OCI-Filters-Applied)" = artifactType ] || fail "the filter"
ask 200 "$base/a/referrers/$about"
refused DIGEST_INVALID 400 "$base/a/referrers/$other"

# A subject that is not there, and more referrers than one index may hold: five of 1.5 MB, two of them of another type.
missing=sha256:$(printf '2%.0s' $(seq 64))
for i in 1 2 3 4 5; do
    kind=text/a+b
    [ $i -lt 4 ] || kind=
    printf '{"schemaVersion":2,"mediaType":"%s","artifactType":"%s","config":{"mediaType":"text/c","digest":"%s","size":2},"layers":[],"subject":{"mediaType":"%s","digest":"%s","size":2},"annotations":{"n":"%d","large":"%s"}}' \
        "${type#*: }" "$kind" "$config" "${type#*: }" "$missing" $i "$(head -c 1500000 /dev/zero | tr '\0' x)" >"$TMP/large"
    ask 201 -X PUT -H "$type" --data-binary "@$TMP/large" "$base/types/manifests/large-$i"
    [ "$(header OCI-Subject)" = "$missing" ] || fail "a subject that is not there: $(cat "$TMP/head")"
done
# all_referrers QUERY: by pages, one line "ARTIFACT-TYPE N" each; the number of pages in $pages.
all_referrers() {
    local url=$base/types/referrers/$missing$1
    pages=0
    : >"$TMP/lines"
    while [ -n "$url" ]; do
        ask 200 "$url"
        [ "$(stat -c %s "$TMP/body")" -le 4194304 ] || fail "a page of $(stat -c %s "$TMP/body") bytes"
        python3 -c 'import json, sys
for m in json.load(open(sys.argv[1]))["manifests"]: print(m["artifactType"], m["annotations"]["n"])' "$TMP/body" >>"$TMP/lines"
        url=$(header Link | sed -n 's/^<\([^>]*\)>; rel="next"$/\1/p')
        url=${url:+http://$REGISTRY$url}
        pages=$((pages + 1))
    done
}
all_referrers ''
[ $pages = 3 ] && [ "$(sort "$TMP/lines" | tr '\n' ,)" = 'text/a+b 1,text/a+b 2,text/a+b 3,text/c 4,text/c 5,' ] || fail "$pages pages of referrers: $(cat "$TMP/lines")"
all_referrers '?artifactType=text/a%2Bb'
[ $pages = 2 ] && [ "$(sort "$TMP/lines" | tr '\n' ,)" = 'text/a+b 1,text/a+b 2,text/a+b 3,' ] || fail "$pages pages of some referrers: $(cat "$TMP/lines")"
# Annotations are texts: what else was pushed as one is not listed, and takes no memory.
odd=sha256:$(printf '3%.0s' $(seq 64))
for i in $(seq 20); do
    printf '{"schemaVersion":2,"mediaType":"%s","artifactType":"text/odd","config":{"mediaType":"text/c","digest":"%s","size":2},"layers":[],"subject":{"mediaType":"%s","digest":"%s","size":2},"annotations":{"n":"%d","odd":[[]%s],"o":{"a":"b"},"z":1}}' \
        "${type#*: }" "$config" "${type#*: }" "$odd" $i "$(head -c 60000 /dev/zero | sed 's/\x0/,[]/g')" >"$TMP/odd"
    ask 201 -X PUT -H "$type" --data-binary "@$TMP/odd" "$base/types/manifests/odd-$i"
done
before=$(rss_peak)
ask 200 "$base/types/referrers/$odd"
[ "$(python3 -c 'import json, sys
for m in json.load(open(sys.argv[1]))["manifests"]: print(sorted(m["annotations"]))' "$TMP/body" | sort | uniq -c | tr -s ' ')" = " 20 ['n']" ] || fail "odd annotations: $(head -c 1000 "$TMP/body")"
[ $(($(rss_peak) - before)) -lt 60000 ] || fail "a list of odd annotations takes $(($(rss_peak) - before)) KiB"
ok "referrers, with their filter, by pages where they are many, before their subject is there"

ask 202 -X DELETE "$base/a/manifests/latest"
refused MANIFEST_UNKNOWN 404 "$base/a/manifests/latest"
ask 200 "$base/a/manifests/dev"
refused MANIFEST_UNKNOWN 404 -X DELETE "$base/a/manifests/latest"
ask 202 -X DELETE "$base/a/manifests/$own"
refused MANIFEST_UNKNOWN 404 "$base/a/manifests/dev"
ask 202 -X DELETE "$base/b/blobs/$digest"
refused BLOB_UNKNOWN 404 "$base/b/blobs/$digest"
ask 200 -I "$base/a/blobs/$digest"
ok "tags, manifests and blobs are deleted"

# A push asks by HEAD for what it need not bring: its grace begins anew, while what is as old and not asked for goes.
blob asked forgotten
forgotten=$pushed
# The same is true of manifests: the first of these is not asked for.
for seen in unseen seen; do
    part=$(printf '{"schemaVersion":2,"mediaType":"%s","manifests":[],"annotations":{"x":"%s"}}' $oci.index.v1+json "$seen")
    part_digest=sha256:$(printf %s "$part" | sha256sum | cut -d' ' -f1)
    unseen=${unseen:-$part_digest}
    put 201 asked "$part_digest" $oci.index.v1+json "$part"
done
blob asked wanted
python3 -c 'import sqlite3,sys
with sqlite3.connect(sys.argv[1], timeout=30) as catalogue: catalogue.execute("UPDATE links SET made=made-200000 WHERE"
    " repository=(SELECT id FROM repositories WHERE name=?)", ("asked",))' "$TMP/registry/catalogue.sqlite"
ask 200 -I "$base/asked/blobs/$pushed"
ask 200 -I "$base/asked/manifests/$part_digest"
ingotd gc --data "$TMP/registry" --grace 1d --untagged-grace 0s >"$TMP/out"
ask 200 -I "$base/asked/blobs/$pushed"
ask 404 -I "$base/asked/blobs/$forgotten"
ask 200 -I "$base/asked/manifests/$part_digest"
ask 404 -I "$base/asked/manifests/$unseen"
ok "HEAD of a blob or manifest that nothing names keeps it for the push that asked"

head -c 4200000 /dev/zero | tr '\0' ' ' >"$TMP/large"
ask 413 -X PUT -H "$type" -H 'Expect:' --data-binary "@$TMP/large" "$base/a/manifests/large"
ask 413 -X PUT -H "$type" -H 'Expect: 100-continue' --data-binary "@$TMP/large" "$base/a/manifests/large"
# Who is still sending when the refusal is clear hears it too.
python3 - "$REGISTRY" "$TMP/large" <<'PYTHON' || fail "a refusal is lost on who still sends"
import socket, sys, time
host, port = sys.argv[1].split(":")
body = open(sys.argv[2], "rb").read()
with socket.create_connection((host, int(port))) as server:
    server.sendall(b"PUT /v2/a/manifests/large HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body))
    time.sleep(0.5)
    server.sendall(body)
    answer = server.recv(64)
assert answer.startswith(b"HTTP/1.1 413 "), answer
PYTHON
head -c 70000 /dev/zero | tr '\0' 'x' >"$TMP/header"
status=$(curl -s -o /dev/null -w '%{http_code}' -H "X-Long: $(cat "$TMP/header")" "$base/" || true)
case $status in 4?? | 000) ;; *) fail "a head of 70 kB: status $status" ;; esac
for name in A a..b 'a/' '-a' "$(printf 'a%.0s' $(seq 300))"; do refused NAME_INVALID 400 "$base/$name/tags/list"; done
refused NAME_INVALID 400 "$base/%ff/tags/list" # quoted in an answer, which is JSON and so UTF-8
refused NAME_INVALID 400 "$base/$(printf 'a%.0s' $(seq 299))%c3%a9/tags/list"
for path in '/../../etc/passwd' '/v2/../../../etc/passwd' '/v2/a/blobs/..%2f..%2fetc%2fpasswd' '/v2/a/manifests/..%2f..%2fx'; do
    status=$(curl -s --path-as-is -o "$TMP/body" -w '%{http_code}' "http://$REGISTRY$path")
    case $status in 4??) ;; *) fail "$path: status $status" ;; esac
    ! grep -q root: "$TMP/body" || fail "$path gives a file away"
done
ask 404 "http://$REGISTRY/elsewhere"
ask 405 -X PATCH "$base/a/blobs/$digest"
for path in / /_catalog /a/tags/list "/a/referrers/$digest"; do ask 405 -X DELETE "$base$path"; done
[ "$(stat -c %a "$TMP/registry")" = 700 ] || fail "others may read the data folder: $(stat -c %a "$TMP/registry")"
ok "limits, names outside the grammar, paths that lead out"

grep -qE '^[0-9T:Z-]+ 127\.0\.0\.1 - GET /v2/a/blobs/sha256:[0-9a-f]+ status=206 received=0 bytes=1000 ms=[0-9.]+ id=[0-9a-f]{16}$' "$TMP/ingotd.log" || fail "the log: $(tail -2 "$TMP/ingotd.log")"
ok "each request is a line of the log"

ask 200 "http://$REGISTRY/healthz"
ask 200 "http://$REGISTRY/readyz"
ask 405 -X POST "http://$REGISTRY/healthz"
ask 200 "http://$REGISTRY/metrics"
python3 - "$TMP/body" <<'PY' || fail "the figures: $(cat "$TMP/body")"
import re, sys
values, kinds = {}, {}
for line in open(sys.argv[1]):
    if line.startswith("# TYPE "):
        kinds[line.split()[2]] = line.split()[3]
    elif not line.startswith("#"):
        name, labels, value = re.fullmatch(r'([a-z_]+)(?:\{(.*)\})? (\S+)\n', line).groups()
        assert (name, labels) not in values, line
        values[name, labels] = float(value)
assert kinds["ingot_request_seconds"] == "histogram" and kinds["ingot_requests_total"] == "counter", kinds
assert values["ingot_requests_total", 'route="blob",method="GET",status="206"'] >= 6
assert values["ingot_requests_total", 'route="other",method="GET",status="404"'] >= 1
count = values["ingot_request_seconds_count", 'route="blob"']
assert values["ingot_request_seconds_bucket", 'route="blob",le="+Inf"'] == count
ends = [v for (n, l), v in values.items() if n == "ingot_request_seconds_bucket" and l.startswith('route="blob"')]
assert ends == sorted(ends) and len(ends) == 11, ends
assert count == sum(v for (n, l), v in values.items() if n == "ingot_requests_total" and l.startswith('route="blob",'))
assert values["ingot_sent_bytes_total", 'route="blob"'] > 600000, values
assert values["ingot_requests_running", None] == 1, values
PY
mv "$TMP/registry/uploads" "$TMP/registry/away"
sleep 1.1 # it is looked once a second
ask 503 "http://$REGISTRY/readyz"
mv "$TMP/registry/away" "$TMP/registry/uploads"
sleep 1.1
ask 200 "http://$REGISTRY/readyz"
ok "health, readiness and figures"

# A running download ends before the server does.
head -c 30000000 /dev/urandom >"$TMP/long"
long=sha256:$(sha256sum <"$TMP/long" | cut -d' ' -f1)
ask 201 -X POST -H 'Expect:' --data-binary "@$TMP/long" "$base/a/blobs/uploads/?digest=$long"
curl -s --limit-rate 12M -o "$TMP/got" "$base/a/blobs/$long" &
download=$!
until [ -s "$TMP/got" ]; do sleep 0.02; done
kill "$SERVER"
wait "$download" || fail "the stop broke off a download: $?"
wait "$SERVER" || fail "the server ends with $?"
cmp "$TMP/got" "$TMP/long"
ok "a stop lets running requests end"

# Killed in the middle of an upload: what was acknowledged is there, what was not is gone.
start_ingotd
base=http://$REGISTRY/v2
head -c 20000000 /dev/urandom >"$TMP/cut"
post a
place=${location##*/}
curl -s --limit-rate 2M -H 'Expect:' -X PUT --data-binary "@$TMP/cut" "$location?digest=sha256:$(sha256sum <"$TMP/cut" | cut -d' ' -f1)" >/dev/null &
upload=$!
until [ -n "$(find "$TMP/registry/uploads" -name '*.pack' -size +3M)" ]; do sleep 0.02; done
kill -9 "$SERVER"
wait "$SERVER" || true
wait "$upload" || true
start_ingotd
base=http://$REGISTRY/v2
location=$base/a/blobs/uploads/$place
ask 204 "$location"
came=$(header Range)
came=$((${came#0-} + 1))
[ "$came" -ge 2097152 ] || fail "of the upload too little is left: $came bytes"
tail -c "+$((came + 1))" "$TMP/cut" >"$TMP/end"
ask 201 -X PUT -H 'Expect:' --data-binary "@$TMP/end" "$location?digest=sha256:$(sha256sum <"$TMP/cut" | cut -d' ' -f1)"
ask 200 "$base/a/blobs/sha256:$(sha256sum <"$TMP/cut" | cut -d' ' -f1)"
cmp "$TMP/body" "$TMP/cut"
ask 200 "$base/a/blobs/$long"
cmp "$TMP/body" "$TMP/long"
ok "a killed server loses nothing that it acknowledged, and the upload can go on"

post a
left=$(basename "$location")
left=$TMP/registry/uploads/${left%.*}.pack
[ -e "$left" ]
kill "$SERVER"
wait "$SERVER" || true
sqlite3 "$TMP/registry/catalogue.sqlite" "UPDATE uploads SET until=until - 90000"
start_ingotd
[ ! -e "$left" ] || fail "an upload that nobody goes on with stays for ever"
ok "an upload that nobody goes on with goes after a day"
