#!/bin/bash
# The client's policy: which names need which keys. What it refuses gets no tag, and of its disk nothing is fetched.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
unset INGOT_POLICY
start_ingotd
start_upstream "$REGISTRY"
cd "$TMP"
export XDG_CONFIG_HOME=$TMP/config
mkdir -p config/containers
BUNDLE=application/vnd.dev.sigstore.bundle.v0.3+json
MANIFEST=application/vnd.oci.image.manifest.v1+json
for name in web db; do
    head -c 300000 /dev/urandom >$name.raw
    truncate -s 1M $name.raw
    ingot pack -q $name.raw $name:1.0.0 >/dev/null
done
image=$(ingot images -q --json | python3 -c 'import json, sys; print(next(i["digest"] for i in json.load(sys.stdin) if i["name"] == "web"))')
for key in release other; do ingot key generate -q --no-passphrase $key.key >/dev/null; done
cat other.key.pub release.key.pub >both.pem
web=$REGISTRY/team/web bare=$REGISTRY/bare/web
for name in "$web" "$bare"; do
    ingot push -q web:1.0.0 "$name:1.0.0" >/dev/null
    ingot push -q web:1.0.0 "$name:dev" >/dev/null
done
ingot sign -q "$web:1.0.0" --key release.key >/dev/null

# policy SCOPES [DEFAULT]: the file in force. signed MEMBERS...: one requirement, by the release key unless another is given.
policy() { printf '{"default":[{"type":"%s"}],"transports":{%s}}' "${2:-insecureAcceptAnything}" "$1" >config/containers/policy.json; }
docker() { policy "\"docker\":{\"$1\":$2}" "${3:-reject}"; }
signed() {
    local identity=
    [ -z "${2-}" ] || identity=",\"signedIdentity\":{$2}"
    printf '[{"type":"sigstoreSigned",%s%s}]' "${1:-"\"keyPath\":\"$TMP/release.key.pub\""}" "$identity"
}
# pulled REF, refused REF WORDS [STATUS]: into a store that has nothing.
pulled() {
    rm -rf new
    ingot pull -q --store new "$1" >/dev/null 2>err || fail "$1: $(cat err)"
}
refused() {
    rm -rf new
    expect "${3:-3}" ingot pull --store new "$1"
    grep -q "$2" err || fail "$1 is refused by other words than '$2': $(cat err)"
    [ -z "$(ingot images -q --store new)" ] || fail "$1 is refused, but named: $(ingot images --store new)"
    [ -z "$(find new/blobs new/tmp -type f -size +64k 2>/dev/null)" ] || fail "$1 is refused, but its disk was fetched: $(find new -type f)"
}

pulled "$web:1.0.0"
policy '' reject
refused "$web:1.0.0" "$TMP/config/containers/policy.json (default): it rejects"
docker "$REGISTRY/team" '[{"type":"reject"}]' insecureAcceptAnything
refused "$web:1.0.0" "transports, docker, '$REGISTRY/team'"
pulled "$bare:1.0.0"
ok "what the policy rejects is refused, by the scope that says so"

docker "$REGISTRY" '[{"type":"signedByNobody"}]'
refused "$web:1.0.0" "unknown type 'signedByNobody'"
docker r.example '[{"type":"reject","reason":"x"}]' insecureAcceptAnything
refused "$web:1.0.0" "unknown member 'reason'"
echo '{"default":[{"type":"insecureAcceptAnything"}]' >config/containers/policy.json
refused "$web:1.0.0" "can't be applied"
ln -sf nowhere config/containers/policy.json
refused "$web:1.0.0" "config/containers/policy.json"
rm config/containers/policy.json
mkdir config/containers/policy.json
refused "$web:1.0.0" "config/containers/policy.json"
rmdir config/containers/policy.json
INGOT_POLICY=$TMP/none refused "$web:1.0.0" "$TMP/none"
docker "$REGISTRY" "$(signed '"keyPath":"/nowhere/release.pub"')"
refused "$web:1.0.0" "/nowhere/release.pub"
docker "$REGISTRY" '[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k"}]'
refused "$web:1.0.0" 'GPG'
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >accept.json
rm -rf new
ingot pull -q --policy accept.json --store new "$web:1.0.0" >/dev/null || fail "--policy"
INGOT_POLICY=accept.json pulled "$web:1.0.0"
ok "a policy that can't be read or met as a whole refuses; an option and a variable name another"

docker "$REGISTRY" "$(signed)"
pulled "$web:1.0.0"
pulled "$web@$image"
refused "$web:dev" "signed as $web:1.0.0.*matchRepository"
refused "$bare:1.0.0" 'it is not signed'
docker "$REGISTRY/team/web" "$(signed '' '"type":"matchRepository"')"
pulled "$web:dev"
for keys in '"keyPath":"both.pem"' '"keyPaths":["other.key.pub","release.key.pub"]' "\"keyData\":\"$(base64 -w0 both.pem)\""; do
    docker "$REGISTRY" "$(signed "${keys//:\"b/:\"$TMP/b}")"
    [[ $keys != *Paths* ]] || cp ./*.pub config/containers/
    pulled "$web:1.0.0"
done
docker "$REGISTRY" "$(signed "\"keyPath\":\"$TMP/other.key.pub\"")"
refused "$web:1.0.0" 'not signed by a key'
policy "\"docker\":{\"$REGISTRY\":[$(signed | tr -d '[]'),$(signed "\"keyPath\":\"$TMP/other.key.pub\"" | tr -d '[]')]}"
refused "$web:1.0.0" 'not signed by a key'
ingot sign -q "$web:1.0.0" --key other.key >/dev/null
pulled "$web:1.0.0"
ok "signatures count by the keys that the policy names, all that it asks for"

# Some registries deny what is not there. Where a signature itself is denied, nobody can tell that none counts.
docker "$upstream" "$(signed '' "\"type\":\"exactRepository\",\"dockerRepository\":\"$web\"")"
printf '%s\n' '(GET|HEAD)+.*\.sig status 403' >rules
pulled "$upstream/team/web:1.0.0"
printf '%s\n' "GET.*/manifests/sha256:(?!${image#*:}) status 403" >rules
refused "$upstream/team/web:1.0.0" 'not all of its signatures could be read' 1
: >rules
ok "what a registry denies beside the image is no signature, and one that it denies is not passed over"

# A signature of another image, and of another name, attached to this one.
# attach NAME BUNDLE: to the image.
attach() {
    local size sum
    size=$(stat -c %s "$INGOT_STORE/blobs/sha256/${image#sha256:}") sum=$(sha256sum <"$2" | cut -d' ' -f1)
    printf '{}' >empty
    put_blob "$1" empty
    put_blob "$1" "$2"
    printf '{"schemaVersion":2,"mediaType":"%s","artifactType":"%s","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:%s","size":2},"layers":[{"mediaType":"%s","digest":"sha256:%s","size":%d}],"subject":{"mediaType":"%s","digest":"%s","size":%d}}' \
        $MANIFEST $BUNDLE "$(sha256sum <empty | cut -d' ' -f1)" $BUNDLE "$sum" "$(stat -c %s "$2")" $MANIFEST "$image" "$size" >referrer
    curl -sf -o /dev/null -X PUT -H "content-type: $MANIFEST" --data-binary @referrer \
        "http://$REGISTRY/v2/$1/manifests/sha256:$(sha256sum <referrer | cut -d' ' -f1)" || fail "the registry refuses a referrer"
}
# bundle IMAGE: the file of the signature that `ingot sign` makes in the store.
bundle() {
    local manifest
    manifest=$(ingot sign "$1" --key release.key --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["signature"])')
    python3 -c 'import json, sys; print(sys.argv[1] + json.load(sys.stdin)["layers"][0]["digest"][7:])' "$INGOT_STORE/blobs/sha256/" <"$INGOT_STORE/blobs/sha256/${manifest#sha256:}"
}
ingot pack -q --store "$TMP/plain" web.raw web:1.0.0 >/dev/null # whose image has no signatures to bring along
for name in replayed renamed; do ingot push -q --store "$TMP/plain" web:1.0.0 "$REGISTRY/$name/web:1.0.0" >/dev/null; done
attach replayed/web "$(bundle db:1.0.0)"
attach renamed/web "$(bundle web:1.0.0)"
docker "$REGISTRY" "$(signed)"
refused "$REGISTRY/replayed/web:1.0.0" 'about another image'
refused "$REGISTRY/renamed/web:1.0.0" 'signed as web:1.0.0'
docker "$REGISTRY" "$(signed '' "\"type\":\"remapIdentity\",\"prefix\":\"$REGISTRY/renamed\",\"signedPrefix\":\"$REGISTRY/team\"")"
refused "$REGISTRY/renamed/web:1.0.0" 'signed as web:1.0.0'
docker "$REGISTRY" "$(signed '' '"type":"exactRepository","dockerRepository":"web"')"
pulled "$REGISTRY/renamed/web:1.0.0"
refused "$web:1.0.0" "signed as $web:1.0.0"
ok "a signature of another image never counts, and one of another name only where the policy says so"

# What the store has: no network is needed, and what was pulled before the policy is judged too.
rm config/containers/policy.json
ingot pull -q "$web:1.0.0" >/dev/null
ingot pull -q "$bare:1.0.0" >/dev/null
docker "$REGISTRY" "$(signed)"
for reference in "$bare:1.0.0" "$bare@$image"; do
    expect 3 ingot export "$reference" -o out.raw
    expect 3 ingot run "$reference"
    [ ! -e out.raw ] || fail "$reference is refused, but exported"
done
printf 'name: app\nversion: 1.0.0\nsource: {from: "%s"}\nsteps: [{shell: "true"}]\n' "$bare:1.0.0" >app.yaml
expect 3 ingot build app.yaml
grep -q "$bare:1.0.0: refused by the policy" err || fail "from: $(cat err)"
sed -i "s,from: .*},from: \"$bare@$image\"}," app.yaml
expect 3 ingot build app.yaml
ingot export -q "$web:1.0.0" -o out.raw && cmp out.raw web.raw || fail "a signed image is not exported"
ok "run, export and from: are judged as a pull is"

# In the place of curl, under Vagrant. front URL [OPTION...], as Vagrant calls it.
front() {
    local url=$1
    shift
    rm -f box
    INGOT_VAGRANT=/dev/null "$OLDPWD/$B/libexec/front/curl" -sf "$@" --output box "$url"
}
# no_box WORDS URL [OPTION...]: nothing is there for Vagrant, and it is told why.
no_box() {
    local words=$1
    shift
    expect 22 front "$@"
    [ ! -e box ] && grep -q "$words" err || fail "$* is refused by other words than '$words', or there is a box: $(cat err)"
}
box_of() { echo "http://$1/$image/vagrant-libvirt/libvirt.box"; }
view "$(box_of "$REGISTRY/formats/team/web")" >whole.box
docker "$REGISTRY" "$(signed)"
for way in '' '--continue-at -'; do
    # shellcheck disable=SC2086
    no_box 'not signed' "$(box_of "$REGISTRY/formats/bare/web")" $way
    # shellcheck disable=SC2086
    front "$(box_of "$REGISTRY/formats/team/web")" $way && cmp box whole.box || fail "no box of a signed image ($way)"
done
no_box 'by its digest' "http://$REGISTRY/formats/bare/web/1.0.0/vagrant-libvirt/libvirt.box"
INGOT_PLAIN_HTTP=none no_box 'by the scheme' "$(box_of "$REGISTRY/formats/bare/web")"
INGOT_STORE=/dev/null/x no_box 'null' "$(box_of "$REGISTRY/formats/bare/web")" --continue-at -
docker "$upstream" "$(signed)" insecureAcceptAnything
printf '%s\n' '/referrers/ status 403' >rules
no_box 'status 403' "$(box_of "$upstream/formats/bare/web")" --continue-at -
: >rules
front "$(box_of "$REGISTRY/formats/bare/web")" && cmp box whole.box || fail "no box of an image of which the policy asks nothing"
ok "a box is judged as a pull is, and the registry's own is never taken instead, whatever fails"

# A catalogue is not signed.
catalogue() { printf '%s\n' "/vagrant/ body {\"versions\":[{\"version\":\"1.0.0\",\"providers\":[{\"name\":\"libvirt\",\"url\":\"$1\"}]}]}" >rules; }
for url in "http://$upstream/evil.box" "$(box_of "$upstream/formats/team/db")" "$(box_of "$REGISTRY/formats/team/web")" "http://$upstream/formats/team/web/1.0.0/vagrant-libvirt/libvirt.box"; do
    catalogue "$url"
    no_box "names $url" "http://$upstream/vagrant/team/web@dev"
done
printf '%s\n' '/vagrant/ html' >rules
no_box "catalogue can't be read" "http://$upstream/vagrant/team/web"
: >rules
front "http://$upstream/vagrant/team/web" && grep -q "$(box_of "$upstream/formats/team/web")" box || fail "the registry's own catalogue is refused: $(cat box)"
expect 22 front "http://$upstream/vagrant/no/such"
ok "a catalogue of a name that the policy speaks of names boxes that are judged, and no others"

# However a URL is written, and below whatever path of its host a registry stands.
printf '%s\n' '/reg/ body {"versions":[]}' '/(%76agrant|vagrant)/ body {"versions":[{"providers":[{"url":"http://r.example/evil.box"}]}]}' >rules
docker "$upstream" "$(signed)" insecureAcceptAnything
for url in "reg/vagrant/team/web" "a/b/api/v2/vagrant/team/web@dev" "reg/formats/team/web/$image/vagrant-libvirt/libvirt.box" "{vagrant}/team/web"; do
    no_box 'below no other path' "http://$upstream/$url"
done
for url in "http://$upstream/%76agrant/te%61m/web" "http://me:word@$upstream/reg/../vagrant/team/web" "$upstream/vagrant/team/web"; do
    no_box 'names http://r.example/evil.box' "$url"
done
no_box 'signedIdentity does not take' "$(box_of "$upstream/formats/te%61m/web")"
no_box 'below no other path' "http://${upstream%:*}.:${upstream#*:}/vagrant/team/web"
docker "${upstream%:*}" "$(signed)" insecureAcceptAnything
no_box 'below no other path' "http://${upstream%:*}:80/vagrant/team/web"
docker "$upstream/team/db" "$(signed)" insecureAcceptAnything
front "http://$upstream/reg/vagrant/team/web" && [ "$(cat box)" = '{"versions":[]}' ] || fail "a catalogue of which the policy asks nothing: $(cat box)"
: >rules
ok "no way to write a URL has a box of a name past the policy that speaks of it"

# By tags: a channel's catalogue is of that tag, each version in another one of its own.
ingot push -q --store "$TMP/plain" web:1.0.0 "$REGISTRY/bare/web:1.1.0" >/dev/null
docker "$REGISTRY/bare/web:dev" "$(signed)" insecureAcceptAnything
for at in @ %40; do no_box 'it is not signed' "http://$REGISTRY/vagrant/bare/web${at}dev"; done
front "http://$REGISTRY/vagrant/bare/web" && grep -q '"1.0.0"' box && grep -q '"1.1.0"' box || fail "a catalogue of other tags: $(cat box)"
docker "$REGISTRY/bare/web:1.0.0" '[{"type":"reject"}]' insecureAcceptAnything
front "http://$REGISTRY/vagrant/bare/web" && grep -q '"1.1.0"' box && ! grep -q '"1.0.0"' box || fail "a version that is rejected: $(cat box)"
docker "$REGISTRY/team/web:dev" "$(signed)" insecureAcceptAnything
no_box "signed as $web:1.0.0" "http://$REGISTRY/vagrant/team/web@dev"
docker "$REGISTRY/team/web:dev" "$(signed '' '"type":"matchRepository"')" insecureAcceptAnything
front "http://$REGISTRY/vagrant/team/web@dev" && grep -q "$(box_of "$REGISTRY/formats/team/web")" box || fail "a signed channel's catalogue: $(cat box)"
front "$(box_of "$REGISTRY/formats/team/web")" && cmp box whole.box || fail "no box of a signed channel"
ok "what the policy asks of a channel or a version holds for its boxes"

policy '' reject
ingot export -q web:1.0.0 -o here.raw && cmp here.raw web.raw || fail "an image of this machine is refused"
policy '"containers-storage":{"":[{"type":"reject"}]}'
expect 3 ingot export web:1.0.0 -o here2.raw
expect 3 ingot pull web:1.0.0 -o here2.raw
policy '"containers-storage":{"":'"$(signed)"'}' reject
ingot export -q web:1.0.0 -o here3.raw || fail "an image of this machine that is signed is refused"
ok "an image without a registry's host is refused only where the policy speaks of containers-storage"

# A follower: each move is judged anew, by the policy as it is then.
ingot sign -q "$web:1.0.0" --key release.key >/dev/null
docker "$REGISTRY" "$(signed)"
ingot follow "$web:dev" --exec "touch $TMP/ran" --once --retry 1s --folder followed >follow.out 2>follow.err &
follower=$!
ENDING+=("$follower")
until grep -q 'refused by the policy' follow.err; do
    kill -0 "$follower" 2>/dev/null || fail "the follower ends: $(cat follow.err)"
    sleep 0.05
done
[ ! -e ran ] || fail "the command runs with what is refused"
docker "$REGISTRY" "$(signed '' '"type":"matchRepository"')"
wait "$follower" || fail "the follower ends with $?: $(cat follow.err)"
[ -e ran ] || fail "the command has not run: $(cat follow.err)"
ok "a follower runs nothing that the policy refuses"
