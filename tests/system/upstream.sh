#!/bin/bash
# What another registry does wrong: a mirror copies the rest, says what is missing, and keeps nothing false.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

# push_blob FILE: its digest is printed.
push_blob() {
    local digest
    digest=sha256:$(sha256sum <"$1" | cut -d' ' -f1)
    [ "$(curl -s -o "$TMP/answer" -w '%{http_code}' -X POST --data-binary "@$1" "http://$first/v2/team/web/blobs/uploads/?digest=$digest")" = 201 ] || fail "$(cat "$TMP/answer")"
    echo "$digest"
}
# mirrors STATUS: into a new folder; its lines are in $TMP/out and $TMP/err.
folder=0
mirrors() {
    folder=$((folder + 1))
    expect "$1" ingotd mirror --data "$TMP/copy$folder" "http://$upstream" '*'
}

start_ingotd "$TMP/first"
first=$REGISTRY
start_upstream "$first"
head -c 600000 /dev/urandom >"$TMP/v1.raw"
truncate -s 1M "$TMP/v1.raw"
head -c 102400 /dev/urandom >"$TMP/other.raw"
ingot pack -q "$TMP/v1.raw" web:1.0.0 >/dev/null
ingot pack -q "$TMP/other.raw" other:1.0.0 >/dev/null
ingot push -q web:1.0.0 "$first/team/web" >/dev/null
ingot push -q other:1.0.0 "$first/other/web" >/dev/null
manifest=$(curl -s "http://$first/v2/team/web/manifests/1.0.0")
subject=sha256:$(printf %s "$manifest" | sha256sum | cut -d' ' -f1)
disk=$(python3 -c 'import json, sys; print(next(layer["digest"] for layer in json.loads(sys.argv[1])["layers"] if "disk" in layer["mediaType"]))' "$manifest")

# A size that is not the blob's; also one that is not a number that a blob can have.
for size in 1 9223372036854775807; do
    lie=$(python3 -c 'import json, sys; m = json.loads(sys.argv[1]); [layer.update(size=int(sys.argv[2])) for layer in m["layers"]]; print(json.dumps(m))' "$manifest" "$size")
    echo "/team/web/manifests/1.0.0 body $lie" >"$TMP/rules"
    mirrors 1
    grep -q '^failed: team/web:1.0.0: ' "$TMP/out" || fail "a size of $size: $(cat "$TMP/out" "$TMP/err")"
    grep -q '1 tags, 1 manifests' "$TMP/out" || fail "the other repository did not come: $(cat "$TMP/out")"
done
ok "a manifest that lies of its blobs' sizes is refused, and the rest is copied"

# rule, what the message says
while IFS='|' read -r rule message; do
    echo "$rule" >"$TMP/rules"
    mirrors 1
    grep '^failed: team/web' "$TMP/out" | grep -q "$message" || fail "$rule: $(cat "$TMP/out" "$TMP/err")"
    grep -q '1 tags, 1 manifests' "$TMP/out" || fail "$rule: the other repository did not come: $(cat "$TMP/out")"
done <<ROWS
GET+/v2/team/web/manifests/1.0.0 html|expected
GET+/v2/team/web/manifests/1.0.0 body {"schemaVersion":1,"fsLayers":[]}|schema 1
GET+/v2/team/web/manifests/1.0.0 body []|no manifest
GET+/v2/team/web/manifests/1.0.0 status 500|status 500
GET+/v2/team/web/tags/list status 403|status 403
GET+/v2/team/web/blobs/$disk\$ flip|digest
GET+/v2/team/web/blobs/$disk\$ cut 0|broke off
GET+/v2/team/web/blobs/$disk status 404|404
team.*frames= body AAAA|frame
team.*frames= body $(printf 'A%.0s' {1..35})|frame
ROWS
# A list without an end is given up before it fills the memory.
for list in _catalog/names team/web/tags/list/tags; do
    what="its ${list##*/}: " list=${list%/*}
    echo "GET+/v2/$list endless 8000000" >"$TMP/rules"
    : >"$TMP/asked"
    mirrors 1
    grep -hq "$what" "$TMP/out" "$TMP/err" || fail "a list without an end: $(cat "$TMP/out" "$TMP/err")"
    [ "$(grep -c "^GET /v2/$list" "$TMP/asked")" -le 9 ] || fail "$(wc -l <"$TMP/asked") pages of a list without an end were read"
done
start_ingotd "$TMP/copy$folder"
[ "$(ingot ls "$REGISTRY")" = other/web ] || fail "what was wrong was kept: $(ingot ls "$REGISTRY")"
ok "what is not JSON, of another kind, cut off, changed or refused is named by its tag"

echo "blobs/$disk\$ norange" >"$TMP/rules"
mirrors 0
grep -q '2 tags' "$TMP/out" || fail "$(cat "$TMP/out")"
ingot pull -q --store "$TMP/s1" "$upstream/team/web:1.0.0" -o "$TMP/back.raw" >/dev/null && cmp "$TMP/back.raw" "$TMP/v1.raw" || fail "a pull without ranges"
ok "a registry that ignores ranges is read through"

: >"$TMP/rules"
printf 'GET+/v2/.*/(manifests|blobs|tags)/ once 429 1\n/_catalog once 503\n' >"$TMP/rules"
mirrors 0
grep -q '2 tags' "$TMP/out" || fail "$(cat "$TMP/out")"
echo "/_catalog status 429 100000" >"$TMP/rules"
mirrors 1
grep -q 'status 429' "$TMP/err" || fail "$(cat "$TMP/err")"
ok "a registry that asks for patience is asked again later, within bounds"

# What is attached.
head -c 100000 /dev/urandom >"$TMP/report"
report=$(push_blob "$TMP/report")
attach() {
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"text/report","config":{"mediaType":"a/b","digest":"%s","size":100000},"layers":[],"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":1},"annotations":{"n":"%s"}}' "$report" "$subject" "$1" >"$TMP/about"
    about=sha256:$(sha256sum <"$TMP/about" | cut -d' ' -f1)
    [ "$(curl -s -o "$TMP/answer" -w '%{http_code}' -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$TMP/about" "http://$first/v2/team/web/manifests/$about")" = 201 ] || fail "$(cat "$TMP/answer")"
}
for n in 1 2 3 4 5 6; do attach "$n$(head -c 1000000 /dev/zero | tr '\0' x)"; done
: >"$TMP/rules"
curl -sI "http://$first/v2/team/web/referrers/$subject" | grep -qi '^link' || fail "the list of what is attached has one page"
mirrors 0
grep -q '2 tags, 8 manifests' "$TMP/out" || fail "more than a page of attachments: $(cat "$TMP/out")"
echo "/manifests/$about status 404" >"$TMP/rules"
mirrors 1
grep -q "^left: team/web@$about: " "$TMP/out" && grep -q '2 tags, 7 manifests' "$TMP/out" || fail "an attachment that is lost: $(cat "$TMP/out")"
for odd in html 'body {"manifests":null}' 'status 501'; do
    echo "/referrers/ $odd" >"$TMP/rules"
    mirrors 0
    grep -q '2 tags, 2 manifests' "$TMP/out" || fail "$odd instead of a list: $(cat "$TMP/out")"
    ingot pull -q --store "$TMP/s2" "$upstream/team/web:1.0.0" >/dev/null || fail "a pull where the list is odd: $odd"
done
ok "what is attached comes with all pages of its list; one that is lost is named and ends nothing"

# A server mirrors for a verb: the same once at a time, and no longer than the verb waits for it.
start_ingotd "$TMP/served"
echo "blobs/$disk slow 2000" >"$TMP/rules"
: >"$TMP/asked"
ingotd mirror --data "$TMP/served" "http://$upstream" 'team/*' >"$TMP/verb.out" 2>&1 &
verb=$!
ENDING+=("$verb")
until grep -q "blobs/$disk" "$TMP/asked"; do kill -0 "$verb" || fail "$(cat "$TMP/verb.out")"; sleep 0.1; done
expect 1 ingotd mirror --data "$TMP/served" "http://$upstream" 'team/*'
grep -q 'being mirrored already' "$TMP/err" || fail "the same mirror twice at once: $(cat "$TMP/err")"
expect 0 ingotd mirror --data "$TMP/served" "http://$upstream" 'other/*'
kill "$verb"
status=0
wait "$verb" || status=$?
[ "$status" = 130 ] || fail "a verb that gets a signal ends with $status: $(cat "$TMP/verb.out")"
: >"$TMP/rules"
for _ in $(seq 100); do
    ! ingotd mirror --data "$TMP/served" "http://$upstream" 'team/*' >"$TMP/out" 2>"$TMP/err" || break
    grep -q 'being mirrored already' "$TMP/err" || fail "$(cat "$TMP/err")"
    sleep 0.1
done
[ "$(ingot ls "$REGISTRY" | tr '\n' ' ')" = "other/web team/web " ] || fail "the server mirrors on for a verb that has ended: $(cat "$TMP/err")"
ok "one mirror of the same at a time; it ends with the verb that asked for it"

# A registry that asks for a minute's patience: whoever no longer waits is gone within a moment, the server's own job too.
ends_within() {
    local what=$1 began=$SECONDS
    shift
    "$@" || fail "$what: $(cat "$TMP/verb.out")"
    [ $((SECONDS - began)) -lt 20 ] || fail "$what ends after $((SECONDS - began)) s"
}
ends_with_130() {
    local status=0
    kill "$verb"
    wait "$verb" || status=$?
    [ "$status" = 130 ]
}
mirrors_again() {
    until ingotd mirror --data "$TMP/served" "http://$upstream" 'team/*' >"$TMP/verb.out" 2>&1; do
        grep -q 'being mirrored already' "$TMP/verb.out" || return
        sleep 0.1
    done
}
for data in "$TMP/alone" "$TMP/served"; do
    echo '/tags/list status 429 60' >"$TMP/rules"
    : >"$TMP/asked"
    ingotd mirror --data "$data" "http://$upstream" 'team/*' >"$TMP/verb.out" 2>&1 &
    verb=$!
    ENDING+=("$verb")
    until grep -q '/tags/list' "$TMP/asked"; do kill -0 "$verb" || fail "$(cat "$TMP/verb.out")"; sleep 0.1; done
    ends_within "a mirror that is asked to wait" ends_with_130
    : >"$TMP/rules"
done
ends_within "the job of a verb that has ended" mirrors_again
ok "a mirror that a registry asks to wait ends with its verb at once"
