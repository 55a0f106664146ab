#!/bin/bash
# While a cache can't ask its upstream, what it lacks is "come again", never "there is none": lists, versions, what is attached.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

start_ingotd "$TMP/first"
first=$REGISTRY
start_upstream "$first"
head -c 600000 /dev/urandom >"$TMP/v1.raw"
truncate -s 1M "$TMP/v1.raw"
ingot pack -q "$TMP/v1.raw" web:1.0.0 >/dev/null
for name in web other; do ingot push -q web:1.0.0 "$first/team/$name" >/dev/null; done
ingot promote -q "$first/team/web" 1.0.0 prod >/dev/null
image=$(curl -sfI -H 'Accept: */*' "http://$first/v2/team/web/manifests/1.0.0" | sed -n 's/^Docker-Content-Digest: *\(.*\)\r$/\1/Ip')

lists=("/v2/team/other/tags/list" "/vagrant/team/web@prod" "/vagrant/team/other")
attached=/v2/team/web/referrers/$image
start_cache open "http://$upstream" --upstream-absent 1s
# open_lists RULE PATH...: each of them is to be asked for again.
open_lists() {
    local rule=$1 path
    echo "$rule" >"$TMP/rules"
    shift
    sleep 1.1 # --upstream-absent
    for path; do
        [ "$(code "$path")" = 503 ] && grep -qi '^retry-after:' "$TMP/head" || fail "$rule: $path: $(cat "$TMP/head" "$TMP/answer")"
    done
}
open_lists '. status 502' "${lists[@]}" /v2/_catalog
echo '/referrers/ status 500' >"$TMP/rules" # what is attached is not told with the image
sleep 1.1
[ "$(code /v2/team/web/manifests/1.0.0)" = 200 ] || fail "the image: $(cat "$TMP/answer")"
for rule in '. status 502' '. status 429 1000' '. status 500'; do open_lists "$rule" "${lists[@]}" "$attached"; done
open_lists '. hang' "${lists[0]}" "$attached"
ok "what a cache lacks while its upstream can't be asked is to be asked for again"

# What it has learned once stands, be it that there is nothing.
: >"$TMP/rules"
end_cache
start_cache open "http://$upstream" --upstream-absent 1s
for path in "${lists[@]}" "$attached"; do [ "$(code "$path")" = 200 ] || fail "$path: $(cat "$TMP/answer")"; done
[ "$(code /v2/team/no/tags/list)" = 404 ] && [ "$(code /vagrant/team/no)" = 404 ] || fail "what is nowhere: $(cat "$TMP/answer")"
end_cache
echo '. hang' >"$TMP/rules"
start_cache open "http://$upstream" --upstream-absent 1s
[ "$(code "$attached")" = 200 ] && grep -q '"manifests":\[\]' "$TMP/answer" || fail "that nothing is attached is forgotten: $(cat "$TMP/answer")"
: >"$TMP/rules"
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"a/b","config":{"mediaType":"a/b","digest":"sha256:%s","size":2},"layers":[],"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":2}}' \
    "$(printf '{}' | sha256sum | cut -d' ' -f1)" "$image" >"$TMP/about"
curl -sf -o /dev/null -X POST --data-binary '{}' "http://$first/v2/team/web/blobs/uploads/?digest=sha256:$(printf '{}' | sha256sum | cut -d' ' -f1)" || fail "a blob"
curl -sf -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$TMP/about" "http://$first/v2/team/web/manifests/sha256:$(sha256sum <"$TMP/about" | cut -d' ' -f1)" || fail "what is attached"
until [ "$(code "$attached")" = 200 ] && grep -q '"artifactType":"a/b"' "$TMP/answer"; do sleep 0.3; done
echo '. status 502' >"$TMP/rules"
sleep 1.1
[ "$(code "$attached")" = 200 ] && grep -q '"artifactType":"a/b"' "$TMP/answer" || fail "what is attached, and here: $(cat "$TMP/answer")"
end_cache
ok "what it has learned once stands, after a restart too"
