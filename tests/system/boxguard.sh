#!/bin/bash
# What uploads and the API of boxes may not go round: who has published an image, what a channel has, what was released or deleted.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/boxcalls.sh
. tests/system/boxcalls.sh

two_disks
ingot pack -q "$TMP/v1.raw" db:1.0.0 >/dev/null
ingot pack -q "$TMP/v2.raw" db:2.0.0 >/dev/null
ingot export -q db:1.0.0 -F vagrant-libvirt -o "$TMP/v1.box"
ingot export -q db:2.0.0 -F vagrant-libvirt -o "$TMP/v2.box"
# While $TMP/hold is there, no box is taken apart.
mkdir "$TMP/bin"
printf '#!/bin/sh\nwhile [ -e "%s" ]; do sleep 0.1; done\nexec "%s" "$@"\n' "$TMP/hold" "$(command -v qemu-nbd)" >"$TMP/bin/qemu-nbd"
chmod +x "$TMP/bin/qemu-nbd"
PATH=$TMP/bin:$PATH
start_ingotd
people=(--scope 'push:team/*' --scope 'promote:team/*')
for user in alice bob; do
    twice "the word of $user" | ingotd user add --data "$TMP/registry" "${people[@]}" $user
done
twice 'the word of root' | ingotd user add --data "$TMP/registry" --scope 'admin:*' root
alice=$(token --user alice --scope 'push:team/*') # who may push, and no more
root=$(token --user root --scope 'admin:*')
at=http://$REGISTRY

# as USER COMMAND...: with a token of that user's.
as() { INGOT_TOKEN=$(token --user "$1" "${people[@]}") "${@:2}"; }
pipelines() { INGOT_TOKEN=$root ingot pipeline apply "$REGISTRY" "$TMP/pipelines.yaml" >/dev/null; }
# upload NAME VERSION PROVIDER/ARCHITECTURE FILE: a provider that is new, and its box.
upload() {
    expect 200 POST "/api/v2/box/$1/version/$2/providers" "{\"name\": \"${3%/*}\", \"architecture\": \"${3#*/}\"}"
    send "$@"
}
upload_path() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["upload_path"])' "$TMP/body"; }
send() {
    expect 200 GET "/api/v2/box/$1/version/$2/provider/$3/upload"
    STATUS=$(curl -s -o "$TMP/answer" -w '%{http_code}' -T "$4" "$(upload_path)")
    [ "$STATUS" = 200 ] || fail "an upload: $STATUS $(cat "$TMP/answer")"
}
# publish NAME VERSION PROVIDER/ARCHITECTURE FILE
publish() {
    expect 200 POST "/api/v2/box/$1/versions" "{\"version\": \"$2\"}"
    upload "$@"
    expect 200 PUT "/api/v2/box/$1/version/$2/release"
}
# listed NAME[@CHANNEL]: the versions of its catalogue.
listed() {
    box_catalogue "$at/vagrant/$1" -H "Authorization: Bearer $alice" >"$TMP/body"
    python3 -c 'import json, sys; print(*[v["version"] for v in json.load(open(sys.argv[1]))["versions"]])' "$TMP/body"
}
digest() { curl -sf -o /dev/null -w '%header{docker-content-digest}' -I -H "Authorization: Bearer $alice" -H 'Accept: */*' "$at/v2/$1/manifests/$2"; }
tags() { curl -sf -H "Authorization: Bearer $alice" "$at/v2/$1/tags/list" | python3 -c 'import json, sys; print(*json.load(sys.stdin)["tags"] or [])'; }
cat >"$TMP/pipelines.yaml" <<'YAML'
pipelines:
  team/two:
    channels:
      - name: prod
        gates:
          - approved: {count: 1}
  team/web:
    channels:
      - name: prod
      - name: "24.04"
YAML
pipelines

# --- whose a box is ---
publish team/two 1.0.0 libvirt/amd64 "$TMP/v1.box"
as alice ingot approve "$REGISTRY/team/two" prod "$(digest team/two 1.0.0)" >/dev/null || fail "an approval"
status=0
as alice ingot promote "$REGISTRY/team/two" 1.0.0 prod >"$TMP/out" 2>&1 || status=$?
{ [ $status != 0 ] && grep -q 'whoever pushed it does not count' "$TMP/out"; } || fail "the uploader's own approval counts: $status $(cat "$TMP/out")"
as bob ingot approve "$REGISTRY/team/two" prod "$(digest team/two 1.0.0)" >/dev/null || fail "an approval"
as alice ingot promote "$REGISTRY/team/two" 1.0.0 prod >"$TMP/out" 2>&1 || fail "another's approval: $(cat "$TMP/out")"
ingotd audit export --data "$TMP/registry" >"$TMP/audit"
grep 'a box was uploaded' "$TMP/audit" >"$TMP/out"
! grep -v '"alice"' "$TMP/out" || fail "what an upload does is nobody's"
ok "a box is its uploader's: in the audit log, and for the gate that wants another's approval"

# --- what a channel has ---
publish team/web 1.0.0 libvirt/amd64 "$TMP/v1.box"
publish team/web 2.0.0 libvirt/amd64 "$TMP/v2.box"
for version in 1.0.0 2.0.0; do
    as alice ingot promote "$REGISTRY/team/web" $version prod >/dev/null || fail "a promotion"
done
expect 200 PUT /api/v2/box/team/web/version/2.0.0/revoke
[ "$(listed team/web)" = 1.0.0 ] || fail "a version that is revoked: $(listed team/web)"
[ "$(listed team/web@prod)" = '2.0.0 1.0.0' ] || fail "whoever may only push has taken a version out of a channel: $(listed team/web@prod)"
expect 200 PUT /api/v2/box/team/web/version/2.0.0/release
expect 200 PUT /api/v2/box/team/web/version/2.0.0/provider/libvirt/amd64 '{"default_architecture": false}'
listed team/web >/dev/null
has '[p["default_architecture"] for p in a["versions"][0]["providers"]] == [False]'
listed team/web@prod >/dev/null
has '[p["default_architecture"] for p in a["versions"][0]["providers"]] == [True]'
expect 200 POST /api/v2/box/team/web/versions '{"version": "3.0.0"}'
ingot tag db:1.0.0 db:3.0.0
as alice ingot push -q db:3.0.0 "$REGISTRY/team/web" >/dev/null || fail "a push"
as alice ingot promote "$REGISTRY/team/web" 3.0.0 prod >/dev/null || fail "a promotion"
[ "$(listed team/web@prod)" = '3.0.0 2.0.0 1.0.0' ] || fail "a version that was begun, and pushed: $(listed team/web@prod)"
ok "a channel's catalogue has what the channel has named, whatever is said of its versions"

# --- a channel is no version ---
as alice ingot promote "$REGISTRY/team/web" 1.0.0 24.04 >/dev/null || fail "a promotion"
expect 404 PUT /api/v2/box/team/web/version/24.04 '{"description": "mine"}'
expect 422 PUT /api/v2/box/team/web/version/24.04/revoke
expect 200 POST /api/v2/box/team/web/versions '{"version": "24.10"}'
expect 200 POST /api/v2/box/team/web/version/24.10/providers '{"name": "hyperv", "url": "https://example.org/a.box", "checksum_type": "md5", "checksum": "d41d8cd98f00b204e9800998ecf8427e"}'
expect 200 PUT /api/v2/box/team/web/version/24.10/release
[ "$(listed team/web)" = '24.10 2.0.0 1.0.0' ] || fail "a version that lies elsewhere: $(listed team/web)"
sed -i 's/name: "24.04"/name: "24.10"/' "$TMP/pipelines.yaml"
pipelines
as alice ingot promote "$REGISTRY/team/web" 1.0.0 24.10 >/dev/null || fail "a promotion"
[ "$(listed team/web)" = '2.0.0 1.0.0' ] || fail "a channel is a version, by an older record: $(listed team/web)"
expect 422 PUT /api/v2/box/team/web/version/24.10 '{"description": "mine"}'
grep -q 'is a channel' "$TMP/body" || fail "not why: $(cat "$TMP/body")"
AS=$root expect 200 DELETE /api/v2/box/team/web/version/24.10
[[ " $(tags team/web) " = *' 24.10 '* ]] || fail "a channel goes with a version's record: $(tags team/web)"
ok "a channel is no version, nor becomes one by what is said of it"

# --- a box that lies elsewhere ---
far=/api/v2/box/team/far/version/1.0.0/provider
expect 200 POST /api/v2/box/team/far/versions '{"version": "1.0.0"}'
for provider in hyperv libvirt; do
    expect 200 POST ${far}s '{"name": "'$provider'", "architecture": "amd64", "url": "https://example.org/a.box", "checksum_type": "md5", "checksum": "d41d8cd98f00b204e9800998ecf8427e"}'
done
[ "$(curl -s -o "$TMP/body" -w '%{http_code}' -I -H "Authorization: Bearer $alice" "$at$far/libvirt/amd64/upload")" = 405 ] || fail "HEAD begins an upload"
expect 200 PUT /api/v2/box/team/far/version/1.0.0/release
listed team/far >/dev/null
cp "$TMP/body" "$TMP/before"
for said in '"url": "https://evil.example/a.box"' '"url": ""' '"checksum": "", "checksum_type": ""' '"checksum_type": "md5", "checksum": "00000000000000000000000000000000"'; do
    expect 422 PUT $far/hyperv/amd64 "{\"provider\": {$said}}"
    grep -q 'publish a new version' "$TMP/body" || fail "not why: $(cat "$TMP/body")"
done
expect 200 PUT $far/hyperv/amd64 '{"provider": {"name": "hyperv", "url": "https://example.org/a.box"}}'
expect 422 GET $far/libvirt/amd64/upload
expect 403 DELETE $far/hyperv/amd64
listed team/far >/dev/null
cmp -s "$TMP/body" "$TMP/before" || fail "a box of a released version lies elsewhere: $(cat "$TMP/body")"
AS=$root expect 200 DELETE $far/hyperv/amd64
# One that is uploaded and is told to lie elsewhere meanwhile does so.
expect 200 POST ${far}s '{"name": "qemu", "architecture": "amd64"}'
expect 200 GET $far/qemu/amd64/upload
url=$(upload_path)
expect 200 PUT $far/qemu/amd64 '{"url": "https://example.org/q.box"}'
STATUS=$(curl -s -o "$TMP/body" -w '%{http_code}' -T "$TMP/v1.box" "$url")
[ "$STATUS" = 404 ] || fail "an upload of what lies elsewhere: $STATUS $(cat "$TMP/body")"
ok "a box of a released version that lies elsewhere stays there until who may delete takes it away"

# --- a further box of a released version ---
as alice ingot push -q db:1.0.0 "$REGISTRY/team/more" >/dev/null || fail "a push"
expect 200 PUT /api/v2/box/team/more/version/1.0.0 '{"description": "pushed"}'
upload team/more 1.0.0 libvirt/i386 "$TMP/v2.box"
until_true eval '[ "$(tags team/more)" = 1.0.0 ]'
expect 200 GET /v2/team/more/manifests/1.0.0
has 'len(a["manifests"]) == 2'
image=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["manifests"][1]["digest"])' "$TMP/body")
# left: the version without that box, which has its draft's tag alone, as after a failure in between.
left() {
    AS=$root expect 202 DELETE /v2/team/more/manifests/1.0.0
    as alice ingot push -q db:1.0.0 "$REGISTRY/team/more" >/dev/null || fail "a push"
    curl -sf -H "Authorization: Bearer $alice" "$at/v2/team/more/manifests/$image" >"$TMP/manifest"
    curl -sf -X PUT -H "Authorization: Bearer $alice" -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$TMP/manifest" "$at/v2/team/more/manifests/unreleased-1.0.0-libvirt-i386" || fail "a draft"
}
released() { [ "$(tags team/more)" = 1.0.0 ] && curl -sf -H "Authorization: Bearer $alice" "$at/v2/team/more/manifests/1.0.0" | grep -qF "$image"; }
left
expect 200 PUT /api/v2/box/team/more/version/1.0.0/release
released || fail "a release does not go on: $(tags team/more)"
expect 422 PUT /api/v2/box/team/more/version/1.0.0/release
left
kill -9 "$SERVER"
wait "$SERVER" 2>/dev/null || true
start_ingotd
at=http://$REGISTRY
until_true released
# One that fails beside it is in nobody's way.
expect 200 POST /api/v2/box/team/more/version/1.0.0/providers '{"name": "qemu", "architecture": "i386"}'
upload team/more 1.0.0 libvirt/unknown "$TMP/v2.box"
until_true released
ok "a further box of a released version comes to it, after a failure too"

# --- a box that nobody waits for any more ---
touch "$TMP/hold"
for version in 1.0.0 1.0.1; do
    expect 200 POST /api/v2/box/team/gone/versions "{\"version\": \"$version\"}"
    expect 200 POST /api/v2/box/team/gone/version/$version/providers '{"name": "libvirt"}'
    expect 200 GET /api/v2/box/team/gone/version/$version/provider/libvirt/upload/direct
    STATUS=$(curl -s -o "$TMP/answer" -w '%{http_code}' -T "$TMP/v2.box" "$(upload_path)")
    [ "$STATUS" = 200 ] || fail "an upload: $STATUS $(cat "$TMP/answer")"
done
for version in 1.0.0 1.0.1; do
    expect 200 DELETE /api/v2/box/team/gone/version/$version
done
rm "$TMP/hold"
until_true eval '[ -z "$(ls "$TMP/registry/box-uploads")" ]'
[ -z "$(tags team/gone)" ] || fail "what nobody waits for keeps its image: $(tags team/gone)"
ok "a version that is removed while its box waits leaves no tag"

# --- a box for which there is no room at the moment ---
if mount -t tmpfs -o size=64k tmpfs "$TMP/registry/work" 2>/dev/null; then
    trap 'status=$?; umount -l "$TMP/registry/work" 2>/dev/null || true; set +e; (exit $status); finish' EXIT
    expect 200 POST /api/v2/box/team/full/versions '{"version": "1.0.0"}'
    upload team/full 1.0.0 libvirt/amd64 "$TMP/v1.box"
    until_true grep -q 'team/full 1.0.0: the box of libvirt for amd64 waits: .*No space left' "$TMP/ingotd.log"
    umount -l "$TMP/registry/work"
    # Another one in its place comes before it is tried again, and keeps its tag.
    send team/full 1.0.0 libvirt/amd64 "$TMP/v2.box"
    until_true eval '[ -z "$(ls "$TMP/registry/box-uploads")" ]'
    [ "$(tags team/full)" = unreleased-1.0.0-libvirt-amd64 ] || fail "the tag of the box: $(tags team/full)"
    expect 200 PUT /api/v2/box/team/full/version/1.0.0/release
    [ "$(listed team/full)" = 1.0.0 ] || fail "the box: $(listed team/full)"
    ok "a box that was acknowledged waits for room, and is taken in then"
fi

# --- a version whose tag is deleted ---
publish team/out 1.0.0 libvirt/amd64 "$TMP/v1.box"
publish team/out 2.0.0 libvirt/amd64 "$TMP/v2.box"
[ "$(listed team/out)" = '2.0.0 1.0.0' ] || fail "the versions: $(listed team/out)"
AS=$root expect 202 DELETE /v2/team/out/manifests/2.0.0
[ "$(listed team/out)" = 1.0.0 ] || fail "a version without its tag: $(listed team/out)"
expect 404 GET /api/v2/box/team/out/version/2.0.0
for action in release revoke; do
    expect 404 PUT /api/v2/box/team/out/version/2.0.0/$action
done
publish team/out 2.0.0 libvirt/amd64 "$TMP/v1.box"
[ "$(listed team/out)" = '2.0.0 1.0.0' ] || fail "the version, made anew: $(listed team/out)"
# A further box does not bring it back: neither one that comes, nor one that has begun to.
publish team/back 1.0.0 libvirt/amd64 "$TMP/v1.box"
for architecture in i386 unknown; do
    expect 200 POST /api/v2/box/team/back/version/1.0.0/providers "{\"name\": \"libvirt\", \"architecture\": \"$architecture\"}"
done
expect 200 GET /api/v2/box/team/back/version/1.0.0/provider/libvirt/i386/upload
begun=$(upload_path)
AS=$root expect 202 DELETE /v2/team/back/manifests/1.0.0
expect 404 GET /api/v2/box/team/back/version/1.0.0/provider/libvirt/unknown/upload
curl -s -o "$TMP/answer" -T "$TMP/v2.box" "$begun"
until_true eval '[ -z "$(ls "$TMP/registry/box-uploads")" ]'
until_true eval '[ -z "$(tags team/back)" ]'
[ -z "$(listed team/back)" ] || fail "a further box brings the version back: $(listed team/back)"
ok "a version whose tag is deleted is gone"

# --- two boxes of which a catalogue would have one ---
# boxes NAME: "PROVIDER ARCHITECTURE DEFAULT" of the boxes of 1.0.0, as the catalogue has them.
boxes() {
    box_catalogue "$at/vagrant/$1" -H "Authorization: Bearer $alice" >"$TMP/list"
    python3 -c 'import json, sys; print(*sorted("%s %s %s" % (p["name"], p["architecture"], p["default_architecture"]) for p in json.load(open(sys.argv[1]))["versions"][0]["providers"]), sep=", ")' "$TMP/list"
}
provider=/api/v2/box/team/twin/version/1.0.0/provider
as alice ingot push -q db:1.0.0 "$REGISTRY/team/twin" >/dev/null || fail "a push"
expect 200 PUT /api/v2/box/team/twin/version/1.0.0 '{"description": "pushed"}'
expect 422 POST ${provider}s '{"name": "libvirt", "architecture": "amd64"}'
grep -q 'provider libvirt for amd64: sha256:' "$TMP/body" || fail "not why: $(cat "$TMP/body")"
expect 200 POST ${provider}s '{"name": "libvirt", "architecture": "i386"}'
# The version is pushed while its boxes come.
AS=$root expect 202 DELETE /v2/team/twin/manifests/1.0.0
AS=$root expect 200 DELETE /api/v2/box/team/twin/version/1.0.0
expect 200 POST /api/v2/box/team/twin/versions '{"version": "1.0.0"}'
upload team/twin 1.0.0 libvirt/amd64 "$TMP/v2.box"
as alice ingot push -q db:1.0.0 "$REGISTRY/team/twin" >/dev/null || fail "a push"
expect 422 PUT /api/v2/box/team/twin/version/1.0.0/release
grep -q 'publish a new version' "$TMP/body" || fail "not why: $(cat "$TMP/body")"
expect 422 GET $provider/libvirt/amd64/upload
AS=$root expect 200 DELETE $provider/libvirt/amd64
expect 200 PUT /api/v2/box/team/twin/version/1.0.0/release
# VMware's programs share a box; two different ones do not fit.
for disk in 1 2; do
    ingot export -q db:$disk.0.0 -F vagrant-vmware -o "$TMP/vmware$disk.box"
done
expect 200 POST /api/v2/box/team/vm/versions '{"version": "1.0.0"}'
upload team/vm 1.0.0 vmware_fusion/amd64 "$TMP/vmware1.box"
upload team/vm 1.0.0 vmware_workstation/amd64 "$TMP/vmware2.box"
expect 422 PUT /api/v2/box/team/vm/version/1.0.0/release
send team/vm 1.0.0 vmware_workstation/amd64 "$TMP/vmware1.box"
expect 200 PUT /api/v2/box/team/vm/version/1.0.0/release
[ "$(boxes team/vm)" = 'vmware_desktop amd64 True' ] || fail "VMware's boxes: $(boxes team/vm)"
for name in fusion workstation desktop; do
    expect 200 GET /api/v2/box/team/vm/version/1.0.0/provider/vmware_$name/amd64
    has 'a["download_url"].startswith("http")'
done
# One file for several architectures is each of these.
expect 200 POST /api/v2/box/team/same/versions '{"version": "1.0.0"}'
for architecture in unknown amd64; do
    upload team/same 1.0.0 libvirt/$architecture "$TMP/v1.box"
done
expect 200 PUT /api/v2/box/team/same/version/1.0.0/release
[ "$(boxes team/same)" = 'libvirt amd64 False, libvirt unknown True' ] || fail "one file, twice: $(boxes team/same)"
ok "no box is released that its catalogue would not have"

# --- an upload's room ---
kill "$SERVER"
wait "$SERVER" 2>/dev/null || true
size=$(stat -c %s "$TMP/v1.box")
INGOTD_MAX_REPOSITORY=$((size * 3 / 2)) INGOTD_MAX_UPLOADS_PER_USER=1 INGOTD_MIN_RATE=0 start_ingotd
at=http://$REGISTRY bob=$(token --user bob --scope 'push:team/*')
# begin NAME VERSION: a provider, for whose box $url is.
begin() {
    expect 200 POST "/api/v2/box/$1/versions" "{\"version\": \"$2\"}"
    expect 200 POST "/api/v2/box/$1/version/$2/providers" '{"name": "libvirt"}'
    expect 200 GET "/api/v2/box/$1/version/$2/provider/libvirt/upload/direct"
    url=$(upload_path)
}
# send_to URL FILE: STATUS, and when to come again.
send_to() { STATUS=$(curl -s -o "$TMP/answer" -w '%{http_code} %header{retry-after}' -T "$2" "$1"); }
part() { compgen -G "$TMP/registry/box-uploads/*.part" >/dev/null; }
begin team/room 1.0.0
exec 9<>"/dev/tcp/${REGISTRY%:*}/${REGISTRY##*:}"
printf 'PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %s\r\n\r\nbox' "${url#"$at"}" "$REGISTRY" "$size" >&9
until_true part
begin team/other 1.0.0
send_to "$url" "$TMP/v1.box"
[[ $STATUS = "503 "[0-9]* ]] || fail "a second upload of a user: $STATUS $(cat "$TMP/answer")"
AS=$bob begin team/room 2.0.0
send_to "$url" "$TMP/v1.box"
[[ $STATUS = 413* ]] || fail "past the quota: $STATUS $(cat "$TMP/answer")"
exec 9>&-
until_true eval '! part'
send_to "$url" "$TMP/v1.box"
[[ $STATUS = 200* ]] || fail "another user's upload: $STATUS $(cat "$TMP/answer")"
ok "uploads have the room of their repository together, and a user has so many"
