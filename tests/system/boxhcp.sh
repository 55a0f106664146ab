#!/bin/bash
# HCP's API of 2022-09-30 at the registry: a token for a client's credentials, and then what Packer's post-processor vagrant-registry asks, in its order.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/boxcalls.sh
. tests/system/boxcalls.sh

two_disks
for v in 1 2; do
    ingot pack -q "$TMP/v$v.raw" "db:$v.0.0" >/dev/null
    ingot export -q "db:$v.0.0" -F vagrant-libvirt -o "$TMP/v$v.box"
done
start_ingotd
twice 'the word of alice' | ingotd user add --data "$TMP/registry" --scope 'push:team/*' --scope 'delete:team/*' alice
twice 'the word of bob' | ingotd user add --data "$TMP/registry" --scope 'pull:team/*' bob
secret=$(token --user alice --scope 'push:team/*')
at=http://$REGISTRY
hcp=/vagrant/2022-09-30/registry/team
kind=(-H 'Content-Type: application/json')

member() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$TMP/body" "$1"; }
# credentials USER:SECRET [CURL-ARGUMENT...]: asks for a token as Go's and Ruby's OAuth 2 do.
credentials() { STATUS=$(curl -s -D "$TMP/head" -o "$TMP/body" -w '%{http_code}' -u "$1" -d grant_type=client_credentials "${@:2}" "$at/oauth2/token"); }
# put FILE URL: as clients do, without a login.
put() { STATUS=$(curl -s -o "$TMP/body" -w '%{http_code}' -X PUT --data-binary "@$1" "$2"); }
refused() {
    has "a['code'] == $1 and a['details'] == []"
    grep -qF -- "$2" "$TMP/body" || fail "no word of '$2': $(cat "$TMP/body")"
}

# --- a token ---
credentials "alice:$secret" -d audience=https://api.hashicorp.cloud
[ "$STATUS" = 200 ] || fail "no token: $STATUS $(cat "$TMP/body")"
has 'a["token_type"] == "Bearer" and a["expires_in"] == 3600'
grep -qi '^cache-control: no-store' "$TMP/head" || fail "a cache may keep a token: $(cat "$TMP/head")"
alice=$(member access_token)
credentials "alice:${secret%?}x"
[ "$STATUS" = 401 ] || fail "another secret: $STATUS"
credentials "bob:$secret"
[ "$STATUS" = 401 ] || fail "another's secret: $STATUS"
credentials "alice:$secret" -d grant_type=password
[ "$STATUS" = 400 ] || fail "another grant: $STATUS"
has 'a["error"] == "unsupported_grant_type"'
STATUS=$(curl -s -o "$TMP/body" -w '%{http_code}' -d grant_type=client_credentials -d client_id=alice "$at/oauth2/token")
[ "$STATUS" = 401 ] || fail "no secret: $STATUS"
has 'a["error"] == "invalid_client"'
STATUS=$(curl -s -o "$TMP/body" -w '%{http_code}' -H "Authorization: Bearer $alice" -d grant_type=client_credentials "$at/oauth2/token")
[ "$STATUS" = 401 ] || fail "an access token gets another one, without an end: $STATUS"
credentials 'bob:the word of bob'
[ "$STATUS" = 200 ] || fail "by a password: $STATUS"
bob=$(member access_token)
# Vagrant 2.4.3 and later ask for one by HCP_AUTH_URL, and go on by Vagrant Cloud's API.
expect 200 GET /api/v2/authenticate
has 'a["user"]["username"] == "alice"'
ok "a client's id and secret get a token that ends, for all that they may"

# --- a box by direct upload, as Packer does ---
expect 404 GET $hcp/box/db
refused 5 'no such box'
expect 200 POST $hcp/boxes '{"name": "Db", "description": "**long**", "state": null, "versions": null}'
has 'a["box"]["name"] == "Db" and a["box"]["state"] == "NO_VERSIONS" and a["operation"]["state"] == "DONE"'
wait=$(python3 -c 'import json,sys; o = json.load(sys.stdin)["operation"]; print("/operation/2020-05-05/organizations/%s/projects/%s/operations/%s/wait?timeout=60s" % (o["location"]["organization_id"], o["location"]["project_id"], o["id"]))' <"$TMP/body")
expect 200 GET "$wait"
has 'a["operation"]["state"] == "DONE" and a["operation"]["id"]'
expect 404 GET "${wait/created/removed}"
expect 404 GET "${wait/\/projects\//\/project\/}"
AS='' expect 401 GET "$wait"
expect 409 POST $hcp/boxes '{"name": "db"}'
refused 6 'already exists'
expect 404 GET $hcp/box/db/version/0.5
expect 200 POST $hcp/box/db/versions '{"name": "0.5", "description": "half", "providers": null}'
has 'a["version"]["name"] == "0.5" and a["version"]["state"] == "UNRELEASED" and a["version"]["description"] == "half"'
expect 409 POST $hcp/box/db/versions '{"name": "0.5"}'
version=$hcp/box/db/version/0.5
expect 404 GET $version/provider/libvirt
expect 200 POST $version/providers '{"name": "libvirt", "architectures": null}'
has 'a["provider"]["name"] == "libvirt" and a["provider"]["architectures"] == []'
expect 409 POST $version/providers '{"name": "libvirt"}'
expect 422 POST $version/providers '{"name": "No such!"}'
refused 3 'No such!'
expect 200 GET $version/provider/libvirt
has 'a["provider"]["summary"]["architectures_count"] == "0"'
expect 422 PUT $version/release
at_amd64=$version/provider/libvirt/architecture/amd64
expect 404 GET $at_amd64
expect 404 GET $at_amd64/direct/upload
sum=$(sha256sum <"$TMP/v1.box" | cut -d' ' -f1)
expect 200 POST $version/provider/libvirt/architectures '{"architecture_type": "amd64", "default": true, "box_data": {"checksum_type": "SHA256", "checksum": "'"$sum"'"}}'
has 'a["architecture"]["architecture_type"] == "amd64" and a["architecture"]["default"] and "download_url" not in a["architecture"]["box_data"]'
expect 409 POST $version/provider/libvirt/architectures '{"architecture_type": "amd64", "box_data": {"checksum_type": "NONE"}}'
expect 404 GET $at_amd64/download
expect 200 GET $at_amd64/direct/upload
url=$(member url) object=$(member object) callback=$(member callback)
[ "$callback" = "$at$at_amd64/direct/complete/$object" ] || fail "callback: $callback"
expect 422 PUT "$at_amd64/direct/complete/$object"
refused 3 'the box has not come'
head -c 1000 "$TMP/v1.box" >"$TMP/half.box"
put "$TMP/half.box" "$url"
expect 422 PUT "$at_amd64/direct/complete/$object"
refused 3 checksum
# A server that is killed while the box comes: what there was is not taken, and the same URL takes the whole.
curl -s -o "$TMP/slow" --limit-rate 10k -X PUT -T "$TMP/v1.box" "$url" &
half=$!
until_true eval "ls '$TMP/registry/box-uploads/'*.part 2>/dev/null | grep -q ."
before=$REGISTRY
kill -9 "$SERVER"
wait "$SERVER" 2>/dev/null || true
wait "$half" || true
start_ingotd
at=http://$REGISTRY
expect 422 PUT "$at_amd64/direct/complete/$object"
put "$TMP/v1.box" "${url/"$before"/"$REGISTRY"}"
[ "$STATUS" = 200 ] || fail "an upload: $STATUS $(cat "$TMP/body")"
expect 404 PUT "$at_amd64/direct/complete/0123456789abcdef0123456789abcdef"
expect 200 PUT "$at_amd64/direct/complete/$object"
has 'a == {}'
[ "$(AS=$bob; call GET $version; echo "$STATUS")" = 404 ] || fail "what is not released is everybody's"
# What was read is put back, with the URL and the checksum that the server has told.
expect 200 GET $at_amd64
has 'a["architecture"]["box_data"]["download_url"]'
expect 200 PUT $at_amd64 "$(python3 -c 'import json, sys; print(json.dumps(json.load(open(sys.argv[1]))["architecture"]))' "$TMP/body")"
expect 200 PUT $version/release
has 'a == {}'
expect 422 PUT $version/release
refused 3 'already been released'
expect 200 GET $version
has 'a["version"]["state"] == "ACTIVE" and a["version"]["summary"] == {"providers_count": "1", "provider_names": ["libvirt"]}'
expect 200 GET $at_amd64
has 'a["architecture"]["box_data"]["checksum_type"] == "SHA256" and a["architecture"]["box_data"]["download_url"].endswith("/libvirt.box")'
AS=$bob expect 200 GET $at_amd64/download
curl -sf -o "$TMP/got.box" "$(member url)" || fail "no download by the pass of its URL"
[ "$(sha256sum <"$TMP/got.box" | cut -d' ' -f1)" = "$(member checksum)" ] || fail "the checksum is another"
tar -xf "$TMP/got.box" -C "$TMP" box.img
qemu-img compare -q "$TMP/box.img" "$TMP/v1.raw" || fail "another disk"
box_catalogue "$at/team/db" -H "Authorization: Bearer $secret" >"$TMP/body"
has 'a["name"] == "Db" or a["name"] == "team/Db" or a["name"] == "team/db"'
has '[(v["version"], [(p["name"], p["architecture"], p["default_architecture"]) for p in v["providers"]]) for v in a["versions"]] == [("0.5", [("libvirt", "amd64", True)])]'
expect 422 GET $at_amd64/direct/upload
ok "box, version, provider and architecture are created, and a box is uploaded directly, across the end of a server, and released"

# --- by PUT, and what lies elsewhere ---
expect 200 POST $hcp/box/db/versions '{"name": "0.6"}'
version=$hcp/box/db/version/0.6
expect 200 POST $version/providers '{"name": "libvirt"}'
expect 200 POST $version/providers '{"name": "hyperv"}'
expect 200 POST $version/provider/libvirt/architectures '{"architecture_type": "amd64", "box_data": {"checksum_type": "NONE"}}'
expect 200 PUT $version/provider/libvirt/architecture/amd64 '{"box_data": {"checksum_type": "NONE"}}'
expect 422 PUT $version/provider/libvirt/architecture/amd64 '{"architecture_type": "arm64"}'
expect 200 POST $version/provider/hyperv/architectures '{"architecture_type": "amd64", "box_data": {"download_url": "https://example.org/a.box", "checksum_type": "SHA1", "checksum": "'"$(printf box | sha1sum | cut -d' ' -f1)"'"}}'
expect 200 POST $version/provider/hyperv/architectures '{"architecture_type": "arm64", "default": true, "box_data": {"download_url": "https://example.org/arm.box"}}'
expect 200 GET $version/provider/hyperv/architectures
has '[(x["architecture_type"], x["default"], x["box_data"]["checksum_type"]) for x in a["architectures"]] == [("amd64", False, "SHA1"), ("arm64", True, "NONE")]'
expect 200 GET $version/provider/hyperv/architecture/arm64/download
has 'a == {"url": "https://example.org/arm.box", "checksum_type": "NONE"}'
expect 200 GET $version/provider/libvirt/architecture/amd64/upload
has 'list(a) == ["url"]'
url=$(member url)
put "$TMP/half.box" "$url"
[ "$STATUS" = 422 ] || fail "half a box: $STATUS"
put "$TMP/v2.box" "${url/pass=1/pass=2}"
[ "$STATUS" = 401 ] || fail "another pass: $STATUS"
put "$TMP/v2.box" "$url"
[ "$STATUS" = 200 ] || fail "an upload: $STATUS $(cat "$TMP/body")"
expect 200 PUT $version/release
expect 200 PUT $version/revoke
expect 200 GET $version
has 'a["version"]["state"] == "REVOKED"'
expect 200 PUT $version/release
expect 200 PUT $version '{"name": "0.6", "description": "the next"}'
has 'a["version"]["description"] == "the next"'
expect 422 PUT $version '{"name": "0.7"}'
expect 200 PUT $hcp/box/db '{"short_description": "a database"}'
has 'a["box"]["short_description"] == "a database" and a["box"]["description"] == "**long**" and a["box"]["state"] == "AVAILABLE"'
has 'a["box"]["summary"]["versions_count"] == "2" and sorted(a["box"]["summary"]["provider_names"]) == ["hyperv", "libvirt"]'
expect 200 GET $hcp/box/db/versions?pagination.page_size=1
has '[v["name"] for v in a["versions"]] == ["0.6"] and a["pagination"] == {"next_page_token": "1", "previous_page_token": ""}'
expect 200 GET "$hcp/box/db/versions?pagination.page_size=1&pagination.next_page_token=1"
has '[v["name"] for v in a["versions"]] == ["0.5"] and a["pagination"] == {"next_page_token": "", "previous_page_token": "0"}'
expect 400 GET $hcp/box/db/versions?pagination.page_size=some
AS=$bob expect 200 GET $hcp/boxes
has '[(b["name"], b["state"]) for b in a["boxes"]] == [("Db", "AVAILABLE")] and a["pagination"]["next_page_token"] == ""'
ok "a box comes by PUT, others lie elsewhere; a version is revoked and released again; lists have pages"

# --- who may what, and what goes ---
for change in "POST $hcp/boxes" "POST $hcp/box/db/versions" "PUT $hcp/box/db" "DELETE $hcp/box/db" "PUT $version/revoke"; do
    # shellcheck disable=SC2086
    AS=$bob expect 403 $change '{"name": "9.0.0"}'
    refused 7 'you may not'
    # shellcheck disable=SC2086
    AS='' expect 401 $change '{"name": "9.0.0"}'
done
for way in upload direct/upload; do
    AS=$bob expect 403 GET $version/provider/libvirt/architecture/amd64/$way
done
expect 403 DELETE $version
expect 403 POST /vagrant/2022-09-30/registry/other/boxes '{"name": "db"}'
for odd in "GET $hcp" "GET $hcp/box/db/nonsense" "GET $version/provider/libvirt/architecture" "GET $version/provider/libvirt/architecture/amd64/direct" "POST $hcp/box/db/extra/versions"; do
    # shellcheck disable=SC2086
    expect 404 $odd
    refused 5 'no such endpoint'
done
expect 405 POST $version/release
expect 405 GET $version/release
expect 422 POST $hcp/box/db/versions '[]'
expect 422 POST $hcp/boxes '{"name": 7}'
expect 200 POST $hcp/box/db/versions '{"name": "0.7"}'
version=$hcp/box/db/version/0.7
expect 200 POST $version/providers '{"name": "qemu"}'
expect 200 POST $version/provider/qemu/architectures '{"architecture_type": "amd64"}'
expect 200 DELETE $version/provider/qemu/architecture/amd64
expect 200 GET $version/provider/qemu
has 'a["provider"]["architectures"] == []'
expect 200 PUT $version/provider/qemu '{"name": "qemu"}'
expect 422 PUT $version/provider/qemu '{"name": "other"}'
expect 200 POST $version/provider/qemu/architectures '{"architecture_type": "arm64"}'
expect 200 DELETE $version/provider/qemu
expect 404 GET $version/provider/qemu
expect 404 DELETE $version/provider/qemu
expect 200 GET $version
has 'a["version"]["providers"] == []'
expect 200 DELETE $version
has 'a == {}'
expect 403 DELETE $hcp/box/db/version/0.5/provider/libvirt
credentials 'alice:the word of alice'
all=$(member access_token)
AS=$all expect 422 DELETE $hcp/box/db/version/0.5/provider/libvirt
refused 3 'stays as it is'
AS=$all expect 422 DELETE $hcp/box/db/version/0.5/provider/libvirt/architecture/amd64
AS=$all expect 200 DELETE $hcp/box/db/version/0.6
AS=$all expect 200 DELETE $hcp/box/db
has 'a["operation"]["state"] == "DONE"'
expect 404 GET $hcp/box/db
expect 200 GET "${wait/created/removed}"
expect 404 GET "$wait"
# The token goes with the secret that it was given for.
expect 204 DELETE /api/v1/authenticate
AS=$secret expect 401 GET /api/v1/authenticate
expect 401 GET $hcp/boxes
AS=$all expect 200 GET $hcp/boxes
! grep -q "ingot_\|pass=" "$LOG" || fail "a secret is in the log"
ok "who may pull reads, who may push publishes, who may delete removes; a token ends with its secret"
