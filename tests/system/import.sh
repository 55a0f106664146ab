#!/bin/bash
# Boxes of other catalogues become images of the store: from each kind of site, resumed where it broke off, and by their sums.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/boxsite.sh
. tests/system/boxsite.sh

make_boxes
start_site
site_set "
box('team/web', '1.0.0', 'libvirt', '$TMP/libvirt1.box', architecture='amd64', default=True)
box('team/web', '1.0.0', 'vmware_desktop', '$TMP/vmware.box', architecture='amd64', default=True)
box('team/web', '1.0.0', 'docker', '$TMP/vmware.box')
box('team/web', '2.0.0', 'libvirt', '$TMP/libvirt2.box')
box('Team/Db', '1.0', 'libvirt', '$TMP/libvirt1.box', architecture='arm64', checksum=None)
box('other/thing', '1.0.0', 'libvirt', '$TMP/libvirt2.box')"

# begin: nothing is in the store.
begin() {
    rm -rf "$INGOT_STORE" "$INGOT_CACHE"
    : >"$asked"
}
images() { ingot images --json | jq -r '[.[] | .name + ":" + .tag] | sort | join(" ")'; }
all='other/thing:1.0.0 team/db:1.0 team/web:1.0.0-libvirt team/web:1.0.0-vmware_desktop team/web:2.0.0'
one=(team/web --provider libvirt --version 1.0.0)

site_set "s['token'] = 'secret-token-of-the-site'; s['busy'] = 1"
expect 1 ingot import vagrant "$site" team/web
grep -q 'the site wants a login (status 401): set INGOT_TOKEN' "$TMP/err" || fail "without a token: $(cat "$TMP/err")"
[ "$(grep -c ' 429 ' "$asked")" = 1 ] || fail "a site that asks to wait: $(cat "$asked")"
export INGOT_TOKEN=${site#http://}=secret-token-of-the-site
begin
expect 0 ingot import vagrant "$site"
[ "$(images)" = "$all" ] || fail "all boxes of the site: $(images)"
grep -q 'left out: team/web, boxes for docker: no image can be a box for docker' "$TMP/err" || fail "what is left out: $(cat "$TMP/err")"
[ "$(grep -c 'search.*page=' "$asked")" = 3 ] || fail "pages: $(cat "$asked")"
for pair in team/web:2.0.0=v2 team/web:1.0.0-libvirt=v1 team/web:1.0.0-vmware_desktop=v1 team/db:1.0=v1; do
    ingot export -q "${pair%=*}" -o "$TMP/out.raw"
    cmp "$TMP/out.raw" "$TMP/${pair#*=}.raw" || fail "another disk: $pair"
    rm "$TMP/out.raw"
done
ingot show --json team/db:1.0 >"$TMP/shown"
jq -e '.config | .architecture == "arm64" and .firmware == ["uefi"] and .outputs == ["vagrant-libvirt"] and
    (.vagrant.vagrantfile | contains("config.ssh.username"))' "$TMP/shown" >/dev/null || fail "what is known of the box: $(cat "$TMP/shown")"
ok "all boxes of a site that wants a token, asks to wait and lists in pages"

: >"$asked"
expect 0 ingot import vagrant "$site" 'team/*' other/thing
[ "$(downloads)" = 0 ] || fail "what is there comes again: $(cat "$asked")"
begin
expect 0 ingot import vagrant "$site" "${one[@]}" --arch x86_64 --json
jq -e '.files == 1 and .failed == 0 and .images[0].image == "team/web:1.0.0-libvirt"' "$TMP/out" >/dev/null || fail "as JSON: $(cat "$TMP/out")"
[ "$(images)" = team/web:1.0.0-libvirt ] && [ "$(downloads)" = 1 ] || fail "one box of them: $(images)"
# Each box has its own name, whichever was wanted first; another image of that name is never taken for it.
expect 0 ingot import vagrant "$site" team/web --provider vmware_desktop --version 1.0.0
[ "$(images)" = "team/web:1.0.0-libvirt team/web:1.0.0-vmware_desktop" ] || fail "another box of them: $(images)"
ingot tag team/web:1.0.0-libvirt team/web:1.0.0-vmware_desktop >/dev/null
ingot pack -q "$TMP/v1.raw" team/web:2.0.0 >/dev/null
expect 1 ingot import vagrant "$site" team/web
grep -q 'the box for vmware_desktop (amd64): the store has another image as team/web:1.0.0-vmware_desktop, of a box for libvirt, for amd64' "$TMP/err" || fail "a box of another provider: $(cat "$TMP/err")"
grep -q 'the store has another image as team/web:2.0.0, of no box' "$TMP/err" || fail "an image of no box: $(cat "$TMP/err")"
expect 2 ingot import vagrant "$site" team/web --provider docker
expect 1 ingot import vagrant "$site" team/nothing
grep -q 'there is no box team/nothing' "$TMP/err" || fail "a box that is not there: $(cat "$TMP/err")"
expect 1 ingot import vagrant "$site" team/web --version 9.9.9
grep -q 'there is no version 9.9.9' "$TMP/err" || fail "a version that is not there: $(cat "$TMP/err")"
ok "what is in the store does not come again, and what is asked for comes alone"

unset INGOT_TOKEN
site_set "s['token'] = None"
for api in v1 hcp plain; do
    begin
    site_set "s['apis'] = ['$api', 'html'] if '$api' == 'plain' else ['$api']"
    expect 0 ingot import vagrant "$site" team/web Team/Db
    [ "$(images)" = "${all#other/thing:1.0.0 }" ] || fail "by $api: $(images)"
    [ $api != plain ] || continue
    expect 0 ingot import vagrant "$site" 'other/*'
    [ "$(images)" = "$all" ] || fail "an organisation by $api: $(images)"
done
site_set "s['apis'] = ['v2']"
ok "the same by the API's first version, by HCP's, and by a plain catalogue"

mkdir -p "$TMP/files/team" "$TMP/files/boxes"
cp "$TMP/libvirt1.box" "$TMP/files/boxes/web.box"
sum=$(sha1sum "$TMP/libvirt1.box" | cut -d' ' -f1)
# catalogue URL: of one box there.
catalogue() { echo "{\"name\": \"team/web\", \"versions\": [{\"version\": \"1.0.0\", \"providers\": [{\"name\": \"libvirt\", \"url\": \"$1\", \"checksum_type\": \"sha1\", \"checksum\": \"$sum\"}]}]}"; }
# by_file URL FILE SITE: the box comes by that URL in that file.
by_file() {
    begin
    catalogue "$1" >"$TMP/files/$2"
    expect 0 ingot import vagrant "file://$TMP/files$3"
    [ "$(images)" = team/web:1.0.0 ] || fail "$1 in $2: $(images)"
}
by_file ../boxes/web.box team/web.json ''
by_file "file://$TMP/files/boxes/web.box" team/web.json /
by_file web.box boxes/web.json /boxes/web.json
expect 1 ingot import vagrant "file://$TMP/files/boxes/web.json" team/other
begin
ln -s "$TMP/libvirt1.box" "$TMP/files/boxes/link.box"
for url in "file://$TMP/libvirt1.box" ../../../../../../etc/passwd /etc/passwd link.box ../team/web.json; do
    catalogue "$url" >"$TMP/files/boxes/web.json"
    expect 1 ingot import vagrant "file://$TMP/files/boxes/web.json"
    grep -Eq "outside of the catalogue's folder" "$TMP/err" || fail "$url: $(cat "$TMP/err")"
done
ok "files of a folder, and nothing out of it"

begin
size=$(stat -c %s "$TMP/libvirt1.box")
step=$((size / 4))
site_set "s['cut'] = $step; s['lives'] = 1"
expect 0 ingot import vagrant "$site" "${one[@]}"
[ "$(came)" = "$size" ] && [ "$(downloads)" = $(((size + step - 1) / step)) ] || fail "a download that breaks off: $(came) of $size bytes in $(downloads) requests"
begin
site_set "s['cut'] = 0"
expect 1 ingot import vagrant "$site" "${one[@]}"
grep -q 'breaks off at byte 0 again and again' "$TMP/err" || fail "nothing comes: $(cat "$TMP/err")"
begin
site_set "del s['cut']; s['lives'] = 0"
expect 1 ingot import vagrant "$site" "${one[@]}"
grep -q 403 "$TMP/err" && [ "$(downloads)" = 3 ] || fail "a site whose URLs have always expired: $(downloads) $(cat "$TMP/err")"
site_set "del s['lives']"
ok "a download that breaks off is gone on with by a new URL, one that brings nothing ends"

# Killed while it comes: the site sends little at a time.
begin
site_set "s['cut'] = $((size / 40))"
ingot import vagrant "$site" "${one[@]}" >"$TMP/out" 2>"$TMP/err" &
pid=$!
until [ "$(came)" -ge $((size / 8)) ]; do sleep 0.01; done
kill -9 $pid
wait $pid 2>/dev/null || true
[ "$(came)" -lt "$size" ] || fail "it was too fast to be killed"
expect 0 ingot import vagrant "$site" "${one[@]}"
[ "$(came)" -le $((size + size / 20)) ] || fail "after a kill: $(came) bytes of $size came"
[ -z "$(ls "$INGOT_CACHE/imports")" ] || fail "left behind: $(ls "$INGOT_CACHE/imports")"
site_set "del s['cut']"
ok "a command that was killed is gone on with"

begin
site_set "s['boxes'] = {}
box('team/web', '1.0.0', 'libvirt', '$TMP/libvirt2.box', checksum='$sum', checksum_type='sha1')
box('team/web', '2.0.0', 'libvirt', '$TMP/libvirt2.box')"
expect 1 ingot import vagrant "$site" team/web
grep -q "failed: team/web 1.0.0, the box for libvirt: .*its sha1 is .* where the catalogue says $sum" "$TMP/err" || fail "another checksum: $(cat "$TMP/err")"
grep -q '1 boxes could not be had; the rest was' "$TMP/err" && [ "$(images)" = team/web:2.0.0 ] || fail "the rest: $(images) $(cat "$TMP/err")"
# The catalogue gets another file under the version after the first was asked for.
begin
site_set "s['boxes'] = {}
box('team/web', '1.0.0', 'libvirt', '$TMP/libvirt1.box')
new = s['boxes']
s['boxes'] = {}
box('team/web', '1.0.0', 'libvirt', '$TMP/libvirt2.box', checksum='$sum', checksum_type='sha1')
s['then'] = {'1': {'boxes': new}}"
expect 0 ingot import vagrant "$site" team/web
ingot export -q team/web:1.0.0 -o "$TMP/out.raw"
cmp "$TMP/out.raw" "$TMP/v1.raw" || fail "not by what the catalogue says now"
[ "$(downloads)" = 2 ] || fail "asked $(downloads) times"
ok "a checksum that differs is named, and a catalogue that changes is read again"

begin
site_set "s['boxes'] = {}; s.pop('then')
box('team/web', '1.0.0', 'libvirt', '$TMP/libvirt1.box', architecture='x86_64')"
for word in amd64 x86_64; do
    begin
    expect 0 ingot import vagrant "$site" team/web --arch $word
    [ "$(images)" = team/web:1.0.0 ] || fail "--arch $word of a catalogue that says x86_64: $(images)"
done
expect 1 ingot import vagrant "$site" team/web --arch arm64
grep -q 'what was asked for has no box (arm64)' "$TMP/err" || fail "no box for it: $(cat "$TMP/err")"
expect 1 ingot import vagrant "$site" --provider qemu
grep -q 'what was asked for has no box for qemu' "$TMP/err" || fail "no box for a provider: $(cat "$TMP/err")"
ok "an architecture is asked for under any of its names, and what no box is for is named"

# What other boxes the version has changes, before and after, and so would the name.
: >"$asked"
site_set "
box('team/web', '1.0.0', 'vmware_desktop', '$TMP/vmware.box', architecture='x86_64')"
expect 0 ingot import vagrant "$site" team/web
[ "$(images)" = 'team/web:1.0.0 team/web:1.0.0-vmware_desktop' ] && [ "$(downloads)" = 1 ] || fail "a second provider: $(images), $(downloads) downloads"
site_set "s['boxes'] = {}
box('team/web', '1.0.0', 'vmware_desktop', '$TMP/vmware.box', architecture='amd64')"
ingot rm -q team/web:1.0.0
expect 0 ingot import vagrant "$site" team/web
[ "$(images)" = team/web:1.0.0-vmware_desktop ] && [ "$(downloads)" = 1 ] || fail "a provider less: $(images), $(downloads) downloads"
site_set "s['boxes'] = {}
box('team/web', '1.0.0', 'vmware_desktop', '$TMP/vmware.box', architecture='amd64', checksum='$sum', checksum_type='sha1')"
expect 0 ingot import vagrant "$site" team/web
! grep -q 'kept:' "$TMP/err" || fail "a checksum of another type: $(cat "$TMP/err")"
site_set "s['boxes'] = {}
box('team/web', '1.0.0', 'vmware_desktop', '$TMP/libvirt1.box', architecture='amd64')"
expect 0 ingot import vagrant "$site" team/web
grep -q 'kept: team/web 1.0.0, the box for vmware_desktop (amd64): the catalogue has another file' "$TMP/err" || fail "another file: $(cat "$TMP/err")"
[ "$(downloads)" = 1 ] || fail "what is kept comes again"
ok "a box keeps its name when others join it, and a file that the catalogue has exchanged is told"

begin
mkdir "$TMP/arm"
tar -C "$TMP/arm" -xf "$TMP/libvirt1.box"
sed -i 's/{/{"architecture": "aarch64", /' "$TMP/arm/metadata.json"
tar -C "$TMP/arm" -czf "$TMP/arm.box" .
site_set "s['boxes'] = {}
box('team/web', '4.0.0', 'libvirt', '$TMP/libvirt1.box', architecture='sparc64')
box('team/web', '5.0.0', 'libvirt', '$TMP/arm.box', architecture='amd64')
for type, sum in (('md5', 'zz'), ('crc32', '0'), ('sha256', 'ff')):
    box('team/web', '1.' + type[-1] + '.0', 'libvirt', '$TMP/libvirt1.box', checksum=sum, checksum_type=type)
box('team/web', '../../up', 'libvirt', '$TMP/libvirt1.box')
box('team/web', '2.0.0', '../libvirt', '$TMP/libvirt1.box')
box('team/web', '3.0.0', 'libvirt', '/etc/passwd')
box('../up', '1.0.0', 'libvirt', '$TMP/libvirt1.box')"
expect 1 ingot import vagrant "$site"
for why in 'its checksum is not a md5 in hex digits' "of type 'crc32'" 'not a sha256 in hex' 'team/web ../../up: a registry cannot have a tag' 'is no plain word' 'neither a tar nor a zip' \
    'said to be for sparc64, no architecture that is known' 'said to be for amd64, but the box is for arm64'; do
    grep -qF "$why" "$TMP/err" || fail "$why: $(cat "$TMP/err")"
done
catalogue "file://$TMP/libvirt1.box" >"$TMP/files/team/web"
site_set "s['apis'] = ['document']; s['document'] = open('$TMP/files/team/web').read()"
expect 1 ingot import vagrant "$site/web.json"
grep -q "a box by the network is at an http or https URL" "$TMP/err" || fail "a file of this machine by the network: $(cat "$TMP/err")"
site_set "s['document'] = ' ' * 20000000"
expect 1 ingot import vagrant "$site/web.json"
grep -q 'the answer has more than 16 MiB' "$TMP/err" || fail "an endless answer: $(cat "$TMP/err")"
expect 2 ingot import vagrant ftp://example.org/x
expect 2 ingot import docker x
[ "$(images)" = "" ] || fail "taken: $(images)"
ok "what a catalogue should not say is named"
