#!/bin/bash
# What a cache and a mirror take from another registry is whole and of the right kind: damage is mended from there, a push may count on what
# it has, types are checked, and no more is asked of it than must be.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

start_ingotd "$TMP/first"
first=$REGISTRY
start_upstream "$first"
manifest=application/vnd.oci.image.manifest.v1+json
index=application/vnd.oci.image.index.v1+json
digest_of() { echo "sha256:$(sha256sum <"$1" | cut -d' ' -f1)"; }
# push_blob HOST NAME FILE
push_blob() {
    [ "$(curl -s -o "$TMP/pushed" -w '%{http_code}' -X POST --data-binary "@$3" "http://$1/v2/$2/blobs/uploads/?digest=$(digest_of "$3")")" = 201 ] || fail "push: $(cat "$TMP/pushed")"
}
# put_manifest HOST NAME REFERENCE FILE TYPE: its status.
put_manifest() {
    curl -s -o "$TMP/answer" -w '%{http_code}' -X PUT -H "Content-Type: $5" --data-binary "@$4" "http://$1/v2/$2/manifests/$3"
}
# image FILE BLOB [TYPE]: a manifest that needs the blob.
image() {
    printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"a/b","digest":"%s","size":%d},"layers":[]}' "${3:-$manifest}" "$(digest_of "$2")" "$(stat -c %s "$2")" >"$1"
}
# damage FOLDER: a bit of each pack.
damage() {
    python3 - "$1"/packs/*.pack <<'PY'
import sys
for path in sys.argv[1:]:
    with open(path, "r+b") as pack:
        data = pack.read()
        for at in range(len(data) - 1, max(len(data) - 3_000_000, 40), -50):
            pack.seek(at)
            pack.write(bytes([data[at] ^ 1]))
PY
}
head -c 300000 /dev/urandom >"$TMP/blob"
blob=$(digest_of "$TMP/blob")
push_blob "$first" team/web "$TMP/blob"
image "$TMP/image" "$TMP/blob"
[ "$(put_manifest "$first" team/web 1 "$TMP/image" $manifest)" = 201 ] || fail "$(cat "$TMP/answer")"

start_cache one "http://$upstream" --upstream-absent 1s
digest=$(digest_of "$TMP/image")
# What is damaged is found by the first who reads it, and whole for those who come later.
pulls() {
    [ "$(code "/v2/team/web/manifests/$1")" = 200 ] && cmp -s "$TMP/answer" "$TMP/image" && [ "$(code "/v2/team/web/blobs/$blob")" = 200 ] && cmp -s "$TMP/answer" "$TMP/blob"
}
pulls 1 || fail "through an empty cache"
for reference in 1 "$digest"; do
    end_cache
    damage "$TMP/one"
    start_cache one "http://$upstream" --upstream-absent 1s
    tries=0
    until pulls "$reference"; do
        tries=$((tries + 1))
        [ $tries -lt 10 ] || fail "what is damaged in the cache does not come again: $(cat "$TMP/head" "$TMP/answer")"
        sleep 0.3
    done
    [ $tries -gt 0 ] || fail "the damage was not one"
done
end_cache
ingotd mirror --data "$TMP/copy" "http://$upstream" 'team/*' >"$TMP/out" || fail "$(cat "$TMP/out")"
damage "$TMP/copy"
ingotd scrub --data "$TMP/copy" >"$TMP/out" 2>&1 && fail "the damage was not one: $(cat "$TMP/out")"
ingotd mirror --data "$TMP/copy" "http://$upstream" 'team/*' >"$TMP/out" || fail "$(cat "$TMP/out")"
ingotd gc --data "$TMP/copy" --grace 0s >"$TMP/out" || fail "$(cat "$TMP/out")"
expect 0 ingotd scrub --data "$TMP/copy"
ok "what is damaged in a cache or a mirror comes again from where it came from"

start_cache three "http://$upstream" --upstream-absent 1s
pulls 1 || fail "through an empty cache"
end_cache
damage "$TMP/three"
start_cache three "http://$upstream" --upstream-absent 1s
code "/v2/team/web/blobs/$blob" >"$TMP/out" || true # finds the damage
end_cache
start_cache three "http://$upstream" --upstream-absent 1s
: >"$TMP/asked"
[ "$(code "/v2/team/web/blobs/$blob" -I)" = 200 ] && grep -qi '^content-length: 300000' "$TMP/head" || fail "HEAD of what is damaged here: $(cat "$TMP/head")"
grep -q '^HEAD.*/blobs/' "$TMP/asked" || fail "the damage was not one"
end_cache
ok "a HEAD of what is damaged in a cache is answered from where it came from"

# What is attached and here is asked for no more: some registries count that.
for n in 1 2 3; do
    printf '{"schemaVersion":2,"mediaType":"%s","artifactType":"text/report","config":{"mediaType":"a/b","digest":"%s","size":300000},"layers":[],"subject":{"mediaType":"%s","digest":"%s","size":1},"annotations":{"n":"%s"}}' \
        $manifest "$blob" $manifest "$digest" $n >"$TMP/about"
    [ "$(put_manifest "$first" team/web "$(digest_of "$TMP/about")" "$TMP/about" $manifest)" = 201 ] || fail "$(cat "$TMP/answer")"
done
start_cache attached "http://$upstream" --upstream-absent 1s
for round in 1 2; do
    : >"$TMP/asked"
    [ "$(code "/v2/team/web/referrers/$digest")" = 200 ] && [ "$(grep -o '"text/report"' "$TMP/answer" | wc -l)" = 3 ] || fail "what is attached: $(cat "$TMP/answer")"
    grep -q '/referrers/' "$TMP/asked" || fail "the list was not asked for: $(cat "$TMP/asked")"
    count=$(grep -c '^GET /v2/team/web/manifests/' "$TMP/asked" || true)
    [ "$count" = $((round == 1 ? 3 : 0)) ] || fail "round $round: $(cat "$TMP/asked")"
done
end_cache
ok "what is attached comes once"

start_cache two "http://$upstream" --upstream-absent 1s
echo '{"of":"two"}' >"$TMP/other"
push_blob "$cache" team/web "$TMP/other"
printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"a/b","digest":"%s","size":%d},"layers":[{"mediaType":"a/c","digest":"%s","size":300000}]}' \
    $manifest "$(digest_of "$TMP/other")" "$(stat -c %s "$TMP/other")" "$blob" >"$TMP/both"
[ "$(code "/v2/team/web/blobs/$blob" -I)" = 200 ] || fail "HEAD of what the upstream has"
[ "$(put_manifest "$cache" team/web 2 "$TMP/both" $manifest)" = 201 ] || fail "a push that counts on what the cache has said it has: $(cat "$TMP/answer")"
kill -STOP "$SERVER"
[ "$(code "/v2/team/web/blobs/$blob")" = 200 ] && cmp "$TMP/answer" "$TMP/blob" || fail "it did not come"
kill -CONT "$SERVER"
sed "s/$blob/sha256:$(printf '1%.0s' {1..64})/" "$TMP/both" >"$TMP/lacks"
[ "$(put_manifest "$cache" team/web 3 "$TMP/lacks" $manifest)" = 404 ] || fail "what is nowhere: $(cat "$TMP/answer")"
end_cache
start_cache half "http://$upstream" --upstream-absent 1s
push_blob "$cache" team/web "$TMP/other"
sed "s/]}$/,{\"mediaType\":\"a\/c\",\"digest\":\"sha256:$(printf '1%.0s' {1..64})\",\"size\":1}]}/" "$TMP/both" >"$TMP/lacks"
echo "/blobs/$blob status 500" >"$TMP/rules"
[ "$(put_manifest "$cache" team/web 3 "$TMP/lacks" $manifest)" = 503 ] || fail "what may be at the upstream, beside what is nowhere: $(cat "$TMP/answer")"
: >"$TMP/rules"
end_cache
ok "a push to a cache may count on what a HEAD there has told"

start_cache promoted "http://$upstream" --upstream-absent 1s
[ "$(code /v2/team/web/manifests/1 -I)" = 200 ] || fail "HEAD of what the upstream has"
expect 1 ingot promote "$cache/team/web" 1 dev
grep -q "names $blob, which is not here): .*for all platforms; GET /v2/team/web/blobs/$blob from this" "$TMP/err" || fail "what is here in part: $(cat "$TMP/err")"
[ "$(code /v2/team/web/manifests/dev)" = 404 ] || fail "it was promoted: $(cat "$TMP/head")"
pulls 1 || fail "$(cat "$TMP/head")"
expect 0 ingot promote "$cache/team/web" 1 dev
kill -STOP "$SERVER"
pulls dev || fail "what was promoted is not here as a whole: $(cat "$TMP/head")"
kill -CONT "$SERVER"
end_cache
ok "a cache promotes what it has as a whole"

# What a test at the upstream has found since counts at the cache, whoever has asked for it or not; only now's word does.
# attach_report RESULT TIME: at the upstream.
attach_report() {
    printf '{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"%s"}}],"predicateType":"https://in-toto.io/attestation/test-result/v0.1","predicate":{"result":"%s","configuration":[{"name":"a"}],"ingot":{"finished":"%s"}}}' \
        "${digest#sha256:}" "$1" "$2" >"$TMP/report"
    push_blob "$first" team/web "$TMP/report"
    printf '{"schemaVersion":2,"mediaType":"%s","artifactType":"application/vnd.in-toto+json","config":{"mediaType":"a/b","digest":"%s","size":300000},"layers":[{"mediaType":"application/vnd.in-toto+json","digest":"%s","size":%d}],"subject":{"mediaType":"%s","digest":"%s","size":1}}' \
        $manifest "$blob" "$(digest_of "$TMP/report")" "$(stat -c %s "$TMP/report")" $manifest "$digest" >"$TMP/about"
    [ "$(put_manifest "$first" team/web "$(digest_of "$TMP/about")" "$TMP/about" $manifest)" = 201 ] || fail "$(cat "$TMP/answer")"
}
# gate CHANNEL STATUS WORDS: what a dry run of a promotion at the cache says.
gate() {
    expect "$2" ingot promote "$cache/team/web" 1 "$1" --dry-run --json
    grep -q "$3" "$TMP/out" || fail "$1: $(cat "$TMP/out" "$TMP/err")"
}
start_cache gated "http://$upstream" --upstream-absent 1s
printf 'pipelines:\n  team/web:\n    channels: [{name: open}, {name: tested, gates: [tested]}, {name: steady, from: open, gates: [soak: 1s]}]\n' >"$TMP/pipeline.yaml"
ingot pipeline apply "$cache" "$TMP/pipeline.yaml" >/dev/null
attach_report PASSED 2026-01-01T00:00:00Z
[ "$(put_manifest "$first" team/web tested "$TMP/image" $manifest)" = 201 ] || fail "$(cat "$TMP/answer")"
pulls 1 || fail "$(cat "$TMP/head")"
[ "$(code /v2/team/web/manifests/tested)" = 404 ] || fail "the upstream's tag is a guarded channel's: $(cat "$TMP/head")"
[ "$(code /v2/team/web/tags/list)" = 200 ] && grep -q '"1"' "$TMP/answer" || fail "$(cat "$TMP/answer")"
grep -q '"tested"' "$TMP/answer" && fail "a channel that is not here is listed: $(cat "$TMP/answer")"
expect 0 ingot promote "$cache/team/web" 1 open
gate tested 0 'tests have passed'
attach_report FAILED 2026-01-02T00:00:00Z
echo "/blobs/$(digest_of "$TMP/report") status 500" >"$TMP/rules"
gate tested 3 'could not be asked.*not all here'
: >"$TMP/rules"
sleep 1.1 # until a failure is not remembered
gate tested 3 'newest test report says that it failed'
attach_report PASSED 2026-01-03T00:00:00Z
for status in 500 401 403; do
    echo "/referrers/ status $status" >"$TMP/rules"
    gate tested 3 'could not be asked.*elsewhere is not known'
    gate steady 3 'could not be asked.*elsewhere is not known'
    sleep 1.1
done
: >"$TMP/rules"
gate tested 0 'tests have passed'
attach_report FAILED 2036-01-04T00:00:00Z
gate steady 3 'a test of it has failed'
end_cache
ok "a cache promotes by all that is attached to the image at its upstream now, and by that with its bytes"

# TYPE THAT COMES, TYPE THAT IS KEPT (none: it is refused)
printf '{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"%s","size":300000},"layers":[]}' "$blob" >"$TMP/bare"
[ "$(put_manifest "$first" team/bare 1 "$TMP/bare" $manifest)" = 404 ] || fail "$(cat "$TMP/answer")"
push_blob "$first" team/bare "$TMP/blob"
[ "$(put_manifest "$first" team/bare 1 "$TMP/bare" $manifest)" = 201 ] || fail "$(cat "$TMP/answer")"
round=0
while IFS='|' read -r name given kept; do
    round=$((round + 1))
    echo "/team/$name/manifests/ type $given" >"$TMP/rules"
    start_cache "type$round" "http://$upstream" --upstream-absent 1s
    status=$(code "/v2/team/$name/manifests/1")
    if [ "$kept" = none ]; then
        [ "$status" = 503 ] || fail "$name as $given: $status"
    else
        [ "$status" = 200 ] && grep -qix "content-type: $kept"$'\r' "$TMP/head" || fail "$name as $given: $status $(cat "$TMP/head")"
    fi
    end_cache
done <<ROWS
web|text/html|$manifest
web|application/json|$manifest
web|$manifest; charset=utf-8|$manifest
web|$index|$manifest
bare|$manifest; charset=utf-8|$manifest
bare|text/html|none
bare|application/json|none
ROWS
ok "a manifest from elsewhere has a type that is one, and that it says itself"

# An index whose entry is a manifest of a kind that nobody has listed.
image "$TMP/kind" "$TMP/blob" application/vnd.oci.artifact.manifest.v1+json
kind=$(digest_of "$TMP/kind")
push_blob "$first" team/kinds "$TMP/blob"
[ "$(put_manifest "$first" team/kinds "$kind" "$TMP/kind" application/vnd.oci.artifact.manifest.v1+json)" = 201 ] || fail "$(cat "$TMP/answer")"
push_blob "$first" team/kinds "$TMP/other"
printf '{"schemaVersion":2,"mediaType":"%s","manifests":[{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","digest":"%s","size":%d},{"mediaType":"application/vnd.x.config+json","digest":"%s","size":%d}]}' \
    $index "$kind" "$(stat -c %s "$TMP/kind")" "$(digest_of "$TMP/other")" "$(stat -c %s "$TMP/other")" >"$TMP/index"
[ "$(put_manifest "$first" team/kinds 1 "$TMP/index" $index)" = 201 ] || fail "$(cat "$TMP/answer")"
echo '/_catalog status 401' >"$TMP/rules"
expect 0 ingotd mirror --data "$TMP/kinds" "http://$upstream" team/kinds
grep -q '1 tags' "$TMP/out" || fail "$(cat "$TMP/out")"
expect 1 ingotd mirror --data "$TMP/kinds" "http://$upstream" 'team/*'
: >"$TMP/asked"
expect 0 ingotd mirror --data "$TMP/kinds" "http://$upstream" team/kinds
grep '^GET.*/manifests/' "$TMP/asked" && fail "what has not changed is got again"
grep -q '0 tags' "$TMP/out" || fail "$(cat "$TMP/out")"
start_ingotd "$TMP/kinds"
curl -sf "http://$REGISTRY/v2/team/kinds/manifests/$kind" | cmp - "$TMP/kind" || fail "the manifest of another kind did not come as one"
curl -sf "http://$REGISTRY/v2/team/kinds/blobs/$blob" | cmp - "$TMP/blob" || fail "what it needs did not come"
ok "an index comes with entries of any kind; one name needs no list; what has not changed is not got again"

# A layer that is not there is no word about the manifest that needs it.
echo "/blobs/$blob status 404" >"$TMP/rules"
expect 1 ingotd mirror --data "$TMP/lacking" "http://$upstream" team/kinds
: >"$TMP/rules"
expect 0 ingotd mirror --data "$TMP/lacking" "http://$upstream" team/kinds
start_ingotd "$TMP/lacking"
curl -sf "http://$REGISTRY/v2/team/kinds/manifests/$kind" | cmp - "$TMP/kind" || fail "a manifest was mirrored as a blob"
ok "an entry of an index that lacks a layer is not mirrored as a blob"

# A channel that was pushed to a cache is the cache's own, in Vagrant's list too.
for version in 1 2; do
    head -c $((version * 100000)) /dev/urandom >"$TMP/disk.raw"
    truncate -s 1M "$TMP/disk.raw"
    ingot pack -q --arch amd64 "$TMP/disk.raw" "vm:$version.0.0" >/dev/null
    ingot push -q "vm:$version.0.0" "$first/team/vm" >/dev/null
    curl -sf "http://$first/v2/team/vm/manifests/$version.0.0" >"$TMP/vm$version"
done
[ "$(put_manifest "$first" team/vm prod "$TMP/vm1" $manifest)" = 201 ] || fail "$(cat "$TMP/answer")"
ingot pack -q --arch arm64 "$TMP/disk.raw" vm-other:1.0.0 >/dev/null
ingot push -q --add vm-other:1.0.0 "$first/team/vm:1.0.0" >/dev/null
start_cache vagrant "http://$upstream" --upstream-absent 1s
# What came to a version since the channel named it is not the channel's: neither here nor through a cache.
of_other() { curl -sf "http://$1" | python3 -c 'import json,sys; print(len([p for v in json.load(sys.stdin)["versions"] for p in v["providers"] if p["architecture"] == "arm64"]))'; }
for registry in "$first" "$cache"; do
    [ "$(of_other "$registry/vagrant/team/vm@prod")" = 0 ] || fail "$registry: a channel lists what it has not named"
done
listed() { curl -sf "http://$cache/vagrant/team/vm@prod" | python3 -c 'import json,sys; print(*[v["version"] for v in json.load(sys.stdin)["versions"]])'; }
[ "$(listed)" = 1.0.0 ] || fail "the upstream's channel: $(listed)"
[ "$(code /v2/team/vm/manifests/2.0.0)" = 200 ] || fail "$(cat "$TMP/answer")"
[ "$(put_manifest "$cache" team/vm prod "$TMP/vm2" $manifest)" = 201 ] || fail "$(cat "$TMP/answer")"
[ "$(listed)" = 2.0.0 ] || fail "a channel that was pushed here lists the upstream's versions: $(listed)"
[ "$(of_other "$cache/vagrant/team/vm")" != 0 ] || fail "a version that has grown is listed as it was: this test sees nothing"
end_cache
ok "a channel that was pushed to a cache is listed as it is there"

# A registry whose token server gives nobody a token for what is not there.
cat >"$TMP/tokens.py" <<'PY'
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        token = self.path.startswith("/token")
        self.send_response(403 if token else 401)
        if not token:
            self.send_header("WWW-Authenticate", 'Bearer realm="http://%s/token",service="x",scope="repository:x:pull"' % self.headers["Host"])
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_HEAD = do_GET
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("127.0.0.1:%d" % server.server_address[1], flush=True)
server.serve_forever()
PY
: >"$TMP/tokens.address"
python3 "$TMP/tokens.py" >"$TMP/tokens.address" &
ENDING+=($!)
until grep -q : "$TMP/tokens.address"; do sleep 0.05; done
start_cache nobody "http://$(cat "$TMP/tokens.address")" --upstream-absent 1s
for path in manifests/1 "blobs/$blob"; do
    [ "$(code "/v2/team/web/$path")" = 404 ] || fail "$path, for which nobody gets a token: $(cat "$TMP/head")"
done
end_cache
ok "what a token server gives nobody a token for is not there"

# A login that is refused is no word about what is there.
printf 'right password\nright password\n' | ingotd user add --data "$TMP/locked" --scope 'pull:*' --scope 'push:*' site >"$TMP/out" 2>&1 || fail "$(cat "$TMP/out")"
start_ingotd "$TMP/locked"
login() { printf '{"auths":{"%s":{"auth":"%s"}}}' "$REGISTRY" "$(printf 'site:%s' "$1" | base64 -w0)" >"$TMP/auth.json"; }
export REGISTRY_AUTH_FILE=$TMP/auth.json
login 'wrong password'
start_cache locked-out "http://$REGISTRY" --upstream-absent 1s
[ "$(code /v2/team/web/manifests/1)" = 503 ] || fail "a login that is refused: $(cat "$TMP/head" "$TMP/answer")"
[ "$(code "/v2/team/web/blobs/$blob")" = 503 ] || fail "a login that is refused: $(cat "$TMP/head" "$TMP/answer")"
end_cache
login 'right password'
start_cache let-in "http://$REGISTRY" --upstream-absent 1s
# A registry lets a user who has failed wait before the next login.
until [ "$(code /v2/team/web/manifests/1)" = 404 ]; do
    [ $((SECONDS - BEFORE)) -lt 60 ] || fail "what is not there: $(cat "$TMP/head" "$TMP/answer")"
    sleep 0.5
done
end_cache
: >"$TMP/rules"
start_cache full "http://$upstream" --upstream-absent 1s --max-upload 100K
[ "$(code "/v2/team/web/blobs/$blob")" = 503 ] || fail "a limit of the cache's own: $(cat "$TMP/head")"
end_cache
ok "neither a login that is refused there nor a limit here says that something is not there"
