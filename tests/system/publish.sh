#!/bin/bash
# `ingot publish`: images as files for any web server, in a folder and in S3, found by the real Vagrant and by skopeo.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
export VAGRANT_HOME=$TMP/vagrant VAGRANT_CHECKPOINT_DISABLE=1 VAGRANT_NO_COLOR=1
# Nothing of the person's who runs the test counts.
unset AWS_SESSION_TOKEN AWS_PROFILE AWS_DEFAULT_PROFILE AWS_DEFAULT_REGION AWS_ENDPOINT_URL_S3
export AWS_CONFIG_FILE=$TMP/aws.config AWS_SHARED_CREDENTIALS_FILE=$TMP/aws.credentials

# disk FILE BYTES: 16 MiB of ext4 with so many random bytes in it.
disk() {
    truncate -s 16M "$1"
    mke2fs -q -t ext4 -O ^has_journal "$1"
    head -c "$2" /dev/urandom >"$TMP/content"
    echo "write $TMP/content content" | debugfs -w "$1" >/dev/null 2>&1
}
disk "$TMP/v1.raw" 300000
disk "$TMP/v2.raw" 400000
ingot pack -q "$TMP/v1.raw" team/web:1.0.0 >/dev/null
ingot pack -q "$TMP/v2.raw" team/web:1.1.0 >/dev/null
ingot tag team/web:1.1.0 team/web:newest >/dev/null

# --- a folder, and a web server that knows nothing ---

www=$TMP/www
mkdir "$www"
: >"$TMP/served"
python3 -u -m http.server --bind 127.0.0.1 --directory "$www" 0 >"$TMP/served" 2>/dev/null &
ENDING+=($!)
until_true grep -q port "$TMP/served"
base=http://127.0.0.1:$(grep -o 'port [0-9]*' "$TMP/served" | cut -d' ' -f2)
publish() { ingot publish -q --static "$www" --base "$base/" "$@"; }
expect 0 publish team/web:1.0.0
[ "$(cat "$TMP/out")" = "$(ingot show --json team/web:1.0.0 | sed -n 's/.*"digest": "\(sha256:[0-9a-f]*\)".*/\1/p' | head -1)" ] || fail "what is told: $(cat "$TMP/out")"
for provider in libvirt qemu virtualbox vmware_desktop; do
    rm -f "$TMP/box"
    ingot export -q team/web:1.0.0 -F "vagrant-${provider%_desktop}" -o "$TMP/box"
    cmp "$TMP/box" "$www/boxes/team/web/1.0.0/$provider/amd64.box" || fail "the box for $provider"
done
cmp "$www/team/web" "$www/team/web.json" || fail "the catalogue by its two names"
# Whatever the catalogue says is true, of every version that is named.
catalogue_is() {
    python3 - "$www" "$base" "$@" <<'PY' || fail "the catalogue: $(cat "$www/team/web.json")"
import hashlib, json, sys
www, base, *versions = sys.argv[1:]
c = json.load(open(www + "/team/web.json"))
assert c["name"] == "team/web" and [v["version"] for v in c["versions"]] == versions, c
for version in c["versions"]:
    assert version["status"] == "active"
    assert [p["name"] for p in version["providers"]] == ["libvirt", "qemu", "virtualbox", "vmware_desktop"]
    for p in version["providers"]:
        assert p["url"].startswith(base + "/boxes/team/web/" + version["version"]), p
        assert p["architecture"] == "amd64" and p["default_architecture"] is True and p["checksum_type"] == "sha256", p
        box = open(www + p["url"][len(base):], "rb").read()
        assert p["checksum"] == hashlib.sha256(box).hexdigest(), p
PY
}
catalogue_is 1.0.0
ok "an image becomes boxes, with a catalogue that tells their sums"

run() { "$@" >"$TMP/out" 2>&1 || fail "$*: $(cat "$TMP/out")"; }
run vagrant box add --provider libvirt "$base/team/web.json"
# Of what is there nothing is written again, and the newer version comes before.
touch "$TMP/before"
sleep 0.1
expect 0 publish --all team/web
catalogue_is 1.1.0 1.0.0
[ -z "$(find "$www/boxes/team/web/1.0.0" -newer "$TMP/before")" ] || fail "a box is written again"
touch "$TMP/before"
sleep 0.1
expect 0 publish --all team/web
[ -z "$(find "$www" -type f -newer "$TMP/before")" ] || fail "written again: $(find "$www" -type f -newer "$TMP/before")"
run vagrant box update --box team/web --provider libvirt
run vagrant box list
grep -q '^team/web *(libvirt, 1\.1\.0' "$TMP/out" || fail "box update: $(cat "$TMP/out")"
ok "Vagrant adds a box from a plain web server, and updates it; nothing is written twice"

# --- the OCI layout ---

run skopeo inspect "oci:$www/oci:team/web:1.1.0" --raw
[ "$(sha256sum <"$TMP/out")" = "$(skopeo inspect --raw "oci:$INGOT_STORE:team/web:1.1.0" | sha256sum)" ] || fail "skopeo reads another image"
ingot key generate -q --no-passphrase "$TMP/key" >/dev/null
ingot sign -q --key "$TMP/key" team/web:1.1.0 >/dev/null
expect 0 publish team/web:1.1.0
cp -a "$www/oci" "$TMP/copied"
expect 0 ingot --store "$TMP/copied" verify --key "$TMP/key.pub" team/web:1.1.0
expect 0 ingot --store "$TMP/copied" fsck
rm -f "$TMP/back.raw"
ingot --store "$TMP/copied" export -q team/web:1.0.0 -o "$TMP/back.raw"
cmp "$TMP/back.raw" "$TMP/v1.raw" || fail "the disk of the layout"
expect 0 publish team/web:newest
grep -q 'team/web:newest' "$www/oci/index.json" || fail "a tag that is no version"
catalogue_is 1.1.0 1.0.0
ok "the layout is a store: skopeo reads it, signatures come along, tags that are no versions are there alone"

refused() {
    local status=$1 words=$2
    shift 2
    expect "$status" "$@"
    grep -qF -- "$words" "$TMP/err" || fail "'$*' says: $(cat "$TMP/err")"
}

# --- a version of several images ---

start_ingotd
# call METHOD PATH [JSON]: Vagrant Cloud's API.
call() { curl -sf -o "$TMP/answer" -X "$1" ${3+-d "$3"} "http://$REGISTRY/api/v2$2" || fail "$1 $2"; }
# upload NAME PROVIDER ARCHITECTURE FILE: a box of 1.0.0 of team/NAME.
upload() {
    call POST "/box/team/$1/version/1.0.0/providers" "{\"provider\": {\"name\": \"$2\", \"architecture\": \"$3\"}}"
    call GET "/box/team/$1/version/1.0.0/provider/$2/$3/upload"
    curl -sf -T "$4" "$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["upload_path"])' "$TMP/answer")" >/dev/null || fail "an upload"
}
call POST /boxes '{"username": "team", "name": "both", "short_description": "of both", "description": "For *both*."}'
call POST /box/team/both/versions '{"version": {"version": "1.0.0", "description": "the first"}}'
upload both qemu amd64 "$www/boxes/team/web/1.0.0/qemu/amd64.box"
ingot --store "$TMP/arm" pack -q --arch arm64 "$TMP/v2.raw" team/arm:1.0.0 >/dev/null
ingot --store "$TMP/arm" export -q -F vagrant-qemu team/arm:1.0.0 -o "$TMP/arm.box"
upload both qemu arm64 "$TMP/arm.box"
call PUT /box/team/both/version/1.0.0/release
both=$TMP/both
expect 0 ingot publish -q --static "$both" --base "$base" --all "$REGISTRY/team/both"
python3 - "$both" <<'PY' || fail "of both architectures: $(cat "$both/team/both.json")"
import json, os, sys
box = json.load(open(sys.argv[1] + "/team/both.json"))
[version] = box["versions"]
assert (box["short_description"], box["description"], version["description_markdown"]) == ("of both", "For *both*.", "the first"), box
assert [(p["name"], p["architecture"], p["default_architecture"]) for p in version["providers"]] == [("qemu", "amd64", True), ("qemu", "arm64", False)], version
rows = json.load(open(sys.argv[1] + "/oci/index.json"))["manifests"]
assert [(r["platform"]["architecture"], r["annotations"]["org.opencontainers.image.ref.name"]) for r in rows] == [("amd64", "team/both:1.0.0"), ("arm64", "team/both:1.0.0")], rows
PY
for pair in amd64=v1 arm64=v2; do
    tar -C "$TMP" -xf "$both/boxes/team/both/1.0.0/qemu/${pair%=*}.box" box.img
    qemu-img compare -q "$TMP/box.img" "$TMP/${pair#*=}.raw" || fail "the disk for ${pair%=*}"
done
# In a copy that is a store, one name stands for the image of each architecture.
cp -a "$both/oci" "$TMP/twins"
two() { ingot --store "$TMP/twins" "$@"; }
for pair in amd64=v1 arm64=v2; do
    expect 0 two export -q --arch "${pair%=*}" team/both:1.0.0 -o "$TMP/two.raw"
    qemu-img compare -q "$TMP/two.raw" "$TMP/${pair#*=}.raw" || fail "the copy's disk for ${pair%=*}"
    rm "$TMP/two.raw"
    expect 0 env INGOT_ARCH="${pair%=*}" ingot --store "$TMP/twins" show -q team/both:1.0.0
    cp "$TMP/out" "$TMP/two.${pair%=*}"
done
case $(uname -m) in x86_64) own=amd64 ;; aarch64) own=arm64 ;; *) own= ;; esac
if [ -n "$own" ]; then
    expect 0 two tag team/both:1.0.0 team/own:1.0.0
    [ "$(two show -q team/own:1.0.0)" = "$(cat "$TMP/two.$own")" ] || fail "the copy's image for this machine"
fi
# Published from the copy, with --all or without, all of them come; what goes to others is none by chance.
for all in '--all team/both' 'team/both:1.0.0' 'team/both'; do
    rm -rf "$TMP/third"
    # shellcheck disable=SC2086
    expect 0 two publish -q --static "$TMP/third" --base "$base" --provider qemu $all
    [ "$(sort "$TMP/out")" = "$(cat "$TMP/two.amd64" "$TMP/two.arm64" | sort)" ] || fail "published from a copy ($all): $(cat "$TMP/out")"
    cmp <(jq -S '[.manifests[].digest] | sort' "$TMP/third/oci/index.json") <(jq -S '[.manifests[].digest] | sort' "$both/oci/index.json") || fail "a copy of the copy ($all)"
done
expect 0 two publish -q --static "$TMP/third" --base "$base" --provider qemu --arch arm64 team/both:1.0.0
cmp "$TMP/out" "$TMP/two.arm64" || fail "one of them: $(cat "$TMP/out")"
refused 2 'has several images of that name' two push team/both:1.0.0 "$REGISTRY/team/pushed:1.0.0"
refused 2 'has several images of that name' two push --add team/both:1.0.0 "$REGISTRY/team/pushed:1.0.0"
expect 0 two push -q "team/both:1.0.0@$(cat "$TMP/two.arm64")" "$REGISTRY/team/pushed:1.0.0"
export INGOT_PASSPHRASE=sesame
ingot key generate "$TMP/two.key" >/dev/null
refused 2 'has several images of that name' two sign --key "$TMP/two.key" team/both:1.0.0
refused 2 'has several images of that name' two verify --key "$TMP/two.key.pub" team/both:1.0.0
# What is built on is of the machines that are built, whatever machine this is.
if [ "$own" = amd64 ]; then
    printf 'name: on\nversion: 1.0.0\nsource: {from: team/both:1.0.0}\nsteps: [{shell: "true"}]\n' >"$TMP/on.yaml"
    expect 0 env INGOT_STORE="$TMP/twins" setarch i686 ingot plan "$TMP/on.yaml"
fi
refused 2 'has several images of that name' two export --arch riscv64 team/both:1.0.0 -o "$TMP/two.raw"
refused 2 'has several images of that name' two rm team/both:1.0.0
expect 0 two rm "team/both:1.0.0@$(cat "$TMP/two.arm64")"
[ "$(two show -q team/both:1.0.0)" = "$(cat "$TMP/two.amd64")" ] || fail "the image that stays"
rm -r "$both"
expect 0 ingot publish -q --static "$both" --base "$base" --arch arm64 "$REGISTRY/team/both:1.0.0"
[ "$(grep -c '"url"' "$both/team/both.json")" = 1 ] && grep -q '"arm64"' "$both/team/both.json" || fail "of one architecture: $(cat "$both/team/both.json")"
ok "a tag that names images of several architectures is published with all of them, or with the one that is asked for"

# A policy's words of that tag count for each of its images, wherever they come from.
printf '{"default":[{"type":"insecureAcceptAnything"}],"transports":{"docker":{"%s":[{"type":"reject"}]}}}' "$REGISTRY/team/both:1.0.0" >"$TMP/tag.json"
for store in store empty; do
    refused 3 'refused by the policy' ingot --store "$TMP/$store" publish -q --policy "$TMP/tag.json" --static "$TMP/never" --base "$base" "$REGISTRY/team/both:1.0.0"
done
[ ! -e "$TMP/never/oci" ] || fail "what the policy refuses is published"
# One for each provider is one version; one for all of them is in the place of each.
call POST /boxes '{"username": "team", "name": "forms"}'
call POST /box/team/forms/versions '{"version": {"version": "1.0.0"}}'
upload forms qemu amd64 "$www/boxes/team/web/1.0.0/qemu/amd64.box"
upload forms libvirt amd64 "$www/boxes/team/web/1.1.0/libvirt/amd64.box"
call PUT /box/team/forms/version/1.0.0/release
expect 0 ingot publish -q --static "$both" --base "$base" --all "$REGISTRY/team/forms"
for provider in qemu libvirt; do [ -e "$both/boxes/team/forms/1.0.0/$provider/amd64.box" ] || fail "no box for $provider"; done
refused 2 'has several images of that name' ingot --store "$both/oci" show team/forms:1.0.0
# A tag that is given names one image, whichever of the rows was its own.
for digest in $(python3 -c 'import json,sys; print(*(r["digest"] for r in json.load(open(sys.argv[1]))["manifests"] if r["annotations"].get("org.opencontainers.image.ref.name") == "team/forms:1.0.0"))' "$both/oci/index.json"); do
    rm -rf "$TMP/forms"
    cp -a "$both/oci" "$TMP/forms"
    expect 0 ingot --store "$TMP/forms" tag "team/forms@$digest" team/forms:1.0.0
    [ "$(ingot --store "$TMP/forms" show -q team/forms:1.0.0)" = "$digest" ] || fail "the tag names another image"
    [ "$(ingot --store "$TMP/forms" images | grep -c 'team/forms  *1.0.0 ')" = 1 ] || fail "the tag is there twice: $(ingot --store "$TMP/forms" images)"
    expect 0 ingot --store "$TMP/forms" rm team/forms:1.0.0
    ! ingot --store "$TMP/forms" images | grep -q 'team/forms  *1.0.0 ' || fail "the tag stays: $(ingot --store "$TMP/forms" images)"
done
find "$both" "$www" -type f -exec sha256sum {} + | sort >"$TMP/sums"
refused 1 'team/forms:1.0.0 is another image' ingot publish -q --static "$both" --base "$base" --name team/forms:1.0.0 team/web:1.1.0
refused 1 'team/web:1.0.0 is another image' publish --arch amd64 --name team/web:1.0.0 "$REGISTRY/team/both:1.0.0"
find "$both" "$www" -type f -exec sha256sum {} + | sort | cmp - "$TMP/sums" || fail "what is refused changes the folder"
expect 0 ingot publish -q --static "$both" --base "$base" --name team/forms:moving "$REGISTRY/team/forms:1.0.0"
expect 0 ingot publish -q --static "$both" --base "$base" --name team/forms:moving team/web:1.0.0
[ "$(grep -c team/forms:moving "$both/oci/index.json")" = 1 ] || fail "a tag that moves: $(cat "$both/oci/index.json")"
# put_manifest NAME REFERENCE TYPE <JSON
put_manifest() { curl -sf -o /dev/null -X PUT -H "content-type: application/vnd.oci.image.$3.v1+json" --data-binary @- "http://$REGISTRY/v2/$1/manifests/$2" || fail "a manifest for $1:$2"; }
# A container, say.
printf '{}' >"$TMP/empty"
empty="\"digest\":\"sha256:$(sha256sum <"$TMP/empty" | cut -d' ' -f1)\",\"size\":2"
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",%s},"layers":[]}' "$empty" >"$TMP/container"
put_blob team/both "$TMP/empty"
put_manifest team/both container manifest <"$TMP/container"
# As other tools write an index.
curl -sf -H 'Accept: */*' "http://$REGISTRY/v2/team/both/manifests/1.0.0" | python3 -c '
import hashlib, json, sys
index, container = json.load(sys.stdin), open(sys.argv[1], "rb").read()
for entry in index["manifests"]:
    del entry["artifactType"]
index["manifests"].append({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + hashlib.sha256(container).hexdigest(), "size": len(container), "platform": {"architecture": "riscv64", "os": "linux"}})
print(json.dumps(index))' "$TMP/container" | put_manifest team/both 2.0.0 index
expect 0 ingot publish -q --static "$TMP/plain" --base "$base" "$REGISTRY/team/both:2.0.0"
[ "$(grep -c 'qemu/a[rm]*d*64.box' "$TMP/plain/team/both.json")" = 2 ] || fail "of another tool's index: $(cat "$TMP/plain/team/both.json")"
grep -q 'left out: sha256:.* of .*no Ingot image' "$TMP/err" || fail "the container is passed over without a word: $(cat "$TMP/err")"
ok "a tag's policy counts for its images, one version has an image for each provider, and indexes of other tools are read"

# Of all versions those that can be had.
for version in 1.0.0 1.1.0; do
    disk "$TMP/some.raw" 200000
    ingot pack -q "$TMP/some.raw" "team/some:$version" >/dev/null
    ingot push -q "team/some:$version" "$REGISTRY/team/some:$version" >/dev/null
done
put_blob team/some "$TMP/empty"
put_manifest team/some 1.0.5 manifest <"$TMP/container"
curl -sf -H 'Accept: */*' "http://$REGISTRY/v2/team/some/manifests/1.1.0" | sed 's/vnd.ingot.image.v1/vnd.ingot.image.v9/' | put_manifest team/some 1.0.6 manifest
ingot revoke -q --reason old "$REGISTRY/team/some:1.0.0" >/dev/null
for architecture in '' --arch=amd64; do
    rm -rf "$TMP/some"
    # shellcheck disable=SC2086
    expect 0 ingot publish -q --static "$TMP/some" --base "$base" --provider qemu --all $architecture "$REGISTRY/team/some"
    [ "$(grep -o '"version": .*' "$TMP/some/team/some.json")" = '"version": "1.1.0",' ] || fail "of all versions: $(cat "$TMP/some/team/some.json")"
    [ "$(grep -c 'left out' "$TMP/err")" = 3 ] && grep -q 'left out: .*revoked' "$TMP/err" && grep -q 'left out: .*newer' "$TMP/err" && grep -q 'left out: .*no Ingot image' "$TMP/err" || fail "what is left out: $(cat "$TMP/err")"
done
for image in "team/some@$(ingot show -q "$REGISTRY/team/some:1.1.0")" team/some; do
    expect 0 ingot publish -q --static "$TMP/some" --base "$base" --provider qemu --arch amd64 --name team/again:1.1.0 "$REGISTRY/$image"
done
refused 3 revoked ingot publish -q --static "$TMP/some" --base "$base" "$REGISTRY/team/some:1.0.0"
ingot revoke -q --reason old "$REGISTRY/team/some:1.1.0" >/dev/null
refused 3 revoked ingot publish -q --static "$TMP/some" --base "$base" --all "$REGISTRY/team/some"
ok "all versions are those that can be had: what is withheld, newer than this Ingot, or no image, is left out with a warning"

# What the tag of signatures names now is that there, too, and what it has named before is kept as that.
ingot push -q team/web:1.0.0 "$REGISTRY/team/signed:1.0.0" >/dev/null
put_blob team/signed "$TMP/empty"
signatures=$(ingot show -q team/web:1.0.0)
signatures=${signatures/:/-}.sig
for word in one two; do
    echo $word >"$TMP/$word"
    put_blob team/signed "$TMP/$word"
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",%s},"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","digest":"sha256:%s","size":4}]}' "$empty" "$(sha256sum <"$TMP/$word" | cut -d' ' -f1)" >"$TMP/$word.json"
    put_manifest team/signed "$signatures" manifest <"$TMP/$word.json"
    ingot --store "$TMP/signer" pull -q "$REGISTRY/team/signed:1.0.0" >/dev/null
    for _ in 1 2; do expect 0 ingot --store "$TMP/signer" publish -q --static "$TMP/signed" --base "$base" --provider qemu "$REGISTRY/team/signed:1.0.0"; done
done
python3 - "$TMP/signed/oci/index.json" "$TMP/one.json" "$TMP/two.json" <<'PY' || fail "the signatures there: $(cat "$TMP/signed/oci/index.json")"
import hashlib, json, sys
rows = [r for r in json.load(open(sys.argv[1]))["manifests"] if "vnd.ingot.tag-beside" in r["annotations"]]
one, two = ("sha256:" + hashlib.sha256(open(p, "rb").read()).hexdigest() for p in sys.argv[2:])
assert sorted((r["digest"], "vnd.ingot.tag-beside-before" in r["annotations"]) for r in rows) == sorted([(one, True), (two, False)]), rows
PY
# Whoever has seen the tag before that publishes again, and takes nothing away.
ingot --store "$TMP/late" pull -q "$REGISTRY/team/signed:1.0.0" >/dev/null
put_manifest team/signed "$signatures" manifest <"$TMP/one.json"
rm -rf "$TMP/early" "$TMP/signed"
ingot --store "$TMP/early" pull -q "$REGISTRY/team/signed:1.0.0" >/dev/null
for store in late early late early; do
    expect 0 ingot --store "$TMP/$store" publish -q --static "$TMP/signed" --base "$base" --provider qemu --pull=never "$REGISTRY/team/signed:1.0.0"
done
signed_rows=$(python3 -c 'import json,sys; print(*sorted(("before" if "vnd.ingot.tag-beside-before" in r["annotations"] else "now") for r in json.load(open(sys.argv[1]))["manifests"] if "vnd.ingot.tag-beside" in r["annotations"]))' "$TMP/signed/oci/index.json")
[ "$signed_rows" = 'before now' ] || fail "the signatures there: $signed_rows"
ok "the layout names the signatures that count now, and keeps those of before, whoever publishes"
kill "$SERVER"
expect 1 ingot publish -q --static "$both" --base "$base" "$REGISTRY/team/both:1.0.0"
expect 0 ingot publish -q --static "$both" --base "$base" --pull=never --name team/none:1.0.0 "$(ingot images --json | python3 -c 'import json,sys; print(next(i["name"] + "@" + i["digest"] for i in json.load(sys.stdin) if i["name"].endswith("team/both")))')"
ok "without the registry its tag is not published, an image of the store by its digest is"

# --- what is refused ---

find "$www" -type f -exec sha256sum {} + | sort >"$TMP/sums"
refused 1 'team/web:1.0.0 is another image' ingot publish --static "$www" --base "$base" --name team/web:1.0.0 team/web:1.1.0
refused 1 'and an object may have' publish --max-size 100K team/web:1.0.0
refused 2 '--base' ingot publish --static "$www" team/web:1.0.0
refused 2 'https://, http:// or file:///' ingot publish --static "$www" --base ftp://x team/web:1.0.0
refused 2 'is of an S3 server' publish --endpoint http://127.0.0.1:9 team/web:1.0.0
refused 2 'a folder or s3://BUCKET/PREFIX is expected' ingot publish --static https://x/y --base "$base" team/web:1.0.0
refused 2 '--static DIR' ingot publish team/web:1.0.0
refused 2 'libvirt, qemu' publish --provider docker team/web:1.0.0
refused 2 'below oci/' publish --name oci/web team/web:1.0.0
refused 2 'takes names without a tag' publish --all team/web:1.0.0
refused 1 'the store has no version of it' publish --all team/none
refused 2 '--max-size 6G' ingot publish --static s3://boxes --max-size 6G team/web:1.0.0
printf '{' >"$TMP/web.json"
mkdir "$TMP/other" "$TMP/other/team"
cp "$TMP/web.json" "$TMP/other/team/web.json"
refused 1 "$TMP/other/team/web.json" ingot publish --static "$TMP/other" --base "$base" --provider libvirt team/web:1.0.0
cmp "$TMP/other/team/web.json" "$TMP/web.json" || fail "a catalogue that can't be read is written over"
find "$www" -type f -exec sha256sum {} + | sort | cmp - "$TMP/sums" || fail "what is refused changes the folder"
ok "another image of a version, objects that are too large, and what is said wrongly are refused, and nothing changes"

# Killed at any moment: what is there is whole, and a catalogue names nothing that is not there. The next one ends it.
killed=$TMP/killed
for wait in 0.02 0.1 0.2 0.4; do
    rm -rf "$killed"
    ingot publish -q --static "$killed" --base "$base" team/web:1.0.0 >/dev/null 2>&1 &
    pid=$!
    sleep $wait
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    for blob in "$killed"/oci/blobs/sha256/[0-9a-f]*; do
        [ ! -e "$blob" ] || [ "$(basename "$blob")" = "$(sha256sum <"$blob" | cut -d' ' -f1)" ] || fail "a blob that is not whole: $blob"
    done
    for provider in libvirt qemu virtualbox vmware_desktop; do
        box=boxes/team/web/1.0.0/$provider/amd64.box
        if [ -e "$killed/$box" ]; then
            cmp "$killed/$box" "$www/$box" || fail "a box that is not whole: $box"
        else
            [ ! -e "$killed/team/web.json" ] || fail "a catalogue of a box that is not there: $box"
        fi
    done
done
expect 0 ingot publish -q --static "$killed" --base "$base" team/web:1.0.0
cmp <(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["versions"])' "$killed/team/web.json") <(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["versions"][1:])' "$www/team/web.json") || fail "after the kill: $(cat "$killed/team/web.json")"
ok "killed at any moment: what is there is whole, and the next one ends it"

# --- S3 ---

mkdir -p "$TMP/s3/boxes"
: >"$TMP/rules"
: >"$TMP/asked"
: >"$TMP/port"
python3 tests/system/s3.py "$TMP/s3" "$TMP/rules" "$TMP/asked" >"$TMP/port" 2>"$TMP/s3.log" &
ENDING+=($!)
until_true grep -q . "$TMP/port"
s3=http://127.0.0.1:$(cat "$TMP/port")
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION AWS_ENDPOINT_URL
to_s3() { ingot publish -q --static "s3://boxes/my boxes" --endpoint "$s3/" --provider libvirt "$@"; }
refused 2 'S3 needs a login' to_s3 team/web:1.0.0
refused 2 'AWS_SECRET_ACCESS_KEY is not set' env AWS_ACCESS_KEY_ID=AKIDTEST ingot publish --static s3://boxes team/web:1.0.0
printf '[default]\naws_access_key_id = AKIDTEST\naws_secret_access_key = s3cr3t/with+signs=\n' >"$AWS_SHARED_CREDENTIALS_FILE"
refused 1 "the region 'us-east-1' is wrong" to_s3 team/web:1.0.0
printf '[default]\nregion = eu-north-1\n[profile short]\naws_access_key_id = ASIATEMP\naws_secret_access_key = temporary\naws_session_token = token/of+session==\nregion = eu-north-1\n' >"$AWS_CONFIG_FILE"
expect 0 to_s3 team/web:1.0.0
expect 0 env AWS_PROFILE=short ingot publish -q --static "s3://boxes/my boxes/" --endpoint "$s3" --provider libvirt team/web:1.1.0
! grep -q '^403 PUT' "$TMP/asked" || fail "a signature that S3 refuses: $(cat "$TMP/asked")"
key() { echo "$TMP/s3/boxes/my%20boxes%2F${1//\//%2F}"; }
cmp "$(key boxes/team/web/1.1.0/libvirt/amd64.box)" "$www/boxes/team/web/1.1.0/libvirt/amd64.box" || fail "a box in S3"
grep -qE '^200 PUT /boxes/my%20boxes/team/web [0-9]+ application/json no-cache$' "$TMP/asked" || fail "the catalogue's headers: $(cat "$TMP/asked")"
# The server is told by Vagrant's own variable: its catalogue is one name of two.
rm -rf "$VAGRANT_HOME"
VAGRANT_SERVER_URL=$s3/boxes/my%20boxes run vagrant box add --provider libvirt team/web
run vagrant box list
grep -q '^team/web *(libvirt, 1\.1\.0' "$TMP/out" || fail "from S3: $(cat "$TMP/out")"
: >"$TMP/asked"
expect 0 to_s3 --all team/web
! grep -q PUT "$TMP/asked" || fail "put again: $(cat "$TMP/asked")"
ok "S3 has the same objects; each request is signed as AWS has it, by a login of the environment, a file or a session"

refused 1 'SignatureDoesNotMatch' env AWS_ACCESS_KEY_ID=AKIDTEST AWS_SECRET_ACCESS_KEY=wrong AWS_REGION=eu-north-1 ingot publish --static s3://boxes --endpoint "$s3" team/web:1.0.0
refused 1 'InvalidAccessKeyId' env AWS_ACCESS_KEY_ID=nobody AWS_SECRET_ACCESS_KEY=x ingot publish --static s3://boxes --endpoint "$s3" team/web:1.0.0
refused 1 'NoSuchBucket' ingot publish --static s3://none --endpoint "$s3" team/web:1.0.0
refused 1 'no connection' ingot publish --static s3://boxes --endpoint http://127.0.0.1:9 team/web:1.0.0
refused 2 'not a bucket' ingot publish --static 's3://-/x' --endpoint "$s3" team/web:1.0.0
refused 2 's3://BUCKET/PREFIX is expected' ingot publish --static s3://boxes/../x --endpoint "$s3" team/web:1.0.0
refused 2 'not the endpoint of an S3 server' ingot publish --static s3://boxes --endpoint "$s3?x" team/web:1.0.0
# A server that is busy, a connection that breaks in the middle of a box, and another publisher who is ahead.
: >"$TMP/asked"
printf 'PUT libvirt/amd64.box$ break 1\nPUT blobs 503 1\nGET index.json 500 1\nPUT index.json 412 1\n' >"$TMP/rules"
fresh() { ingot publish -q --static s3://boxes/fresh --endpoint "$s3" --provider libvirt "$@"; }
expect 0 fresh team/web:1.0.0
grep -q '^broken PUT' "$TMP/asked" && grep -q '^503 PUT' "$TMP/asked" && grep -q '^500 GET' "$TMP/asked" && grep -q '^412 PUT' "$TMP/asked" || fail "nothing broke: $(cat "$TMP/asked")"
cmp "$TMP/s3/boxes/fresh%2Fboxes%2Fteam%2Fweb%2F1.0.0%2Flibvirt%2Famd64.box" "$www/boxes/team/web/1.0.0/libvirt/amd64.box" || fail "a box after breaks"
: >"$TMP/rules"
# Killed while the second box is sent: there is the first one, and no catalogue yet.
: >"$TMP/asked"
echo 'PUT half.*qemu/amd64.box$ hang 1' >"$TMP/rules"
ingot publish -q --static s3://boxes/half --endpoint "$s3" --provider libvirt --provider qemu team/web:1.0.0 >/dev/null 2>&1 &
pid=$!
until_true grep -q '^hangs PUT' "$TMP/asked"
kill -9 $pid
wait $pid 2>/dev/null || true
[ -e "$TMP/s3/boxes/half%2Fboxes%2Fteam%2Fweb%2F1.0.0%2Flibvirt%2Famd64.box" ] && [ ! -e "$TMP/s3/boxes/half%2Fteam%2Fweb.json" ] || fail "half done: $(ls "$TMP/s3/boxes")"
: >"$TMP/asked"
expect 0 ingot publish -q --static s3://boxes/half --endpoint "$s3" --provider libvirt --provider qemu team/web:1.0.0
! grep -q 'PUT .*oci/blobs' "$TMP/asked" || fail "blobs that are there are sent again: $(cat "$TMP/asked")"
[ "$(grep -c '"url"' "$TMP/s3/boxes/half%2Fteam%2Fweb.json")" = 2 ] || fail "after the kill: $(cat "$TMP/s3/boxes/half%2Fteam%2Fweb.json")"
# Six at once: none loses what another has added.
pids=()
for number in 1 2 3 4 5 6; do
    ingot tag team/web:1.0.0 "team/web:2.0.$number" >/dev/null
    ingot publish -q --static s3://boxes/many --endpoint "$s3" --provider libvirt "team/web:2.0.$number" >"$TMP/many.$number" 2>&1 &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || fail "one of many: $(cat "$TMP"/many.?)"; done
[ "$(grep -c '"version"' "$TMP/s3/boxes/many%2Fteam%2Fweb.json")" = 6 ] && [ "$(grep -c ref.name "$TMP/s3/boxes/many%2Foci%2Findex.json")" = 6 ] || fail "of many at once: $(cat "$TMP/s3/boxes/many%2Fteam%2Fweb.json")"
! grep -q Traceback "$TMP/s3.log" || fail "$(cat "$TMP/s3.log")"
ok "S3's errors are told by name, busy servers and broken connections are outlasted, and publishers share a bucket"
