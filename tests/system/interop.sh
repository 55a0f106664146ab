#!/bin/bash
# Registries and clients that are not ours: Debian's docker-registry, and skopeo between it and an OCI folder.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

start_docker_registry "$TMP/data"
registry=$docker
sent() { grep -o '"GET [^"]*blobs[^"]*" 20[06] [0-9]*' "$TMP/docker.log" | awk '{ s += $NF } END { print s + 0 }'; }

small_disk "$TMP/v1.raw"
cp --sparse=always "$TMP/v1.raw" "$TMP/v2.raw"
head -c 2000000 /dev/urandom >"$TMP/new"
echo "write $TMP/new new" | debugfs -w "$TMP/v2.raw" >/dev/null 2>&1
ingot pack -q "$TMP/v1.raw" web:1.0.0 >/dev/null
digest=$(ingot pack -q "$TMP/v2.raw" web:2.0.0)
ingot push -q web:1.0.0 "$registry/team/web" >/dev/null
[ "$(ingot push -q web:2.0.0 "$registry/team/web")" = "$digest" ] || fail "push tells another digest"
[ "$(ingot promote -q "$registry/team/web" 2.0.0 prod)" = "$digest" ] || fail "promote"
[ "$(ingot ls "$registry/team/web" | tr '\n' ' ')" = "1.0.0 2.0.0 prod " ] || fail "ls: $(ingot ls "$registry/team/web")"
ingot show "$registry/team/web:prod" | grep -q "$digest" || fail "show"
ok "push, promote, ls and show work with docker-registry"

ingot pull -q --store "$TMP/other" "$registry/team/web:1.0.0" >/dev/null
before=$(sent)
ingot pull -q --store "$TMP/other" "$registry/team/web:prod" -o "$TMP/back.raw" >/dev/null
cmp "$TMP/back.raw" "$TMP/v2.raw" || fail "the pulled disk differs"
bytes=$(($(sent) - before))
[ "$bytes" -gt 2000000 ] && [ "$bytes" -lt 4000000 ] || fail "$bytes bytes came for 2 MB that are new"
ok "a pull from docker-registry fetches only what is new ($bytes bytes)"

# What is attached comes along by the tag that the specification keeps for registries without the referrers API.
python3 - "$INGOT_STORE" "$digest" <<'PY'
import hashlib, json, os, sys
store, subject = sys.argv[1:]
def put(data):
    name = hashlib.sha256(data).hexdigest()
    open(os.path.join(store, "blobs", "sha256", name), "wb").write(data)
    return {"digest": "sha256:" + name, "size": len(data)}
report = put(b"<testsuite/>")
empty = put(b"{}")
size = os.path.getsize(os.path.join(store, "blobs", "sha256", subject[7:]))
kind = "application/vnd.oci.image.manifest.v1+json"
manifest = put(json.dumps({"schemaVersion": 2, "mediaType": kind, "artifactType": "application/vnd.ingot.test-report.v1+xml",
    "config": dict(empty, mediaType="application/vnd.oci.empty.v1+json"),
    "layers": [dict(report, mediaType="application/xml")],
    "subject": {"mediaType": kind, "digest": subject, "size": size}}).encode())
path = os.path.join(store, "index.json")
index = json.load(open(path))
index["manifests"].append(dict(manifest, mediaType=kind))
json.dump(index, open(path, "w"))
PY
ingot push -q web:2.0.0 "$registry/team/web" >/dev/null
ingot push -q web:2.0.0 "$registry/team/web" >/dev/null
curl -sf "http://$registry/v2/team/web/manifests/sha256-${digest#sha256:}" -H 'Accept: application/vnd.oci.image.index.v1+json' >"$TMP/index"
[ "$(grep -o test-report "$TMP/index" | wc -l)" = 1 ] || fail "the fallback tag: $(cat "$TMP/index")"
ingot pull -q --store "$TMP/fresh" "$registry/team/web:prod" >/dev/null
ingot show --store "$TMP/fresh" "$registry/team/web:prod" | grep -qiE "tests? " || fail "the report did not come along"
[ "$(ingot ls "$registry/team/web" | grep -c sha256)" = 0 ] || fail "ls shows the fallback tag"
ok "attachments go through a registry without the referrers API"

skopeo copy -q --src-tls-verify=false "docker://$registry/team/web:2.0.0" "oci:$TMP/folder:web" || fail "skopeo cannot pull"
skopeo copy -q --dest-tls-verify=false "oci:$TMP/folder:web" "docker://$registry/copy:2.0.0" || fail "skopeo cannot push"
[ "$(ingot pull -q --store "$TMP/copied" "$registry/copy:2.0.0")" = "$digest" ] || fail "skopeo's copy differs"
ok "skopeo moves images through an OCI folder"

disk=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["layers"][1]["digest"][7:])' "$INGOT_STORE/blobs/sha256/${digest#sha256:}")
flip "$TMP/data/docker/registry/v2/blobs/sha256/${disk:0:2}/$disk/data" 200000
expect 1 ingot pull --store "$TMP/damaged" "$registry/team/web:2.0.0" -o "$TMP/no.raw"
[ ! -e "$TMP/no.raw" ] || fail "a damaged disk was written"
[ ! -e "$TMP/damaged/blobs/sha256/$disk" ] || fail "a damaged disk is in the store"
ok "a damaged disk that a registry serves is refused"
