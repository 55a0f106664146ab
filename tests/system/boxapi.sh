#!/bin/bash
# Vagrant Cloud's API at the registry: a publisher's requests, page by page, in both versions of it, and those that are none of his.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/boxcalls.sh
. tests/system/boxcalls.sh

two_disks
ingot pack -q "$TMP/v1.raw" web:1.0.0 >/dev/null
start_ingotd
ingot push -q web:1.0.0 "$REGISTRY/team/web" >/dev/null
twice 'the word of alice' | ingotd user add --data "$TMP/registry" --scope 'push:team/*' --scope 'delete:team/*' alice
twice 'the word of bob' | ingotd user add --data "$TMP/registry" --scope 'pull:team/*' bob
alice=$(token --user alice --scope 'push:team/*' --scope 'delete:team/*')
pusher=$(token --user alice --scope 'push:team/*')
bob=$(token --user bob --scope 'pull:team/*')
at=http://$REGISTRY
kind=(-H 'Content-Type: application/json')

refused() {
    has 'a["success"] is False and len(a["errors"]) == 1'
    grep -qF -- "$1" "$TMP/body" || fail "no word of '$1': $(cat "$TMP/body")"
}

box_catalogue "$at/vagrant/team/web" -H "Authorization: Bearer $bob" >/dev/null

# --- reading what was pushed ---
for api in /api/v1 /api/v2 /vagrant /vagrant/api/v1 /vagrant/api/v2; do
    expect 200 GET $api/authenticate
    has 'a["user"]["username"] == "alice"'
    expect 200 GET $api/box/team/web
    has 'a["tag"] == "team/web" and a["username"] == "team" and a["name"] == "web" and a["current_version"]["version"] == "1.0.0"'
    has 'a["versions"][0]["release_url"].endswith("'$api'/box/team/web/version/1.0.0/release")'
    expect 200 GET $api/box/team/web/version/1.0.0
    has 'a["status"] == "active" and a["number"] == "1.0.0" and a["created_at"] and len(a["providers"]) == 4'
    expect 200 GET $api/box/team/web/version/1.0.0/provider/libvirt
    has 'a["hosted"] and a["architecture"] == "amd64" and a["default_architecture"] and a["checksum_type"] == "sha256" and a["created_at"]'
done
expect 200 GET /api/v2/box/team/web/version/1.0.0/provider/libvirt/amd64
url=$(python3 -c 'import json,sys; print(json.load(sys.stdin)["download_url"])' <"$TMP/body")
curl -sf -H "Authorization: Bearer $bob" -r 0-9 -o /dev/null "$url" || fail "no download: $url"
expect 404 GET /api/v2/box/team/web/version/1.0.0/provider/libvirt/arm64
expect 404 GET /api/v2/box/team/web/version/1.0.0/provider/hyperv
expect 404 GET /api/v2/box/team/web/version/2.0.0
refused "team/web has no version 2.0.0"
expect 404 GET /api/v1/box/team/none
expect 404 GET /api/v1/box/team/web/version/1.0.0/nonsense
expect 200 GET /api/v1/user/team
has '[b["tag"] for b in a["boxes"]] == ["team/web"]'
expect 200 GET /api/v1/user/nobody
has 'a["username"] == "nobody" and a["boxes"] == []'
ok "a box, its versions and providers have pages, in both versions of the API, and behind /vagrant"

# --- every way to show a token, and every form of the catalogue's address ---
status() { curl -s -o "$TMP/body" -w '%{http_code}' "$@"; }
for address in /vagrant/team/web /api/v2/vagrant/team/web /team/web; do
    [ "$(status "$at$address")" = 401 ] || fail "$address is everybody's"
    for way in "Authorization: Bearer $bob" "X-Atlas-Token: $bob" "Authorization: Bearer $bob;other.hcp.token" "Authorization: Bearer x;$bob"; do
        [ "$(status -H "$way" "$at$address")" = 200 ] || fail "$address by ${way%%:*}: $(cat "$TMP/body")"
        has 'a["name"] == "team/web" and [v["version"] for v in a["versions"]] == ["1.0.0"]'
    done
    [ "$(status "$at$address?access_token=$bob")" = 200 ] || fail "$address by access_token"
    url=$(python3 -c 'import json,sys; print(json.load(sys.stdin)["versions"][0]["providers"][0]["url"])' <"$TMP/body")
    [ "$(status -r 0-9 "$url")" = 206 ] || fail "a token in the URL of the catalogue opens no box: $url"
    [ "$(curl -s -I -o "$TMP/head" -w '%{http_code}' -H "Authorization: Bearer $bob" "$at$address")" = 200 ] || fail "HEAD $address"
    grep -qi '^content-type: application/json' "$TMP/head" || fail "HEAD $address: $(cat "$TMP/head")"
done
[ "$(status -H "X-Atlas-Token: nonsense" "$at/team/web")" = 401 ] || fail "any X-Atlas-Token will do"
[ "$(status "$at/v2/team/web/tags/list?access_token=$bob")" = 401 ] || fail "a token in the URL opens other doors"
[ "$(status -H "Authorization: Bearer $bob" "$at/Team/Web")" = 200 ] || fail "a box's name in another letter case"
[ "$(status -H "Authorization: Bearer $bob" "$at/team/web/more")" = 404 ] || fail "/team/web/more"
tag=$(curl -s -D - -o /dev/null -H "Authorization: Bearer $bob" "$at/team/web" | tr -d '\r' | sed -n 's/^[Ee][Tt]ag: //p')
[ "$(status -H "Authorization: Bearer $bob" -H "If-None-Match: $tag" "$at/team/web")" = 304 ] || fail "not 304 for $tag"
! grep -q "ingot_\|access_token" "$LOG" || fail "a token is in the log"
ok "a token comes by a header of either name, or in the URL; the catalogue is at each address that Vagrant 2.2 to 2.4 asks for"

# --- publishing what lies elsewhere ---
expect 422 POST /api/v1/boxes '{"box": {"name": "db"}}'
expect 200 POST /api/v1/boxes '{"username": "Team", "name": "Db", "short_description": "a database", "is_private": false}'
has 'a["tag"] == "Team/Db" and a["created_at"] and a["versions"] == []'
expect 422 POST /api/v2/boxes '{"box": {"username": "team", "name": "db"}}'
refused "already exists"
expect 200 PUT /api/v1/box/team/db '{"box": {"description": "**long**"}}'
has 'a["description_markdown"] == "**long**" and a["short_description"] == "a database"'
expect 422 PUT /api/v1/box/team/db '{"box": {"name": "other"}}'
for version in v1 latest 1.0.0_1 "$(printf '1%.0s' $(seq 70))"; do
    expect 422 POST /api/v2/box/team/db/versions "{\"version\": {\"version\": \"$version\"}}"
done
expect 200 POST /api/v2/box/team/db/versions '{"version": {"version": "2004.01", "description": "the first"}}'
has 'a["status"] == "unreleased" and a["description_markdown"] == "the first"'
expect 422 POST /api/v2/box/team/db/versions '{"version": {"version": "2004.01"}}'
expect 422 PUT /api/v2/box/team/db/version/2004.01/release
refused "has no provider"
providers=/api/v2/box/team/db/version/2004.01/providers
expect 422 POST $providers '{"provider": {"name": "No such!"}}'
expect 422 POST $providers '{"provider": {"name": "hyperv", "url": "file:///etc/passwd"}}'
expect 422 POST $providers '{"provider": {"name": "hyperv", "url": "https://example.org/a.box", "checksum": "12", "checksum_type": "sha256"}}'
sum=$(printf box | md5sum | cut -d' ' -f1)
expect 200 POST $providers '{"provider": {"name": "hyperv", "url": "https://example.org/a.box", "checksum": "'"${sum^^}"'", "checksum_type": "MD5", "architecture": "amd64"}}'
has 'a["hosted"] is False and a["original_url"] == "https://example.org/a.box" and a["default_architecture"] and a["created_at"]'
expect 422 POST $providers '{"provider": {"name": "hyperv", "url": "https://example.org/b.box", "architecture": "amd64"}}'
expect 200 POST $providers '{"provider": {"name": "hyperv", "url": "https://example.org/arm.box", "architecture": "arm64", "default_architecture": true}}'
expect 200 GET /api/v2/box/team/db/version/2004.01/provider/hyperv/amd64
has 'a["default_architecture"] is False'
[ "$(AS=$bob; call GET /api/v2/box/team/db/version/2004.01; echo "$STATUS")" = 404 ] || fail "what is not released is everybody's"
[ "$(status -H "Authorization: Bearer $bob" "$at/team/db")" = 200 ] || fail "a box without images has no catalogue"
has 'a["versions"] == []'
expect 200 PUT /api/v2/box/team/db/version/2004.01/release
has 'a["status"] == "active" and len(a["providers"]) == 2'
expect 422 PUT /api/v2/box/team/db/version/2004.01/release
refused "already been released"
[ "$(status -H "Authorization: Bearer $bob" "$at/Team/Db")" = 200 ] || fail "the catalogue"
has 'a["name"] == "Team/Db" and a["short_description"] == "a database" and a["versions"][0]["version"] == "2004.01"'
has '[(p["url"], p["architecture"], p["default_architecture"], p.get("checksum")) for p in a["versions"][0]["providers"]] == [("https://example.org/a.box", "amd64", False, "'"$sum"'"), ("https://example.org/arm.box", "arm64", True, None)]'
expect 200 PUT /api/v2/box/team/db/version/2004.01/revoke
[ "$(status -H "Authorization: Bearer $bob" "$at/team/db")" = 200 ] || fail "the catalogue"
has 'a["versions"] == []'
expect 200 PUT /api/v2/box/team/db/version/2004.01/release
expect 200 PUT /api/v1/box/team/web/version/1.0.0 '{"version": {"description": "of an image"}}'
has 'a["status"] == "active" and a["description_markdown"] == "of an image"'
expect 422 POST /api/v1/box/team/web/versions '{"version": {"version": "1.0.0"}}'
expect 422 PUT /api/v1/box/team/web/version/1.0.0/release
expect 200 PUT /api/v1/box/team/web/version/1.0.0/revoke
[ "$(status -H "Authorization: Bearer $bob" "$at/team/web")" = 200 ] || fail "the catalogue"
has 'a["versions"] == []'
expect 200 PUT /api/v1/box/team/web/version/1.0.0/release
has 'a["status"] == "active" and len(a["providers"]) == 4'
# A channel moves by promotion alone, and the first thing that it names comes to it so too.
twice 'the word of carol' | ingotd user add --data "$TMP/registry" --scope 'admin:*' carol
expect 200 POST /api/v2/box/team/web/versions '{"version": "24.10"}'
expect 200 POST /api/v2/box/team/web/version/24.10/providers '{"provider": {"name": "hyperv", "url": "https://example.org/b.box"}}'
printf 'pipelines:\n  team/web:\n    channels: [{name: "24.04"}, {name: "24.10"}]\n' >"$TMP/pipeline.yaml"
INGOT_TOKEN=$(token --user carol --scope 'admin:*') ingot pipeline apply "$REGISTRY" "$TMP/pipeline.yaml" >/dev/null
expect 422 POST /api/v2/box/team/web/versions '{"version": "24.04"}'
refused "24.04 is a channel"
expect 422 PUT /api/v2/box/team/web/version/24.10/release
refused "24.10 is a channel"
expect 200 DELETE /api/v2/box/team/web/version/24.10
ok "a publisher's box, version and providers elsewhere are told, released, revoked; what is wrong is named"

# --- a search ---
expect 200 GET '/api/v2/search?q=DATA'
has '[b["tag"] for b in a["boxes"]] == ["Team/Db"] and a["boxes"][0]["current_version"]["providers"][0]["name"] == "hyperv"'
expect 200 GET '/api/v2/search?provider=libvirt'
has '[b["tag"] for b in a["boxes"]] == ["team/web"]'
expect 200 GET '/api/v2/search?architecture=arm64'
has '[b["tag"] for b in a["boxes"]] == ["Team/Db"]'
expect 200 GET '/api/v2/search?limit=1&page=2&sort=created&order=asc'
has 'len(a["boxes"]) == 1'
expect 200 GET '/api/v2/search?limit=100&page=4294967'
has 'a["boxes"] == []'
for wrong in limit=0 limit=101 limit=x page=0 page=-1 sort=size order=up; do
    expect 422 GET "/api/v2/search?$wrong"
done
[ "$(status "$at/api/v1/search")" = 401 ] || fail "a search without a login"
ok "boxes are found by words, provider and architecture"

# --- who may what ---
AS=$bob
for change in "POST /api/v1/box/team/web/versions" "PUT /api/v1/box/team/web" "DELETE /api/v1/box/team/web" "PUT /api/v2/box/team/db/version/2004.01/revoke" "POST /api/v1/boxes"; do
    # shellcheck disable=SC2086
    expect 403 $change '{"username": "team", "name": "new", "version": "9.0.0"}'
done
AS=$pusher
expect 403 DELETE /api/v2/box/team/db/version/2004.01
expect 200 POST /api/v2/box/team/db/versions '{"version": "2.0.0"}'
expect 200 DELETE /api/v2/box/team/db/version/2.0.0
# A version that was begun here, and is pushed by other means: its tag goes by the right that any tag goes by.
expect 200 POST /api/v2/box/team/web/versions '{"version": "3.0.0"}'
manifest=application/vnd.oci.image.manifest.v1+json
curl -sf -H "Authorization: Bearer $pusher" -H "Accept: $manifest" -o "$TMP/manifest" "$at/v2/team/web/manifests/1.0.0"
curl -sf -X PUT -H "Authorization: Bearer $pusher" -H "Content-Type: $manifest" --data-binary "@$TMP/manifest" "$at/v2/team/web/manifests/3.0.0"
expect 403 DELETE /api/v2/box/team/web/version/3.0.0
expect 403 POST /api/v1/boxes '{"username": "other", "name": "box"}'
AS=$alice
expect 200 DELETE /api/v2/box/team/web/version/3.0.0
expect 200 DELETE /api/v2/box/team/db/version/2004.01
expect 404 GET /api/v2/box/team/db/version/2004.01
expect 200 DELETE /api/v2/box/team/db
expect 404 GET /api/v2/box/team/db
expect 401 POST /api/v1/authenticate '{"user": {"login": "alice", "password": "the word of alice"}}'
refused "ingotd token create"
spare=$(token --user alice --scope 'pull:team/*')
AS=$spare
expect 204 DELETE /api/v1/authenticate
expect 401 GET /api/v1/authenticate
AS=$alice
for odd in '{' '[]' '7' '{"version": {"version": 7}}' "$(printf '[%.0s' $(seq 3000))"; do
    call POST /api/v1/box/team/web/versions "$odd"
    [ "$STATUS" = 422 ] || fail "$odd: $STATUS"
done
head -c 300000 /dev/zero | tr '\0' x >"$TMP/long"
[ "$(status -X POST -H "Authorization: Bearer $alice" --data-binary "@$TMP/long" "$at/api/v1/boxes")" = 413 ] || fail "a long body: $(cat "$TMP/body")"
for odd in /api/v1/box/ /api/v1/box//version/1 /api/v1/box/team/web/version/ "/api/v1/box/team/web/version/1.0.0/provider/a%20b" /api/v2/box/..%2f..%2fetc; do
    call GET "$odd"
    [[ $STATUS = 4?? ]] || fail "$odd: $STATUS"
done
expect 200 GET /api/v1/authenticate
ok "who may pull reads, who may push publishes, who may delete removes; a token ends when its user says so"

# --- nothing is computed on a GET ---
kill "$SERVER"
wait "$SERVER" || true
start_ingotd
at=http://$REGISTRY
opened() { find "/proc/$SERVER/fd" -lname "*/packs/*" | wc -l; }
before=$(opened)
[ "$(status -H "Authorization: Bearer $bob" "$at/team/web")" = 200 ] || fail "the catalogue"
has 'all(p["checksum"] for v in a["versions"] for p in v["providers"])'
[ "$(opened)" = "$before" ] || fail "an image was read for a catalogue: $(find "/proc/$SERVER/fd" -lname '*/packs/*')"
[ "$(status -H "Authorization: Bearer $bob" "$at/formats/team/web/1.0.0/vagrant-libvirt/libvirt.box")" = 200 ] || fail "a box"
[ "$(opened)" -gt "$before" ] || fail "reading a box opens no pack: this test sees nothing"
ok "a catalogue is made of what is kept, and no image is read for it"

# What a name says of itself has its bound: everybody who asks for its catalogue reads it.
python3 - "$at" "$alice" <<'PY'
import json, sys, urllib.error, urllib.request
at, token = sys.argv[1:]
def post(path, body):
    request = urllib.request.Request(at + path, json.dumps(body).encode(), {"Authorization": "Bearer " + token, "Content-Type": "application/json"})
    try:
        return urllib.request.urlopen(request).status, b""
    except urllib.error.HTTPError as error:
        return error.code, error.read()
status, body = post("/api/v2/boxes", {"box": {"username": "team", "name": "long"}})
assert status == 200, (status, body)
answers = [post("/api/v2/box/team/long/versions", {"version": {"version": f"{n}.0.0", "description": "x" * 250000}}) for n in range(1, 19)]
assert [status for status, _ in answers[:16]] == [200] * 16, answers
assert answers[-1][0] == 413 and b"descriptions" in answers[-1][1], answers[-1]
status, body = post("/api/v2/box/team/long/version/1.0.0/providers", {"provider": {"name": "libvirt", "url": "https://boxes.example/" + "x" * 20000}})
assert status == 413, (status, body)
PY
ok "descriptions of a name have their bound, and so has what is said of a provider"
