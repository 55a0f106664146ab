#!/bin/bash
# What a reference means: a digest goes before a tag and moves none, and nothing acts on a name that nobody said.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

disk() { head -c 1200128 /dev/urandom >"$1"; }
digest_of() { ingot -q show --pull=never "$@"; }
# refused STATUS TEXT COMMAND...
refused() {
    expect "$1" "${@:3}"
    grep -qF -- "$2" "$TMP/err" || fail "${*:3} says: $(cat "$TMP/err")"
}
damage() {
    local blob
    for blob in "$INGOT_STORE"/blobs/sha256/*; do [ "$(stat -c %s "$blob")" -lt 1000000 ] || flip "$blob" 500000; done
}
same() { cmp -n 1200128 "$1" "$2" || fail "$3"; }

start_ingotd
for n in one two; do disk "$TMP/$n.raw"; done
export INGOT_STORE=$TMP/maker
first=$(ingot pack -q "$TMP/one.raw" web:1.0.0)
second=$(ingot pack -q "$TMP/two.raw" web:2.0.0)
ingot push -q web:1.0.0 "$REGISTRY/web:prod" >/dev/null
export INGOT_STORE=$TMP/store
web=$REGISTRY/web
ingot pull -q "$web:prod" >/dev/null
INGOT_STORE=$TMP/maker ingot push -q web:2.0.0 "$web:prod" >/dev/null
ingot pull -q "$web:prod" >/dev/null
ingot export --pull=never "$web:prod@$first" -o "$TMP/out.raw" 2>/dev/null || fail "what lost its tag is not found with it"
same "$TMP/out.raw" "$TMP/one.raw" "a pin gives another image"
ingot gc 2>/dev/null
for verb in "export -o $TMP/out.raw" pull; do
    # shellcheck disable=SC2086
    ingot $verb "$web:prod@$first" >/dev/null 2>&1 || fail "$verb by tag and digest"
    [ "$(digest_of "$web:prod")" = "$second" ] || fail "$verb of an older digest moves the tag: $(ingot images)"
done
same "$TMP/out.raw" "$TMP/one.raw" "a pull by digest gives another image"
ingot images | grep -q "^$web  *-  *${first:0:19}" || fail "what is pulled by digest is named: $(ingot images)"
ok "a digest goes before the tag, and moves none"

ingot tag "$web@$first" "$web:1.0.0" >/dev/null
ingot tag "$web@$first" "$web:stable" >/dev/null
expect 0 ingot rm "$web@$first"
ingot images | grep -q "^$web  *1.0.0" || fail "rm by digest takes a tag: $(ingot images)"
! ingot images | grep -q "^$web  *- " || fail "rm by digest leaves the entry by digest: $(ingot images)"
for what in "$web@$first" "$web:prod@$first" "$first"; do
    refused 2 "the store has this image as $web:1.0.0, $web:stable" ingot rm "$what"
done
expect 0 ingot rm "$web:stable@$first"
none=sha256:$(printf '0%.0s' $(seq 64))
refused 1 "no image $none of $web in the store" ingot rm "$web:prod@$none"
[ "$(ingot images -q | sort)" = "$(printf '%s\n' "$first" "$second" | sort)" ] || fail "images -q: $(ingot images -q)"
ok "rm by digest takes no tag that nobody said"

short=${first:0:19}
[ "$(digest_of "$short")" = "$first" ] || fail "show of $short"
ingot export -q "$first" -o "$TMP/out.raw"
same "$TMP/out.raw" "$TMP/one.raw" "export of a digest alone"
ingot pull -q "$short" -o "$TMP/out.raw" >/dev/null
same "$TMP/out.raw" "$TMP/one.raw" "pull -o of a digest alone"
ingot tag "$short" "team/web:1.0.0" >/dev/null
refused 1 "no image ${first:0:18} in the store" ingot show "${first:0:18}"
refused 1 "no image sha256:000000000000 in the store" ingot show sha256:000000000000
refused 2 "say where to push it" ingot push "$short"
ingot rm "$web:1.0.0" team/web:1.0.0 2>/dev/null
ingot tag "$second" team/web:2.0.0 >/dev/null
refused 2 "the store has this image as $web:prod, team/web:2.0.0" ingot rm "$second"
ingot rm "$web:prod" 2>/dev/null
# shellcheck disable=SC2046
ingot rm $(ingot images -q) 2>/dev/null || fail "rm of all digests"
[ -z "$(ingot images -q)$(ls "$INGOT_STORE/blobs/sha256")" ] || fail "something is left: $(ingot images)"
ok "sha256:HEX is taken by the verbs of the store"

export INGOT_STORE=$TMP/maker
tags() { ingot ls "$REGISTRY/$1" | tr '\n' ' '; }
ingot tag web:1.0.0 web:prod >/dev/null
[ "$(ingot push "web@$first" "$REGISTRY/web" 2>/dev/null)" = "$REGISTRY/web@$first $first" ] || fail "push by digest"
ingot push -q "$first" "$REGISTRY/web" >/dev/null
[ "$(INGOT_STORE=$TMP/none ingot -q show "$REGISTRY/web:prod")" = "$second" ] || fail "push by digest moves a tag"
[ "$(tags web)" = "prod " ] || fail "push by digest makes a tag: $(tags web)"
refused 2 "the image has another digest, $first" ingot push web:1.0.0 "$REGISTRY/web@$second"
[ "$(ingot push web:1.0.0 "$REGISTRY/web@$first" 2>/dev/null)" = "$REGISTRY/web@$first $first" ] || fail "push to a digest"
ingot push -q "web@$first" "$REGISTRY/web:1.0.0" >/dev/null
ingot tag "web@$first" "$REGISTRY/own:1.0.0" >/dev/null
ingot push -q "$REGISTRY/own@$first" >/dev/null
[ -z "$(tags own)" ] || fail "push by digest makes a tag: $(tags own)"
ingot push -q "$REGISTRY/own" >/dev/null
[ "$(tags web)$(tags own)" = "1.0.0 prod 1.0.0 " ] || fail "push gives the tags $(tags web)$(tags own)"
refused 2 "HOST[/NAME] is expected" ingot ls "$REGISTRY/web:9.9.9"
ok "push by digest moves no tag that nobody said"

# An index of the registry: what was pulled by its digest is found by it without the registry.
size=$(curl -sf "http://$REGISTRY/v2/web/manifests/$first" -H 'Accept: */*' | wc -c)
printf '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "%s", "size": %s, "platform": {"os": "linux", "architecture": "amd64"}}]}' "$first" "$size" >"$TMP/index.json"
curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary "@$TMP/index.json" "http://$REGISTRY/v2/web/manifests/many" >/dev/null
many=sha256:$(sha256sum <"$TMP/index.json" | cut -d' ' -f1)
export INGOT_STORE=$TMP/store
for what in "$web@$many" "$web:many@$many"; do
    ingot pull -q "$what" >/dev/null
    [ "$(digest_of "$web@$many")" = "$first" ] && [ "$(digest_of "$web:many@$many")" = "$first" ] || fail "what was pulled by $what"
    ingot export -q --pull=never "$what" -o "$TMP/out.raw"
    same "$TMP/out.raw" "$TMP/one.raw" "export by an index"
done
[ "$(digest_of "${many:0:19}")" = "$first" ] || fail "an index by its first digits"
[ "$(ingot images | wc -l)" = 2 ] || fail "one image by its index: $(ingot images)"
refused 2 "the store has this image as $web@$many" ingot rm "$web@$first"
ingot rm "$web@$many" 2>/dev/null
[ -z "$(ls "$INGOT_STORE/blobs/sha256")" ] || fail "rm by an index"
ok "an image pulled by the digest of an index is found by that"

# Whatever it was pulled by, a repair fetches it.
export INGOT_STORE=$TMP/repair
for what in "$web:many" "$web@$first" "$web@$many"; do
    ingot pull -q "$what" >/dev/null
    damage
    expect 1 ingot fsck
    expect 0 ingot fsck --repair
    expect 0 ingot fsck
    ingot rm "$what" 2>/dev/null
    [ -z "$(ls "$INGOT_STORE/blobs/sha256")" ] || fail "the repair of $what has named something: $(ingot images)"
done
export INGOT_STORE=$TMP/store
ok "what was pulled by a tag, by its digest or by an index's is repaired"

# What another command does while fsck looks and fetches, stands. A proxy that is stopped gives it the time.
start_upstream "$REGISTRY"
for name in web own; do ingot pull -q "$upstream/$name:1.0.0" >/dev/null; done
ingot pull -q "$upstream/web:prod" >/dev/null
damage
kill -STOP "$upstream_pid"
ingot fsck --repair >"$TMP/out" 2>"$TMP/err" &
fsck=$!
# The repair has connected.
until grep -q " 0100007F:$(printf %04X "${upstream#*:}") 01 " /proc/net/tcp; do kill -0 $fsck || fail "$(cat "$TMP/err")"; sleep 0.05; done
ingot tag "$upstream/web:prod" "$upstream/own:1.0.0" >/dev/null
ingot rm "$upstream/web:1.0.0" 2>/dev/null
kill -CONT "$upstream_pid"
wait $fsck || fail "fsck --repair: $(cat "$TMP/out" "$TMP/err")"
ingot images | awk 'NR > 1 { print $1, $2, $3 }' | sort >"$TMP/left"
printf '%s\n' "$upstream/own 1.0.0 ${second:0:19}" "$upstream/web prod ${second:0:19}" | cmp - "$TMP/left" || fail "after fsck: $(cat "$TMP/left")"
ok "fsck --repair names nothing"

# What lost its name and can't be had is said to be gc's.
ingot pull -q "$upstream/own:1.0.0" >/dev/null
ingot tag "$upstream/web:prod" "$upstream/own:1.0.0" >/dev/null
damage
kill "$upstream_pid"
wait "$upstream_pid" || true
expect 1 ingot fsck --repair
grep -q 'ingot gc. removes what is <none>' "$TMP/err" && grep -q "^$upstream/own:<none>: .*damaged" "$TMP/out" || fail "fsck says: $(cat "$TMP/out" "$TMP/err")"
ok "fsck says what becomes of a damaged image without a name"

# An image whose disk has gone, or was cut, is pulled again by whoever needs it.
start_upstream "$REGISTRY"
export INGOT_STORE=$TMP/healing
for damage in "truncate -s 5000" rm; do
    ingot pull -q "$upstream/web:1.0.0" >/dev/null
    largest=$(find "$INGOT_STORE/blobs" -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2)
    $damage "$largest"
    refused 1 "its disk is not in the store" ingot export --pull=never "$upstream/web:1.0.0" -o "$TMP/out.raw"
    ingot export -q "$upstream/web:1.0.0" -o "$TMP/out.raw" || fail "export after $damage"
    same "$TMP/out.raw" "$TMP/one.raw" "export after $damage"
done
ok "a disk that has gone is pulled again"

# Two pulls over a damaged disk: the one that waited does not take the other's failure for a whole disk.
flip "$(find "$INGOT_STORE/blobs" -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2)" 500000
printf '/blobs/ flipslow 40000\n' >"$TMP/rules"
ingot pull "$upstream/web:1.0.0" >/dev/null 2>"$TMP/bad.err" &
bad=$!
until ls "$INGOT_STORE"/tmp/partial-* >/dev/null 2>&1; do kill -0 $bad || fail "$(cat "$TMP/bad.err")"; sleep 0.01; done
kill -STOP $bad
ingot pull "$REGISTRY/web:1.0.0" >/dev/null 2>"$TMP/err" &
good=$!
until grep -q 'waiting for' "$TMP/err"; do kill -0 $good || fail "no wait: $(cat "$TMP/err")"; sleep 0.05; done
kill -CONT $bad
! wait $bad || fail "wrong bytes of a disk are taken"
wait $good || fail "the pull that waited: $(cat "$TMP/err")"
expect 0 ingot fsck
ok "a pull that waited for one that failed fetches the disk itself"

# An index that does not belong to the disk: nothing of the disk is fetched.
start_docker_registry "$TMP/docker"
INGOT_STORE=$TMP/maker ingot push -q web:1.0.0 "$docker/web:1.0.0" >/dev/null
cat >"$TMP/lies.py" <<'PY'
import json, sys, urllib.request
base = "http://%s/v2/web/manifests/" % sys.argv[1]
kind = "application/vnd.oci.image.manifest.v1+json"
manifest = json.load(urllib.request.urlopen(urllib.request.Request(base + "1.0.0", headers={"Accept": kind})))
manifest["layers"][1]["size"] += 1
urllib.request.urlopen(urllib.request.Request(base + "lies", json.dumps(manifest).encode(), {"Content-Type": kind}, method="PUT"))
print(manifest["layers"][1]["digest"])
PY
lie=$(python3 "$TMP/lies.py" "$docker")
start_upstream "$docker"
refused 1 "but by its index it has another size" ingot pull --store "$TMP/lies" "$upstream/web:lies"
grep -q '/manifests/lies' "$TMP/asked" || fail "the manifest was not asked for"
! grep "/blobs/$lie" "$TMP/asked" || fail "a disk that does not belong to its index is fetched"
ok "a disk that does not belong to its index is not fetched"

# A layer after the disk is left out, and what is left out is no damage.
cat >"$TMP/more.py" <<'PY'
import hashlib, json, sys, urllib.parse, urllib.request
base = "http://%s/v2/web/" % sys.argv[1]
kind = "application/vnd.oci.image.manifest.v1+json"
manifest = json.load(urllib.request.urlopen(urllib.request.Request(base + "manifests/1.0.0", headers={"Accept": kind})))
layer = b"a kernel"
digest = "sha256:" + hashlib.sha256(layer).hexdigest()
to = urllib.request.urlopen(urllib.request.Request(base + "blobs/uploads/", b"", method="POST")).headers["Location"]
to = urllib.parse.urljoin(base, to)
to += ("&" if "?" in to else "?") + "digest=" + digest
urllib.request.urlopen(urllib.request.Request(to, layer, {"Content-Type": "application/octet-stream"}, method="PUT"))
manifest["layers"].append({"mediaType": "application/octet-stream", "digest": digest, "size": len(layer)})
urllib.request.urlopen(urllib.request.Request(base + "manifests/more", json.dumps(manifest).encode(), {"Content-Type": kind}, method="PUT"))
PY
python3 "$TMP/more.py" "$docker"
export INGOT_STORE=$TMP/more
more=$(ingot pull -q "$docker/web:more")
expect 0 ingot fsck
expect 0 ingot push "$docker/web:more" "$docker/web:again"
grep -q 'layers after the disk, 1 of them' "$TMP/err" || fail "a push says nothing of a layer that is not there: $(cat "$TMP/err")"
refused 1 'layers after the disk, 1 of them' ingot push "$docker/web:more" "$docker/elsewhere:1.0.0"
rm "$INGOT_STORE/index.json.last"
echo '{' >"$INGOT_STORE/index.json"
expect 0 ingot fsck --repair
[ "$(ingot images -q)" = "$(digest_of "recovered:${more:7:12}")" ] || fail "an image with another layer is not brought back: $(ingot images)"
ok "a layer that a pull leaves out is no damage"
