#!/bin/bash
# A catalogue of Vagrant boxes is mirrored: its boxes, versions and descriptions are served here to Vagrant, once and again.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/boxsite.sh
. tests/system/boxsite.sh
export VAGRANT_HOME=$TMP/vagrant VAGRANT_CHECKPOINT_DISABLE=1 VAGRANT_NO_COLOR=1

make_boxes
start_site
site_set "
box('Team/Web', '1.0.0', 'libvirt', '$TMP/libvirt1.box', architecture='amd64', default=True)
box('Team/Web', '1.0.0', 'libvirt', '$TMP/libvirt2.box', architecture='arm64')
box('Team/Web', '1.0.0', 'vmware_desktop', '$TMP/vmware.box', architecture='amd64', default=True)
box('Team/Web', '1.0.0', 'docker', '$TMP/vmware.box')
box('Team/Web', '1.0-?', 'libvirt', '$TMP/libvirt1.box')
box('Team/Web', '1.0_x', 'libvirt', '$TMP/libvirt1.box')
box('team/db', '20240101.0.0', 'libvirt', '$TMP/libvirt1.box')
box('team/db', 'prod', 'libvirt', '$TMP/libvirt1.box')"
data=$TMP/mirror
mirror() { ingotd mirror --data "$data" --vagrant "$@"; }
# told KEY: a number of the last outcome, which was JSON.
told() { jq ".$1" "$TMP/out"; }

expect 0 mirror "$site"
grep -q '^team/web 1.0.0 libvirt arm64$' "$TMP/out" && grep -q '^2 boxes: 3 versions released, 5 files taken' "$TMP/out" || fail "a mirror says: $(cat "$TMP/out")"
grep -q '^left out: team/web, boxes for docker: no image can be a box for docker' "$TMP/out" || fail "what is left out: $(cat "$TMP/out")"
grep -q '^left out: team/web 1.0-?: a registry cannot have a tag of that name' "$TMP/out" || fail "what has no name here: $(cat "$TMP/out")"
grep -q '^left out: team/web 1.0_x: it is kept, but Vagrant cannot read that version' "$TMP/out" || fail "what Vagrant can't read: $(cat "$TMP/out")"
grep -q '^left out: team/db prod: it is a channel here' "$TMP/out" || fail "a version with the name of a channel: $(cat "$TMP/out")"
fetched=$(came) stored=$(du -sb "$data/packs" | cut -f1)
[ $((stored * 100)) -le $((fetched * 35)) ] || fail "$stored bytes are stored of boxes of $fetched bytes that are alike"
: >"$asked"
expect 0 mirror --json "$site"
[ "$(told files) $(told versions) $(told failed)" = "0 0 0" ] && [ "$(downloads)" = 0 ] || fail "again: $(cat "$TMP/out" "$asked")"
grep -q 'left out' "$TMP/err" && fail "it is told again: $(cat "$TMP/err")"
ok "a site's boxes are mirrored by a folder's own process, and come once"

start_ingotd "$data"
# listed BOX: "VERSION PROVIDER ARCHITECTURE DEFAULT" of each, as the catalogue has it.
listed() { curl -sf "http://$REGISTRY/api/v2/vagrant/$1" | jq -r '.versions[] | .version as $v | .providers[] | [$v, .name, .architecture, .default_architecture] | join(" ")' | sort; }
[ "$(listed team/web)" = "1.0.0 libvirt amd64 true
1.0.0 libvirt arm64 false
1.0.0 vmware_desktop amd64 true" ] || fail "the catalogue: $(listed team/web)"
curl -sf "http://$REGISTRY/api/v2/box/team/web" | jq -e '.short_description == "short" and (.description_markdown | startswith("about Team/Web")) and .versions[0].description_markdown == "notes of 1.0.0"' >/dev/null || fail "descriptions: $(curl -s "http://$REGISTRY/api/v2/box/team/web")"
for pair in libvirt:amd64:v1 libvirt:arm64:v2; do
    IFS=: read -r provider arch disk <<<"$pair"
    url=$(curl -sf "http://$REGISTRY/api/v2/vagrant/team/web" | jq -r ".versions[].providers[] | select(.name == \"$provider\" and .architecture == \"$arch\").url")
    view -o "$TMP/got.box" "$url"
    tar -xOf "$TMP/got.box" box.img >"$TMP/got.qcow2"
    qemu-img compare -q "$TMP/got.qcow2" "$TMP/$disk.raw" || fail "another disk: $pair"
done
box_catalogue "http://$REGISTRY/team/web" >/dev/null
VAGRANT_SERVER_URL=http://$REGISTRY vagrant box add --provider libvirt team/web >"$TMP/out" 2>&1 || fail "box add: $(cat "$TMP/out")"
vagrant box list | grep -qi '^team/web *(libvirt, 1\.0\.0' || fail "box list: $(vagrant box list)"
grep -rq 'config.ssh.username = "libvirt"' "$VAGRANT_HOME/boxes" || fail "its Vagrantfile: $(find "$VAGRANT_HOME/boxes" -name Vagrantfile -exec cat {} +)"
ok "Vagrant adds a box that was mirrored, with its own Vagrantfile"

# By the process that serves, from here on. A version that was released gets what comes later, and keeps what it has.
site_set "
box('Team/Web', '2.0.0', 'libvirt', '$TMP/libvirt2.box', architecture='amd64', default=True)
s['boxes']['Team/Web']['versions'][0]['description'] = 'other notes'
first = s['boxes']['Team/Web']['versions'][0]['providers']
second = [p for p in first if p['name'] != 'libvirt']
s['boxes']['Team/Web']['versions'][0]['providers'] = second
box('Team/Web', '1.0.0', 'libvirt', '$TMP/libvirt2.box', architecture='amd64', default=True)
box('Team/Web', '1.0.0', 'vmware_fusion', '$TMP/vmware.box', architecture='arm64')"
expect 0 mirror --json "$site" 'Team/*'
[ "$(told files) $(told versions) $(told kept)" = "2 2 1" ] || fail "what is new: $(cat "$TMP/out" "$TMP/err")"
grep -q '^kept: team/web 1.0.0, the box for libvirt (amd64): the catalogue has another file under it now' "$TMP/err" || fail "what changed: $(cat "$TMP/err")"
curl -sf "http://$REGISTRY/api/v2/box/team/web" | jq -e '[.versions[] | .description_markdown] | sort == ["notes of 2.0.0", "other notes"]' >/dev/null || fail "the new description: $(curl -s "http://$REGISTRY/api/v2/box/team/web")"
[ "$(listed team/web | grep -c '^1.0.0')" -ge 3 ] && listed team/web | grep -q '^2.0.0 libvirt amd64 true' || fail "the catalogue: $(listed team/web)"
url=$(curl -sf "http://$REGISTRY/api/v2/vagrant/team/web" | jq -r '.versions[] | select(.version == "1.0.0").providers[] | select(.name == "libvirt" and .architecture == "amd64").url')
view -o "$TMP/got.box" "$url"
tar -xOf "$TMP/got.box" box.img >"$TMP/got.qcow2"
qemu-img compare -q "$TMP/got.qcow2" "$TMP/v1.raw" || fail "what was released changes"
box_catalogue "http://$REGISTRY/team/web" >/dev/null
(cd "$TMP" && VAGRANT_SERVER_URL=http://$REGISTRY vagrant box outdated --global) >"$TMP/out" 2>&1 || true
grep -qi "team/web.*is outdated.*2.0.0" "$TMP/out" || fail "outdated: $(cat "$TMP/out")"
ok "what the site has later comes later, and what was released stays"

# What publishers here have is theirs: a version that was pushed, a draft, what they say of the box.
api() { curl -sf -X "$1" -H 'Content-Type: application/json' -d "$3" "http://$REGISTRY/api/v2/box/team/mine$2" >"$TMP/body" || fail "$1 $2"; }
ingot pack -q "$TMP/v1.raw" mine:1.0.0 >/dev/null
ingot push -q mine:1.0.0 "$REGISTRY/team/mine" >/dev/null
api POST /versions '{"version": "2.0.0"}'
api POST /version/2.0.0/providers '{"name": "hyperv", "url": "https://example.org/a.box"}'
api PUT '' '{"short_description": "ours"}'
before=$(listed team/mine)
site_set "
for version in ('1.0.0', '2.0.0', '3.0.0'):
    box('team/mine', version, 'libvirt', '$TMP/libvirt2.box', architecture='arm64')"
expect 0 mirror --json "$site" team/mine
[ "$(told files) $(told versions) $(told left)" = "1 1 2" ] || fail "beside what is published here: $(cat "$TMP/out" "$TMP/err")"
grep -q '^left out: team/mine 2.0.0: it was published here' "$TMP/err" || fail "what was published here: $(cat "$TMP/err")"
[ "$(listed team/mine)" = "$before
3.0.0 libvirt arm64 false" ] || fail "what was published here changes: $(listed team/mine)"
curl -sf "http://$REGISTRY/api/v2/box/team/mine" | jq -e '.short_description == "ours"' >/dev/null || fail "what is said of it changes"
# A provider without a box, in a version that was mirrored, holds nothing up.
api POST /version/3.0.0/providers '{"name": "qemu"}'
site_set "box('team/mine', '3.0.0', 'vmware_desktop', '$TMP/vmware.box')"
expect 0 mirror --json "$site" team/mine
listed team/mine | grep -q '^3.0.0 vmware_desktop' || fail "beside a provider without a box: $(listed team/mine)"
site_set "s['boxes'].pop('team/mine')"
curl -sf -X DELETE "http://$REGISTRY/api/v2/box/team/mine" >/dev/null
ok "what was published here is left alone by a mirror"

# Another ingotd mirrors this one: by search, with what is said of the boxes.
first=$REGISTRY
ingotd mirror --data "$TMP/second" --vagrant "http://$first" >"$TMP/out" 2>&1 || fail "from another ingotd: $(cat "$TMP/out")"
start_ingotd "$TMP/second"
[ "$(listed team/web)" = "$(REGISTRY=$first listed team/web)" ] || fail "from another ingotd: $(listed team/web)"
curl -sf "http://$REGISTRY/api/v2/box/team/web" | jq -e '.short_description == "short"' >/dev/null || fail "descriptions of it"
ok "another ingotd's catalogue is mirrored"

# And other kinds of sites: HCP's, and plain files.
mkdir -p "$TMP/files/team"
jq '{name: "team/files", versions: [{version: "1.0.0", providers: [{name: "libvirt", url: "../libvirt1.box"}]}]}' <<<'{}' >"$TMP/files/team/files.json"
cp "$TMP/libvirt1.box" "$TMP/files/"
site_set "s['apis'] = ['hcp']; s['lives'] = 1"
expect 0 ingotd mirror --data "$TMP/third" --vagrant "$site" 'Team/*'
expect 0 ingotd mirror --data "$TMP/third" --vagrant "file://$TMP/files"
site_set "s['apis'] = ['v2']; del s['lives']"
start_ingotd "$TMP/third"
[ "$(listed team/web | grep -c libvirt)" = 2 ] && [ "$(listed team/files)" = "1.0.0 libvirt unknown true" ] || fail "from HCP and from files: $(listed team/web; listed team/files)"
box_catalogue "http://$REGISTRY/team/files" >/dev/null
VAGRANT_SERVER_URL=http://$REGISTRY vagrant box add --provider libvirt team/files >"$TMP/out" 2>&1 || fail "box add: $(cat "$TMP/out")"
ok "HCP's boxes and plain files are mirrored, and Vagrant adds them"

# Killed while it works, at several moments: the next run ends it, nothing is there twice, and no half version.
rm -rf "$data.k"
site_set "s['cut'] = 100000; s['boxes'].pop('team/db')"
for _ in 1 2 3 4 5; do
    ingotd mirror --data "$data.k" --vagrant "$site" team/web >"$TMP/out" 2>"$TMP/err" &
    pid=$!
    sleep 0.$((RANDOM % 5 + 2))
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
done
expect 0 ingotd mirror --data "$data.k" --vagrant "$site" Team/Web
left=$(find "$data.k/imports" "$data.k/work" -type f ! -name .lock)
[ -z "$left" ] || fail "left behind: $left"
expect 0 ingotd scrub --data "$data.k"
start_ingotd "$data.k"
[ "$(listed team/web | wc -l)" = 4 ] || fail "after kills: $(listed team/web)"
ingot ls "$REGISTRY/team/web" | grep -q unreleased && fail "drafts are left: $(ingot ls "$REGISTRY/team/web")"
ok "a mirror that was killed is gone on with"

# The server's work ends with the verb that wants it, whatever it waits for.
site_set "s['slow'] = 30"
site_set "box('team/db', '3.0.0', 'libvirt', '$TMP/libvirt1.box')"
: >"$asked"
is_asked() { grep -q 'GET /dl/' "$asked"; }
ingotd mirror --data "$data.k" --vagrant "$site" team/db >"$TMP/out" 2>"$TMP/err" &
pid=$!
until_true is_asked
kill $pid
wait $pid || true
before=$SECONDS
expect 0 ingotd mirror --data "$data.k" --vagrant "$site" Team/Web
[ $((SECONDS - before)) -lt 20 ] || fail "the server goes on with what nobody wants"
site_set "del s['slow']"
ok "the server's work ends with the verb that wants it"

# What a policy has let go of does not come again.
data=$TMP/kept
site_set "s['boxes'] = {}
box('team/kept', '1.0.0', 'libvirt', '$TMP/libvirt1.box')
box('team/kept', '2.0.0', 'libvirt', '$TMP/libvirt2.box')"
expect 0 mirror "$site"
expect 0 ingotd gc --data "$data" --keep 'team/*=1' --grace 0s
: >"$asked"
expect 0 mirror --json "$site"
[ "$(told files) $(told versions)" = "0 0" ] && [ "$(downloads)" = 0 ] || fail "what was let go of comes again: $(cat "$TMP/out" "$asked")"
data=$TMP/mirror
ok "what a policy of --keep has let go of is not fetched again"

# A site that fails in parts.
site_set "del s['cut']
s['boxes'] = {}
box('team/bad', '1.0.0', 'libvirt', '$TMP/libvirt1.box', checksum='$(printf 0%.0s {1..64})', checksum_type='sha256')
box('team/bad', '1.0.0', 'vmware_desktop', '$TMP/vmware.box')"
expect 1 mirror "$site"
grep -q '^failed: team/bad 1.0.0, the box for libvirt: .*where the catalogue says 0000' "$TMP/out" && grep -q '1 boxes could not be had' "$TMP/err" || fail "a checksum: $(cat "$TMP/out" "$TMP/err")"
site_set "s['boxes']['team/bad']['versions'][0]['providers'] = []
box('team/bad', '1.0.0', 'vmware_desktop', '$TMP/vmware.box')
box('team/bad', '1.0.0', 'libvirt', '$TMP/libvirt1.box')"
expect 0 mirror --json "$site"
[ "$(told files) $(told versions)" = "1 1" ] || fail "the rest, later: $(cat "$TMP/out")"
# What came of a file that is too large, or that the site gave up long ago, does not stay.
site_set "s['boxes'] = {}
box('team/large', '1.0.0', 'libvirt', '$TMP/libvirt1.box', size=1000)"
touch "$data/imports/fresh.box.part"
touch -d '8 days ago' "$data/imports/old.box.part"
expect 1 mirror "$site"
grep -q '^failed: team/large 1.0.0, .* more than the 1000 bytes' "$TMP/out" || fail "a file that is too large: $(cat "$TMP/out" "$TMP/err")"
[ "$(ls "$data/imports")" = fresh.box.part ] || fail "left in imports: $(ls "$data/imports")"
rm "$data/imports/fresh.box.part"
expect 2 mirror gopher://example.org
expect 2 ingotd mirror --data "$data" "http://$first"
ok "what could not be had comes the next time"

# A disk that gets full: told, nothing half, and with more room it goes on.
mkdir "$TMP/small"
if mount -t tmpfs -o size=14m tmpfs "$TMP/small" 2>/dev/null; then
    trap 'status=$?; umount -l "$TMP/small"; set +e; (exit $status); finish' EXIT
    site_set "s['boxes'] = {}
box('team/web', '1.0.0', 'libvirt', '$TMP/libvirt1.box')"
    expect 1 ingotd mirror --data "$TMP/small/data" --vagrant "$site"
    grep -q 'No space left on device' "$TMP/err" || fail "a full disk: $(cat "$TMP/err")"
    left=$(find "$TMP/small/data/work" -type f)
    [ -z "$left" ] || fail "a full disk leaves $left"
    mount -o remount,size=64m "$TMP/small"
    expect 0 ingotd mirror --data "$TMP/small/data" --vagrant "$site"
    expect 0 ingotd scrub --data "$TMP/small/data"
    ok "a full disk is told, and gone on with when there is room"
fi
