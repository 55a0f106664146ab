#!/bin/bash
# What is attached to an image goes along byte for byte, between ingotd, docker-registry and a store; what can't be had is told,
# noted, and had later; what is damaged is healed, or goes with its image.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
attached() { python3 tests/system/attached.py "$@" || fail "$(printf '%s ' "$@")"; }
start_ingotd
start_docker_registry "$TMP/docker"
head -c 300000 /dev/urandom >"$TMP/web.raw"
truncate -s 1M "$TMP/web.raw"
image=$(ingot pack -q "$TMP/web.raw" web:1.0.0)

# To where they were made, over a store, to the other kind of registry, and back to the first.
for from in "$REGISTRY" "$docker"; do
    to=$docker
    [ "$from" = "$REGISTRY" ] || to=$REGISTRY
    name=from-${from#*:}
    ingot push -q web:1.0.0 "$from/$name" >/dev/null
    attached put "$from" "$name" "$image" "$TMP/$name.json"
    attached check "$from" "$name" "$TMP/$name.json"
    ingot pull -q --store "$TMP/$name" "$from/$name:1.0.0" >/dev/null 2>"$TMP/err"
    [ ! -s "$TMP/err" ] || fail "the pull says: $(cat "$TMP/err")"
    ingot push -q --store "$TMP/$name" "$from/$name:1.0.0" "$to/$name:1.0.0" >/dev/null 2>"$TMP/err"
    [ ! -s "$TMP/err" ] || fail "the push says: $(cat "$TMP/err")"
    attached check "$to" "$name" "$TMP/$name.json"
    ingot pull -q --store "$TMP/$name.again" "$to/$name:1.0.0" >/dev/null
    ingot push -q --store "$TMP/$name.again" "$to/$name:1.0.0" "$from/$name.back:1.0.0" >/dev/null
    attached check "$from" "$name.back" "$TMP/$name.json"
    [ "$(ingot ls "$to/$name")" = 1.0.0 ] || fail "ls shows what is attached: $(ingot ls "$to/$name")"
done
ok "what others have attached goes from registry to registry as it is"

# The store's own goes by the same path.
start_upstream "$REGISTRY"
store=$TMP/from-${REGISTRY#*:}
export INGOT_STORE=$store
name=$REGISTRY/from-${REGISTRY#*:}
count() { find "$store/blobs" -type f | wc -l; }
before=$(count)
: >"$TMP/ingotd.log"
ingot pull -q "$name:1.0.0" >/dev/null
[ "$(count)" = "$before" ] || fail "a second pull brings something else"
! grep 'GET .*/blobs/' "$TMP/ingotd.log" || fail "a second pull fetches what is there"
ingot gc 2>"$TMP/err"
[ "$(count)" = "$before" ] || fail "gc takes what is attached: $(cat "$TMP/err")"
ingot fsck || fail "fsck of what was pulled"
[ "$(ingot images --json | grep -c digest)" = 1 ] || fail "what is attached is listed as an image: $(ingot images)"
skopeo inspect --raw "oci:$store:$name:1.0.0" | sha256sum | grep -q "${image#sha256:}" || fail "skopeo does not read the store"
ok "what is attached lies in the store once, and stays"

# Damage of any blob of it: told, healed by fsck and by a pull; the image can be removed all the same.
blob_of() { python3 -c 'import json, sys; print(next(d for k, d, b in json.load(open(sys.argv[1])) if k == sys.argv[2])[7:])' "$store.json" "$1"; }
for kind in signature index "cosign's .sig" "signature of the packages"; do
    blob=$store/blobs/sha256/$(blob_of "$kind")
    cp "$blob" "$TMP/kept"
    echo x >"$blob"
    expect 1 ingot fsck
    grep -q "^attached to $name:1.0.0: .*damaged" "$TMP/out" || fail "fsck of the $kind: $(cat "$TMP/out")"
    ingot -q show "$name:1.0.0" >/dev/null 2>&1 || fail "an image can't be shown since the $kind is damaged"
    expect 0 ingot fsck --repair
    cmp "$blob" "$TMP/kept" || fail "fsck does not heal the $kind"
    rm "$blob"
    ingot pull -q "$name:1.0.0" >/dev/null
    cmp "$blob" "$TMP/kept" || fail "a pull does not heal the $kind"
    echo x >"$blob"
done
expect 0 ingot gc
expect 0 ingot rm "$name:1.0.0"
expect 0 ingot gc
[ "$(count)" = 0 ] && [ "$(grep -c digest "$store/index.json")" = 0 ] || fail "damaged attachments stay: $(cat "$store/index.json")"
ok "damaged attachments are told and healed, and go with their image"

# What can't be had: deleted, too large, refused. The image comes; a push says what it lacks; a later pull has it.
list=$store.json
gone=$(blob_of packages)
printf '%s\n' "/manifests/sha256:$gone status 404 60" >"$TMP/rules"
expect 0 ingot pull -q "$upstream/${name#*/}:1.0.0"
grep -q "not all that is attached came along: .*@sha256:$gone: not found" "$TMP/err" || fail "the pull says: $(cat "$TMP/err")"
expect 0 ingot push -q "$upstream/${name#*/}:1.0.0" "$REGISTRY/lacking:1.0.0"
grep -q "1 of what was attached .* did not come along when it was pulled.*$gone" "$TMP/err" || fail "the push says: $(cat "$TMP/err")"
! python3 tests/system/attached.py check "$REGISTRY" lacking "$list" 2>/dev/null || fail "it was there all the time"
: >"$TMP/rules"
expect 0 ingot pull -q "$upstream/${name#*/}:1.0.0"
[ ! -s "$TMP/err" ] || fail "the pull says: $(cat "$TMP/err")"
expect 0 ingot push -q "$upstream/${name#*/}:1.0.0" "$REGISTRY/lacking:1.0.0"
[ ! -s "$TMP/err" ] || fail "the push says: $(cat "$TMP/err")"
attached check "$REGISTRY" lacking "$list"
ok "what could not be had is told, noted, and had later"

# attach FILE [TIMES [NAME [LETTERS]]]: attaches a file to the image of `bounds`, or NAME, so many times; as a type of so many letters.
attach() {
    python3 - "$REGISTRY" "${3:-bounds}" "$image" "$1" "${2:-1}" "${4:-5}" <<'PY'
import hashlib, json, sys, urllib.request
host, name, image, path, times, letters = sys.argv[1:]
kind = "application/vnd.oci.image.manifest.v1+json"
def call(method, path, data, media="application/octet-stream"):
    return urllib.request.urlopen(urllib.request.Request("http://%s/v2/%s/%s" % (host, name, path), data, {"Content-Type": media}, method=method))
def put(data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    call("POST", "blobs/uploads/?digest=" + digest, data)
    return {"mediaType": "text/plain", "digest": digest, "size": len(data)}
layer, empty = put(open(path, "rb").read()), put(b"{}")
for n in range(int(times)):
    data = json.dumps({"schemaVersion": 2, "mediaType": kind, "artifactType": "text/" + int(letters) * "x", "config": empty, "layers": [layer],
        "subject": {"mediaType": kind, "digest": image, "size": 1}, "annotations": {"n": str(n)}}).encode()
    call("PUT", "manifests/sha256:" + hashlib.sha256(data).hexdigest(), data, kind)
PY
}
ingot push -q --store "$TMP/store" web:1.0.0 "$REGISTRY/bounds" >/dev/null
truncate -s 65M "$TMP/large"
attach "$TMP/large"
expect 0 ingot pull -q "$REGISTRY/bounds:1.0.0"
grep -q 'not all that is attached came along: .*more than such a blob has' "$TMP/err" || fail "a large one: $(cat "$TMP/err")"
[ "$(find "$store/blobs" -size +60M | wc -l)" = 0 ] || fail "a large one was taken"
echo small >"$TMP/small"
attach "$TMP/small" 300
expect 0 ingot pull -q "$REGISTRY/bounds:1.0.0"
[ "$(wc -l <"$TMP/err")" = 1 ] || fail "many: $(cat "$TMP/err")"
[ "$(grep -c 'vnd.ingot.subject.*'"$image" "$store/index.json")" -gt 200 ] || fail "few of many came along"
[ "$(grep -c 'vnd.ingot.subject.*'"$image" "$store/index.json")" -lt 300 ] || fail "all of many came along"
ingot show --pull=always "$REGISTRY/bounds:1.0.0" >/dev/null 2>"$TMP/err"
grep -q 'of 301 attachments, the first 100 are read' "$TMP/err" || fail "show tells nothing of the rest: $(cat "$TMP/err")"
ok "what is attached is bounded"

# Signatures that the destination has under cosign's tag stay.
ingot push -q --store "$TMP/store" web:1.0.0 "$REGISTRY/signed" >/dev/null
head -c 10 /dev/urandom >"$TMP/other"
tag=${image/:/-}.sig
curl -sf "http://$REGISTRY/v2/lacking/manifests/1.0.0" -H 'Accept: */*' >"$TMP/manifest"
curl -sf "http://$REGISTRY/v2/lacking/manifests/$tag" -H 'Accept: */*' >"$TMP/signature"
curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$TMP/manifest" "http://$REGISTRY/v2/signed/manifests/$tag"
expect 0 ingot push -q "$upstream/${name#*/}:1.0.0" "$REGISTRY/signed:1.0.0"
grep -q "$tag: the registry has another one under this tag, which stays" "$TMP/err" || fail "the push says: $(cat "$TMP/err")"
curl -sf "http://$REGISTRY/v2/signed/manifests/$tag" -H 'Accept: */*' | cmp - "$TMP/manifest" || fail "a signature was replaced"
ok "what a destination has under cosign's tags stays"

# tag_beside NAME ENDING FILE: puts a manifest under one of cosign's tags.
tag_beside() {
    curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$3" "http://$REGISTRY/v2/$1/manifests/${image/:/-}.$2" ||
        fail "the registry does not take $1's .$2"
}
beside() { grep -o '"vnd.ingot.tag-beside"' "$INGOT_STORE/index.json" | wc -l; }

# An image under cosign's own tags is none of its attachments. A store that has it so sends it once.
export INGOT_STORE=$TMP/itself
ingot push -q --store "$TMP/store" web:1.0.0 "$REGISTRY/itself" >/dev/null
for ending in sig att sbom; do tag_beside itself $ending "$TMP/manifest"; done
expect 0 ingot pull -q "$REGISTRY/itself:1.0.0"
grep -q 'not all that is attached came along: .*it is an image, not something that is attached' "$TMP/err" || fail "the pull says: $(cat "$TMP/err")"
[ "$(beside)" = 0 ] || fail "an image is attached to itself: $(cat "$INGOT_STORE/index.json")"
python3 - "$INGOT_STORE/index.json" "$image" <<'PY'
import json, sys
path, image = sys.argv[1:]
index = json.load(open(path))
row = index["manifests"][0]
for ending in ("sig", "att", "sbom"):
    index["manifests"].append(dict(row, annotations={"vnd.ingot.subject": image, "vnd.ingot.tag-beside": image.replace(":", "-") + "." + ending}))
json.dump(index, open(path, "w"))
PY
: >"$TMP/asked"
timeout 60 ingot push -q "$REGISTRY/itself:1.0.0" "$upstream/itself-on:1.0.0" >/dev/null 2>"$TMP/err" || fail "a push of an image that is attached to itself: $(cat "$TMP/err")"
[ "$(wc -l <"$TMP/asked")" -lt 60 ] || fail "$(wc -l <"$TMP/asked") requests for an image that is attached to itself"
ok "an image that is attached to itself is pulled and pushed once"

# What is attached may name the image's manifest as a mere layer. While more of it is waited for, the image stays.
export INGOT_STORE=$TMP/held
ingot push -q --store "$TMP/store" web:1.0.0 "$REGISTRY/held" >/dev/null
attach "$TMP/manifest" 1 held
printf '%s\n' "/manifests/${image/:/-}.sig hang" >"$TMP/rules"
: >"$TMP/asked"
ingot pull -q "$upstream/held:1.0.0" >/dev/null 2>&1 &
pulling=$!
ENDING+=("$pulling")
for _ in $(seq 300); do grep -q "\.sig" "$TMP/asked" && break; sleep 0.1; done
expect 0 ingot gc
kill "$pulling"
wait "$pulling" 2>/dev/null || true
[ -e "$INGOT_STORE/blobs/sha256/${image#sha256:}" ] || fail "gc takes the manifest of an image that is being pulled"
: >"$TMP/rules"
ok "what is attached to an image ends no hold of the image"

# An artifact's manifest, as older tools made them, comes and goes with its blobs. A registry that does not take it has the rest.
export INGOT_STORE=$TMP/artifacts
ingot push -q --store "$TMP/store" web:1.0.0 "$REGISTRY/artifacts" >/dev/null
attached put "$REGISTRY" artifacts "$image" "$TMP/artifacts.json" artifacts
ingot pull -q "$REGISTRY/artifacts:1.0.0" >/dev/null 2>"$TMP/err"
[ ! -s "$TMP/err" ] || fail "the pull says: $(cat "$TMP/err")"
expect 0 ingot gc
expect 0 ingot push -q "$REGISTRY/artifacts:1.0.0" "$REGISTRY/artifacts-on:1.0.0"
[ ! -s "$TMP/err" ] || fail "the push says: $(cat "$TMP/err")"
attached check "$REGISTRY" artifacts-on "$TMP/artifacts.json"
expect 1 ingot push -q "$REGISTRY/artifacts:1.0.0" "$docker/artifacts:1.0.0"
grep -q '/artifacts:1.0.0 is pushed, but 1 of what is attached could not be sent: .*(status 400' "$TMP/err" || fail "the push says: $(cat "$TMP/err")"
[ "$(ingot ls "$docker/artifacts")" = 1.0.0 ] || fail "an attachment keeps the image from being pushed"
python3 -c 'import json, sys; json.dump([m for m in json.load(open(sys.argv[1])) if m[0] != "artifact"], open(sys.argv[2], "w"))' "$TMP/artifacts.json" "$TMP/others.json"
attached check "$docker" artifacts "$TMP/others.json"
ok "artifacts of old come and go with their blobs; one that is refused keeps nothing else"

# So does one that is damaged here, which is told. One of a form that nobody knows is left where it is, and told.
damaged=$(python3 -c 'import json, sys; print(next(d for k, d, b in json.load(open(sys.argv[1])) if k == "signature")[7:])' "$TMP/others.json")
echo x >"$INGOT_STORE/blobs/sha256/$damaged"
expect 1 ingot push -q "$REGISTRY/artifacts:1.0.0" "$REGISTRY/damaged:1.0.0"
grep -q "is pushed, but 1 of what is attached could not be sent: .*$damaged" "$TMP/err" || fail "the push says: $(cat "$TMP/err")"
[ "$(ingot ls "$REGISTRY/damaged")" = 1.0.0 ] || fail "a damaged attachment keeps the image from being pushed"
curl -sf -X PUT -H 'Content-Type: application/vnd.x+json' -d '{"mediaType":"application/vnd.x+json","parts":[1]}' "http://$REGISTRY/v2/artifacts/manifests/${image/:/-}.sbom"
expect 0 ingot pull -q --store "$TMP/unknown" "$REGISTRY/artifacts:1.0.0"
grep -q 'not all that is attached came along: .*does not say what it consists of' "$TMP/err" || fail "the pull says: $(cat "$TMP/err")"
ok "what can't be understood is left where it is, and told"

# So is one whose type alone would fill the store's list.
echo small >"$TMP/small"
ingot push -q --store "$TMP/store" web:1.0.0 "$REGISTRY/types" >/dev/null
attach "$TMP/small" 3 types 3900000
attach "$TMP/small" 1 types
export INGOT_STORE=$TMP/types
expect 0 ingot pull -q "$REGISTRY/types:1.0.0"
grep -q 'not all that is attached came along: .*type has other than printable letters, or more than 255' "$TMP/err" || fail "the pull says: $(cat "$TMP/err")"
[ "$(stat -c %s "$INGOT_STORE/index.json")" -lt 10000 ] && grep -q vnd.ingot.subject "$INGOT_STORE/index.json" || fail "the list of the store has $(stat -c %s "$INGOT_STORE/index.json") bytes"
ok "types of attachments are bounded"

# A destination that does not show what it has under cosign's tag keeps it.
export INGOT_STORE=$TMP/unknown
ingot push -q --store "$TMP/store" web:1.0.0 "$REGISTRY/refused" >/dev/null
tag_beside refused sig "$TMP/manifest"
for status in 401 403; do
    printf '%s\n' "(GET|HEAD)+.*\\.sig status $status" >"$TMP/rules"
    : >"$TMP/asked"
    expect 1 ingot push -q "$REGISTRY/artifacts:1.0.0" "$upstream/refused:1.0.0"
    grep -q "is pushed, but 1 of what is attached could not be sent: .*status $status" "$TMP/err" || fail "the push says: $(cat "$TMP/err")"
    ! grep -q '^PUT .*\.sig' "$TMP/asked" || fail "a tag that could not be looked at is written"
done
: >"$TMP/rules"
curl -sf "http://$REGISTRY/v2/refused/manifests/${image/:/-}.sig" -H 'Accept: */*' | cmp - "$TMP/manifest" || fail "a signature was replaced"
ok "a tag of cosign's that can't be looked at is not written"

# What was signed again is pulled and pushed on with the new signature alone.
sig() { curl -sf "http://${1%%/*}/v2/${1#*/}/manifests/${image/:/-}.sig" -H 'Accept: */*'; }
for time in 1 2 3; do
    sig "$REGISTRY/artifacts" | python3 -c 'import json, sys; json.dump(dict(json.load(sys.stdin), annotations={"time": sys.argv[1]}), sys.stdout)' $time >"$TMP/again"
    tag_beside artifacts sig "$TMP/again"
    expect 0 ingot pull -q "$REGISTRY/artifacts:1.0.0"
    [ "$(grep -o '[0-9a-f]\.sig"' "$INGOT_STORE/index.json" | wc -l)" = 1 ] || fail "each signature stays: $(cat "$INGOT_STORE/index.json")"
    expect 0 ingot push -q "$REGISTRY/artifacts:1.0.0" "$REGISTRY/again$time:1.0.0"
    sig "$REGISTRY/again$time" | cmp - "$TMP/again" || fail "a push sends a former signature"
done
ok "an image that was signed again goes on with the new signature"
