#!/bin/bash
# Registries as they are, and as nobody wants them (upstream.py has a mode for each): what can be had is had, bytes that came are not asked
# for twice, nothing goes where it does not belong; what can't be had is an error that names it, and leaves nothing behind. In little memory.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
unset http_proxy HTTP_PROXY INGOT_TOKEN INGOT_CA INGOT_PLAIN_HTTP
MOST=262144 # KiB of memory
if nm "$(command -v ingot)" 2>/dev/null | grep -qE '__(asan|tsan)_init'; then MOST=100000000; fi # a sanitizer's own

start_docker_registry "$TMP/data"
start_upstream "$docker"
elsewhere=localhost:${upstream#*:} # another name of it
head -c 12000000 /dev/urandom >"$TMP/web.raw"
truncate -s 12M "$TMP/web.raw"
digest=$(ingot pack -q "$TMP/web.raw" web:1.0.0)
ingot push -q web:1.0.0 "$docker/team/web" >/dev/null
mapfile -t blobs < <(python3 -c 'import json,sys
v = json.load(open(sys.argv[1]))
for one in [v["config"], *v["layers"]]: print(one["digest"])' "$INGOT_STORE/blobs/sha256/${digest#sha256:}")
disk=${blobs[2]}

# rules RULE...: those that hold from now on.
rules() {
    printf '%s\n' "$@" >"$TMP/rules"
    : >"$TMP/asked"
}
# run STATUS COMMAND...: in bounded time and memory.
run() {
    local wanted=$1 status=0
    shift
    rm -rf "$TMP/fresh"
    timeout 120 env time -f %M -o "$TMP/peak" "$@" >"$TMP/out" 2>"$TMP/err" || status=$?
    [ "$status" = "$wanted" ] || fail "$(cat "$TMP/rules"): '$*' ends with $status, not $wanted: $(cat "$TMP/err")"
    [ "$(tail -1 "$TMP/peak")" -le $MOST ] || fail "$(cat "$TMP/rules"): '$*' takes $(tail -1 "$TMP/peak") KiB"
    ! LC_ALL=C.UTF-8 grep -qP '[\x00-\x09\x0b-\x1f\x7f-\x{9f}]' "$TMP/err" || fail "$(cat "$TMP/rules"): '$*' prints what a terminal obeys"
}
pulls() {
    rules "$@"
    run 0 ingot pull -q --store "$TMP/fresh" "$upstream/team/web:1.0.0" -o "$TMP/back.raw"
    cmp "$TMP/back.raw" "$TMP/web.raw" || fail "$*: another disk"
    rm "$TMP/back.raw"
}
# pull_fails TEXT RULE...: the error names the image and says that.
pull_fails() {
    local text=$1
    shift
    rules "$@"
    run 1 ingot pull -q --store "$TMP/fresh" "$upstream/team/web:1.0.0" -o "$TMP/back.raw"
    grep -q "$upstream/team/web" "$TMP/err" && grep -q "$text" "$TMP/err" || fail "$*: $(cat "$TMP/err")"
    [ ! -e "$TMP/back.raw" ] || fail "$*: a disk was written"
    [ -z "$(ingot images -q --store "$TMP/fresh")" ] || fail "$*: an image is in the store"
}
number=0
# pushes RULE...: into a repository of its own.
pushes() {
    rules "$@"
    number=$((number + 1))
    run 0 ingot push -q web:1.0.0 "$upstream/push/n$number"
    rm -rf "$TMP/fresh"
    ingot pull -q --store "$TMP/fresh" "$docker/push/n$number:1.0.0" -o "$TMP/back.raw" >/dev/null || fail "$*: what was pushed can't be pulled"
    cmp "$TMP/back.raw" "$TMP/web.raw" || fail "$*: another disk was pushed"
}
push_fails() {
    local text=$1
    shift
    rules "$@"
    number=$((number + 1))
    run 1 ingot push -q web:1.0.0 "$upstream/push/n$number"
    grep -q "$upstream/push/n$number" "$TMP/err" && grep -q "$text" "$TMP/err" || fail "$*: $(cat "$TMP/err")"
    [ "$(curl -s -o /dev/null -w '%{http_code}' "http://$docker/v2/push/n$number/manifests/1.0.0")" = 404 ] || fail "$*: an image is in the registry"
}

# --- pulls ---

for fault in 'status 408' 'status 429 date:2' 'status 502' 'status 503 1'; do pulls "GET+/v2/.*/(manifests|blobs)/ 2x $fault"; done
ok "a registry that is busy, or fails for once, is asked again"
pulls "GET+/v2/.*/blobs/$disk 2x reset 1000000"
pulls "GET+/v2/.*/blobs/$disk 2x cut 1000000"
pulls "GET+/v2/.*/manifests/ 1x reset 100"
pulls "GET+/v2/.*/blobs/(${blobs[0]}|${blobs[1]}) 2x reset 10"
ok "a connection that breaks off is made again, and goes on where it was"
pulls "/blobs/ norange"
pulls "/blobs/$disk norange"
pulls "/blobs/$disk 1x reset 5000000" "/blobs/$disk norange"
ok "one that ignores Range is read through, and read on after a break"
pulls "GET+/v2/.*/blobs/ redirect http://{host}/store{path}"
mkdir -p "$TMP/config"
printf '{"auths": {"%s": {"auth": "%s"}}}' "$upstream" "$(printf alice:word | base64)" >"$TMP/config/auth.json"
for store in "http://$elsewhere/store{path}" "//$elsewhere/store{path}"; do
    REGISTRY_AUTH_FILE=$TMP/config/auth.json pulls "GET+/store/ none" "GET+/v2/.*/blobs/ login $store" "/v2/ login -"
    grep -q '/v2/.*/blobs/.* Basic ' "$TMP/asked" || fail "no login was shown: $(cat "$TMP/asked")"
    ! grep '/store/' "$TMP/asked" | grep -q Basic || fail "a login went to the object store: $(cat "$TMP/asked")"
done
pull_fails 'followed' "/blobs/ redirect file:///etc/passwd"
pull_fails 'from one address to the next' "/blobs/ redirect {path}"
ok "blobs are had from an object store, which sees no login; other places are not followed"
for what in html 'status 404' 'body {}' 'body []' "body {\"manifests\":[{\"digest\":7},{},null,{\"digest\":\"sha256:$(printf '0%.0s' $(seq 64))\"}]}"; do pulls "/referrers/ $what"; done
for what in 'status 500' 'status 503 100' 'page {path}' 'page http://other.example/x' 'page ftp://{host}/x' 'endless 8000000' 'nested 100000' 'big 67108864'; do
    rules "/referrers/ $what" "/manifests/sha256- $what"
    run 0 ingot pull "$upstream/team/web:1.0.0" --store "$TMP/fresh"
    grep -q 'not all that is attached came along' "$TMP/err" || fail "$what: $(cat "$TMP/err")"
done
ok "a list of what is attached that is none, has no end, or leads elsewhere, keeps no image from being pulled"

for lie in 'layers.1.size 10' 'layers.1.size 99999999999' 'layers.1.size -1' 'layers.1.size "x"' 'layers.0.size 10' 'layers.0.size 999999999999' 'config.size 1' \
    'layers.1.digest "sha256:0"' "layers.1.digest \"$digest\"" 'layers []' 'config null' 'layers.1 7'; do
    pull_fails '' "/manifests/1.0.0 set $lie"
done
for lie in 'length 1000' 'flip' 'html' 'status 404' 'status 403'; do pull_fails '' "/blobs/$disk $lie"; done
for blob in "${blobs[0]}" "${blobs[1]}"; do
    for lie in 'length 10' 'flip' 'html' 'big 67108864' 'status 404' 'redirect http://127.0.0.1:1/x'; do pull_fails '' "/blobs/$blob $lie"; done
done
for lie in "/blobs/$disk wrongrange" '/blobs/ longer 5000'; do # the whole may do, or what is right of it
    rules "$lie"
    rm -rf "$TMP/fresh"
    ! timeout 120 ingot pull -q --store "$TMP/fresh" "$upstream/team/web:1.0.0" -o "$TMP/back.raw" >/dev/null 2>&1 || cmp "$TMP/back.raw" "$TMP/web.raw" || fail "$lie: other bytes are taken for the right ones"
    rm -f "$TMP/back.raw"
done
for lie in html 'big 67108864' 'nested 1000000' 'body []' 'body {"layers":{}}' 'flip' 'status 401' 'status 403' 'status 500' 'redirect //{host}{path}'; do pull_fails '' "/manifests/1.0.0 $lie"; done
for what in '/v2/team/web/tags/list' /v2/_catalog; do
    name=$upstream
    [ $what = /v2/_catalog ] || name=$upstream/team/web
    for lie in html 'big 67108864' 'nested 1000000' 'body {}' 'body {"tags":7}' 'endless 8000000' 'page {path}' 'page http://other.example/x' 'page file:///x' 'reset 3'; do
        rules "$what $lie"
        run 1 ingot ls "$name"
        grep -q "$name" "$TMP/err" || fail "$lie: $(cat "$TMP/err")"
        ! grep -q other.example "$TMP/asked" || fail "$lie is followed"
    done
done
ok "lies about sizes, other bytes, other texts, texts without an end are errors, and nothing is written"

# --- pushes ---

for place in '{last}' '{path}' '//{host}{path}' 'http://{host}{path}' "http://$elsewhere{path}"; do pushes "/uploads/ location $place"; done
for place in 'http://other.example{path}' 'file:///etc/passwd' 'ftp://{host}{path}' 'http://alice:word@{host}{path}' 'http://[::1' '//'; do
    push_fails '' "/uploads/ location $place"
    ! grep -q '^\(PUT\|PATCH\)' "$TMP/asked" || fail "$place: something was sent: $(cat "$TMP/asked")"
done
ok "an upload goes on wherever the registry leads to at itself, and nowhere else"
for fault in 'status 429 1' 'status 500' 'deaf'; do
    pushes "POST+/v2/.*/uploads/ 1x $fault" "PUT+/v2/.*/manifests/ 1x $fault" "HEAD+/v2/.*/blobs/ 1x $fault" "PUT+/v2/.*digest= 2x $fault" "PATCH+ 1x $fault"
done
ok "what is busy, fails, or whose answers are lost, is asked again"
pushes "PATCH+ 1x take 5000000" # docker-registry drops it then
[ "$(grep -c '^PATCH' "$TMP/asked")" = 2 ] || fail "more than two pieces: $(grep ^PATCH "$TMP/asked")"
pushes "PATCH+ 2x short 5000000"
[ "$(grep -c '^PATCH.* 0-' "$TMP/asked")" = 1 ] && grep -q '^PATCH.* 10000000-' "$TMP/asked" || fail "it began anew: $(grep ^PATCH "$TMP/asked")"
foreign=$docker
start_ingotd
docker=$REGISTRY
start_upstream "$docker"
pushes "(PATCH|PUT)+ 10x take 1000000" # the frames
! grep -q '^DELETE' "$TMP/asked" && [ "$(awk '/^(PATCH|PUT).*blobs.uploads/ && $4 != "-" { split($4, r, "-"); if (r[1] < from) print; from = r[1] }' "$TMP/asked")" = "" ] ||
    fail "the frames began anew: $(cat "$TMP/asked")"
pushes "POST+.*/uploads/. 1x deaf" "PUT+.*digest= 1x deaf" # the list of the frames (all are there), and the end
[ "$(grep -c '^POST.*/uploads/[^ ]' "$TMP/asked")" = 3 ] && [ "$(awk '/^(PATCH|PUT)/ && $5 > 1000000' "$TMP/asked")" = "" ] || fail "all was sent again: $(cat "$TMP/asked")"
pushes "POST+ plain" "PATCH+ 2x take 5000000" # as one that knows of no frames
[ "$(grep '^PATCH' "$TMP/asked" | awk '{ split($4, r, "-"); print (r[1] > from + 1000000 || NR == 1) ? "on" : "back"; from = r[1] }' | tr '\n' ' ')" = "on on on " ] ||
    fail "it began anew, or where the registry is not: $(grep ^PATCH "$TMP/asked")"
docker=$foreign
start_upstream "$docker"
ok "an upload that breaks off goes on where the registry is"
pushes "PATCH+ most 9000000"
pushes "(PATCH|PUT)+ most 1100000"
pushes "/uploads/ least 10000000"
push_fails 'too large' "/uploads/ most 100000"
pushes "PUT+.*/uploads/ nobody 405"
pushes "PUT+.*digest= nobody 400"
pushes "PATCH+ nobody 405"
pushes "PATCH+ nobody 404"
push_fails '' "(PATCH|PUT)+.*/uploads/ nobody 405"
ok "uploads in pieces where the registry wants them, or whole where it does not"
INGOT_TIMEOUT=2 pushes "PUT+.*digest=.*${disk#*:} late 6"
INGOT_TIMEOUT=2 pushes "PUT+.*digest= 3x late 6"
ok "a registry may take its time to put a blob in its place"

# --- attachments where the registry has no list of its own ---

# attach TEXT: something about the image, in the store.
attach() {
    python3 - "$INGOT_STORE" "$digest" "$1" <<'PY'
import hashlib, json, os, sys
store, subject, text = sys.argv[1:]
def put(data):
    name = hashlib.sha256(data).hexdigest()
    open(os.path.join(store, "blobs", "sha256", name), "wb").write(data)
    return {"digest": "sha256:" + name, "size": len(data)}
kind = "application/vnd.oci.image.manifest.v1+json"
manifest = put(json.dumps({"schemaVersion": 2, "mediaType": kind, "artifactType": "application/vnd.example.note",
    "config": dict(put(b"{}"), mediaType="application/vnd.oci.empty.v1+json"), "layers": [dict(put(text.encode()), mediaType="text/plain")],
    "subject": {"mediaType": kind, "digest": subject, "size": os.path.getsize(os.path.join(store, "blobs", "sha256", subject[7:]))}}).encode())
path = os.path.join(store, "index.json")
index = json.load(open(path))
index["manifests"].append(dict(manifest, mediaType=kind))
json.dump(index, open(path, "w"))
PY
}
list=/v2/team/web/manifests/sha256-${digest#sha256:}
listed() { curl -sf -H 'Accept: application/vnd.oci.image.index.v1+json' "http://$docker$list" | grep -o example.note | wc -l; }
attach one
ingot push -q web:1.0.0 "$docker/team/web" >/dev/null
[ "$(listed)" = 1 ] || fail "the list of what is attached: $(curl -s "http://$docker$list")"
attach two
for fault in 'status 500' 'status 503 1000' 'status 403' 'reset 5' 'big 67108864' 'nested 100000'; do
    rules "GET+$list $fault"
    run 1 ingot push -q web:1.0.0 "$upstream/team/web"
    ! grep -q "^PUT $list" "$TMP/asked" || fail "$fault: the list that could not be read is written"
    [ "$(listed)" = 1 ] || fail "$fault: the list of what is attached is another: $(listed)"
done
rules "GET+$list 1x status 500" "GET+$list 1x reset 5" "PUT+$list 1x status 502"
run 0 ingot push -q web:1.0.0 "$upstream/team/web"
[ "$(listed)" = 2 ] || fail "the list of what is attached has $(listed) entries"
ok "a list that can't be read is not written; one that can be at last is"
