#!/bin/bash
# Boxes that publishers upload become images: by Vagrant Cloud's API in both versions of it, by `vagrant cloud publish`, and by Packer.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/boxcalls.sh
. tests/system/boxcalls.sh
export VAGRANT_HOME=$TMP/vagrant VAGRANT_CHECKPOINT_DISABLE=1 VAGRANT_NO_COLOR=1

two_disks
for v in 1 2; do
    ingot pack -q "$TMP/v$v.raw" "db:$v.0.0" >/dev/null
    ingot export -q "db:$v.0.0" -F vagrant-libvirt -o "$TMP/v$v.box"
done
ingot export -q db:1.0.0 -F vagrant-qemu -o "$TMP/qemu.box"
start_ingotd
twice 'the word of alice' | ingotd user add --data "$TMP/registry" --scope 'push:team/*' alice
alice=$(token --user alice --scope 'push:team/*')
at=http://$REGISTRY

member() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$TMP/body" "$1"; }
# put FILE URL [CURL-ARGUMENT...]: as clients do, without a login.
put() { STATUS=$(curl -s -o "$TMP/body" -w '%{http_code}' -T "$1" "${@:2}"); }
# same BOX DISK: the box that the catalogue has of it holds that disk.
same() {
    tar -xf "$1" -C "$TMP" box.img
    qemu-img compare -q "$TMP/box.img" "$2" || fail "$1 is not $2"
}
catalogue() { curl -sf -H "Authorization: Bearer $alice" "$at/team/db" >"$TMP/body"; }

# --- by PUT, version 1 of the API: no architecture is said ---
expect 200 POST /api/v1/boxes '{"username": "team", "name": "db"}'
expect 200 POST /api/v1/box/team/db/versions '{"version": {"version": "1.0.0", "description": "one"}}'
expect 404 GET /api/v1/box/team/db/version/1.0.0/provider/libvirt/upload
expect 200 POST /api/v1/box/team/db/version/1.0.0/providers '{"provider": {"name": "libvirt"}}'
has 'a["architecture"] == "unknown" and a["default_architecture"] and a["hosted"] and a["download_url"] is None'
expect 422 PUT /api/v1/box/team/db/version/1.0.0/release
grep -q 'upload its box' "$TMP/body" || fail "a release without a box: $(cat "$TMP/body")"
expect 200 GET /api/v1/box/team/db/version/1.0.0/provider/libvirt/upload
url=$(member upload_path)
put "$TMP/v1.box" "${url/pass=1/pass=2}"
[ "$STATUS" = 401 ] || fail "another pass: $STATUS"
put "$TMP/v1.box" "${url/version\/1/version\/2}"
[ "$STATUS" = 401 ] || fail "another version by that pass: $STATUS"
STATUS=$(curl -s -o "$TMP/body" -w '%{http_code}' -X PUT -H 'Content-Length: 9223372036854775807' --data-binary box "$url" || true)
[ "$STATUS" = 413 ] || fail "a box of 2^63 bytes: $STATUS $(cat "$TMP/body")"
head -c 1000 "$TMP/v1.box" >"$TMP/half.box"
put "$TMP/half.box" "$url"
{ [ "$STATUS" = 422 ] && grep -q 'team/db 1.0.0' "$TMP/body"; } || fail "half a box: $STATUS $(cat "$TMP/body")"
# A request that breaks off leaves nothing, and is repeated.
{ printf 'PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 100000\r\n\r\n' "${url#"$at"}" "$REGISTRY"; head -c 50000 "$TMP/v1.box"; } | timeout 2 curl -s "telnet://$REGISTRY" >/dev/null || true
until_true eval "! ls '$TMP/registry/box-uploads/'* 2>/dev/null | grep -q ."
put "$TMP/v1.box" "$url"
[ "$STATUS" = 200 ] || fail "an upload: $STATUS $(cat "$TMP/body")"
put "$TMP/v1.box" "$url"
[ "$STATUS" = 422 ] || fail "an upload, once more: $STATUS"
catalogue
has 'a["versions"] == []'
expect 200 PUT /api/v1/box/team/db/version/1.0.0/release
has 'a["status"] == "active"'
box_catalogue "$at/team/db" -H "Authorization: Bearer $alice" >/dev/null
catalogue
has '[(v["version"], v["description_markdown"], [(p["name"], p["architecture"], p["default_architecture"]) for p in v["providers"]]) for v in a["versions"]] == [("1.0.0", "one", [("libvirt", "unknown", True)])]'
curl -sf -H "Authorization: Bearer $alice" -o "$TMP/got.box" "$(python3 -c 'import json,sys; print(json.load(sys.stdin)["versions"][0]["providers"][0]["url"])' <"$TMP/body")"
[ "$(sha256sum <"$TMP/got.box" | cut -d' ' -f1)" = "$(python3 -c 'import json,sys; print(json.load(sys.stdin)["versions"][0]["providers"][0]["checksum"])' <"$TMP/body")" ] || fail "the checksum is another"
same "$TMP/got.box" "$TMP/v1.raw"
expect 422 GET /api/v1/box/team/db/version/1.0.0/provider/libvirt/upload
# Not even between a revocation and the next release: the tag names the box all the while.
expect 200 PUT /api/v1/box/team/db/version/1.0.0/revoke
expect 422 GET /api/v1/box/team/db/version/1.0.0/provider/libvirt/upload
grep -q 'publish a new version' "$TMP/body" || fail "another box for what was revoked: $(cat "$TMP/body")"
expect 422 PUT /api/v1/box/team/db/version/1.0.0/provider/libvirt '{"provider": {"name": "libvirt", "url": "https://example.org/a.box"}}'
expect 200 PUT /api/v1/box/team/db/version/1.0.0/release
expect 403 DELETE /api/v1/box/team/db/version/1.0.0/provider/libvirt
curl -sf -H "Authorization: Bearer $alice" "$at/v2/team/db/tags/list" | grep -q '"tags":\["1.0.0"\]' || fail "tags: $(curl -s -H "Authorization: Bearer $alice" "$at/v2/team/db/tags/list")"
ok "a box that is uploaded is an image, and what is released stays"

# --- directly, version 2 of the API: two architectures, and a checksum ---
expect 200 POST /api/v2/box/team/db/versions '{"version": {"version": "2.0.0"}}'
providers=/api/v2/box/team/db/version/2.0.0/providers provider=/api/v2/box/team/db/version/2.0.0/provider
expect 200 POST $providers '{"provider": {"name": "docker", "architecture": "amd64"}}'
expect 422 GET $provider/docker/amd64/upload
expect 200 DELETE $provider/docker/amd64
expect 200 POST $providers '{"provider": {"name": "libvirt", "architecture": "amd64", "checksum_type": "sha256", "checksum": "'"$(sha256sum <"$TMP/v2.box" | cut -d' ' -f1)"'"}}'
expect 200 POST $providers '{"provider": {"name": "libvirt", "architecture": "i386"}}'
expect 200 GET $provider/libvirt/amd64/upload/direct
url=$(member upload_path) callback=$(member callback)
[[ $callback = "$at/api/v2/box/team/db/version/2.0.0/provider/libvirt/amd64/upload/direct/"* ]] || fail "callback: $callback"
expect 422 PUT "${callback#"$at"}"
put "$TMP/v1.box" "$url"
[ "$STATUS" = 200 ] || fail "a direct upload: $STATUS $(cat "$TMP/body")"
expect 422 PUT "${callback#"$at"}"
grep -q 'checksum' "$TMP/body" || fail "another box than was told: $(cat "$TMP/body")"
expect 422 PUT /api/v2/box/team/db/version/2.0.0/release
grep -q 'checksum' "$TMP/body" || fail "another box than was told: $(cat "$TMP/body")"
put "$TMP/v2.box" "$url"
[ "$STATUS" = 200 ] || fail "a direct upload: $STATUS $(cat "$TMP/body")"
expect 200 PUT "${callback#"$at"}"
has 'a["name"] == "libvirt" and a["architecture"] == "amd64" and a["download_url"]'
expect 422 PUT /api/v2/box/team/db/version/2.0.0/release
expect 200 GET $provider/libvirt/i386/upload/direct
url=$(member upload_path) callback=$(member callback)
put "$TMP/qemu.box" "$url" -H 'Transfer-Encoding: chunked'
expect 422 PUT "${callback#"$at"}"
grep -q 'it is for qemu' "$TMP/body" || fail "a box for another provider: $(cat "$TMP/body")"
put "$TMP/v1.box" "$url"
[ "$STATUS" = 200 ] || fail "a second architecture: $STATUS $(cat "$TMP/body")"
expect 200 PUT "${callback#"$at"}"
expect 200 PUT /api/v2/box/team/db/version/2.0.0/release
twice 'the word of root' | ingotd user add --data "$TMP/registry" --scope 'promote:team/*' --scope 'pull:team/*' root
curl -sf -X PUT -u 'root:the word of root' -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary @<(curl -sf -H "Authorization: Bearer $alice" -H 'Accept: application/vnd.oci.image.index.v1+json' "$at/v2/team/db/manifests/2.0.0") "$at/v2/team/db/manifests/prod" || fail "no channel"
expect 200 POST $providers '{"provider": {"name": "qemu", "architecture": "amd64"}}'
expect 200 GET $provider/qemu/amd64/upload
put "$TMP/qemu.box" "$(member upload_path)"
[ "$STATUS" = 200 ] || fail "a further provider: $STATUS $(cat "$TMP/body")"
released() { catalogue && python3 -c 'import json,sys; a = json.load(open(sys.argv[1])); sys.exit(sorted((p["name"], p["architecture"]) for p in a["versions"][0]["providers"]) != [("libvirt", "amd64"), ("libvirt", "i386"), ("qemu", "amd64")])' "$TMP/body"; }
until_true released
box_catalogue "$at/team/db" -H "Authorization: Bearer $alice" >"$TMP/body"
has '[v["version"] for v in a["versions"]] == ["2.0.0", "1.0.0"]'
python3 -c 'import json,sys; [print(p["name"], p["architecture"], p["url"]) for p in json.load(sys.stdin)["versions"][0]["providers"]]' <"$TMP/body" >"$TMP/urls"
box_catalogue "$at/vagrant/team/db@prod" -H "Authorization: Bearer $alice" >"$TMP/body"
has '[(v["version"], len(v["providers"])) for v in a["versions"]] == [("2.0.0", 2)]'
while read -r name architecture url; do
    curl -sf -H "Authorization: Bearer $alice" -o "$TMP/got.box" "$url"
    if [ "$name" = libvirt ]; then same "$TMP/got.box" "$TMP/v$([ "$architecture" = amd64 ] && echo 2 || echo 1).raw"; fi
done <"$TMP/urls"
curl -sf -H "Authorization: Bearer $alice" -H 'Accept: application/vnd.oci.image.index.v1+json' "$at/v2/team/db/manifests/2.0.0" >"$TMP/body"
has '[m["platform"]["architecture"] for m in a["manifests"]] == ["amd64", "i386", "amd64"]'
# A file of the version is that of the image for the architecture, amd64 unless it is said.
formats() { curl -s -o "$TMP/body" -w '%{http_code}' -H "Authorization: Bearer $alice" "$at/formats/team/db/2.0.0/$1"; }
[ "$(formats vagrant-libvirt/libvirt.box)" = 200 ] || fail "a file of an index: $(cat "$TMP/body")"
same "$TMP/body" "$TMP/v2.raw"
[ "$(formats 'vagrant-libvirt/libvirt.box?arch=i386')" = 200 ] || fail "a file for an architecture: $(cat "$TMP/body")"
same "$TMP/body" "$TMP/v1.raw"
[ "$(formats vagrant-qemu/qemu.box)" = 200 ] || fail "a file of a further image: $(cat "$TMP/body")"
{ [ "$(formats 'vagrant-libvirt/?arch=s390x')" = 404 ] && grep -q 's390x' "$TMP/body"; } || fail "an architecture that is not there: $(cat "$TMP/body")"
{ [ "$(formats vagrant-vmware/vmware_desktop.box)" = 404 ] && grep -q 'vagrant-vmware' "$TMP/body"; } || fail "a format that none is for: $(cat "$TMP/body")"
ok "direct uploads of several architectures become an index, to which a released version may get more"

# --- the real clients ---
publish() { VAGRANT_SERVER_URL=$at VAGRANT_CLOUD_TOKEN=$alice vagrant cloud publish --force "$@" >"$TMP/out" 2>&1; }
publish --release --no-direct-upload --version-description first --short-description "a site" team/site 1.0.0 libvirt "$TMP/v1.box" || fail "vagrant cloud publish: $(cat "$TMP/out")"
publish --release team/site 1.1.0 libvirt "$TMP/v2.box" || fail "vagrant cloud publish, directly: $(cat "$TMP/out")"
! publish --release team/site 1.2.0 libvirt "$TMP/half.box" || fail "half a box was published"
grep -q 'team/site 1.2.0' "$TMP/out" || fail "Vagrant does not say why: $(cat "$TMP/out")"
box_catalogue "$at/team/site" -H "Authorization: Bearer $alice" >"$TMP/body"
has '[(v["version"], v.get("description_markdown")) for v in a["versions"]] == [("1.1.0", None), ("1.0.0", "first")] and a["short_description"] == "a site"'
VAGRANT_SERVER_URL=$at VAGRANT_CLOUD_TOKEN=$alice vagrant box add --provider libvirt team/site >"$TMP/out" 2>&1 || fail "box add: $(cat "$TMP/out")"
qemu-img compare -q "$(find "$VAGRANT_HOME/boxes" -name box.img)" "$TMP/v2.raw" || fail "Vagrant has another disk"
ok "vagrant cloud publish, both ways, and what it published is added"

PATH=$PATH:/usr/sbin
if command -v packer >/dev/null; then
    cat >"$TMP/packer.json" <<JSON
{"builders": [{"type": "null", "communicator": "none"}],
 "post-processors": [[{"type": "artifice", "files": ["$TMP/packer.box"]},
  {"type": "vagrant-cloud", "vagrant_cloud_url": "$at/api/v1", "access_token": "$alice", "box_tag": "team/site", "version": "2.0.0", "version_description": "by Packer"}]]}
JSON
    gzip -c "$TMP/v2.box" >"$TMP/packer.box"
    PACKER_CONFIG_DIR=$TMP CHECKPOINT_DISABLE=1 PACKER_CACHE_DIR=$TMP/packer_cache packer build "$TMP/packer.json" >"$TMP/out" 2>&1 || fail "packer: $(cat "$TMP/out")"
    box_catalogue "$at/team/site" -H "Authorization: Bearer $alice" >"$TMP/body"
    has '[v["version"] for v in a["versions"]] == ["2.0.0", "1.1.0", "1.0.0"] and a["versions"][0]["description_markdown"] == "by Packer"'
    ok "Packer's post-processor vagrant-cloud uploads and releases a box"
fi

# --- a server that ends in the middle ---
AT_REST=$TMP/registry/box-uploads
expect 200 POST /api/v1/boxes '{"username": "team", "name": "late"}'
expect 200 POST /api/v1/box/team/late/versions '{"version": "1.0.0"}'
for provider in libvirt qemu; do
    expect 200 POST /api/v1/box/team/late/version/1.0.0/providers "{\"provider\": {\"name\": \"$provider\"}}"
    expect 200 GET /api/v1/box/team/late/version/1.0.0/provider/$provider/upload/direct
    eval "$provider=\$(member upload_path)"
done
# shellcheck disable=SC2154
put "$TMP/v2.box" "$libvirt"
# shellcheck disable=SC2154
put "$TMP/qemu.box" "$qemu"
kill -9 "$SERVER"
wait "$SERVER" 2>/dev/null || true
touch "$AT_REST/0123456789abcdef0123456789abcdef" "$AT_REST/00000000000000000000000000000000.part"
start_ingotd
at=http://$REGISTRY
expect 200 PUT /api/v1/box/team/late/version/1.0.0/release
has '[p["name"] for p in a["providers"]] == ["libvirt", "qemu"]'
[ -z "$(ls "$AT_REST")" ] || fail "files are left: $(ls "$AT_REST")"
curl -sf -H "Authorization: Bearer $alice" "$at/v2/team/late/tags/list" | grep -q '"tags":\["1.0.0"\]' || fail "tags: $(curl -s -H "Authorization: Bearer $alice" "$at/v2/team/late/tags/list")"
ok "what came before a server was killed is taken in by the next one, and released"
