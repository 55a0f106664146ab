#!/bin/bash
# The real Vagrant takes its boxes from the registry: by the catalogue, with updates, and following a channel.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
export VAGRANT_HOME=$TMP/vagrant VAGRANT_CHECKPOINT_DISABLE=1 VAGRANT_NO_COLOR=1

two_disks
ingot pack -q "$TMP/v1.raw" web:1.0.0 >/dev/null
ingot pack -q "$TMP/v2.raw" web:1.1.0 >/dev/null
start_ingotd
ingot push -q web:1.0.0 "$REGISTRY/team/web" >/dev/null
catalogue=http://$REGISTRY/vagrant/team/web
box_catalogue "$catalogue" >"$TMP/catalogue"
python3 - "$TMP/catalogue" <<'PY' || fail "the catalogue: $(cat "$TMP/catalogue")"
import json, sys
c = json.load(open(sys.argv[1]))
assert c["name"] == "team/web" and c["description"] and [v["version"] for v in c["versions"]] == ["1.0.0"]
providers = c["versions"][0]["providers"]
assert [p["name"] for p in providers] == ["libvirt", "qemu", "virtualbox", "vmware_desktop"], providers
for p in providers:
    assert p["checksum_type"] == "sha256" and len(p["checksum"]) == 64 and p["architecture"] == "amd64", p
PY
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$REGISTRY/vagrant/no/such")" = 404 ] || fail "a catalogue of what is not there"
[ "$(curl -s -o /dev/null -w '%{http_code}' "$catalogue@prod")" = 404 ] || fail "a catalogue of a channel that is not there"
ok "the catalogue tells versions, providers, checksums"

vagrant box add --provider libvirt "$catalogue" >"$TMP/out" 2>&1 || fail "box add: $(cat "$TMP/out")"
vagrant box list | grep -q '^team/web *(libvirt, 1\.0\.0' || fail "box list: $(vagrant box list)"
cmp "$(find "$VAGRANT_HOME" -name box.img)" <(ingot export -q web:1.0.0 -F qcow2 -o "$TMP/v1.qcow2" && cat "$TMP/v1.qcow2") || fail "the box's disk differs"
mkdir "$TMP/project"
printf 'Vagrant.configure("2") do |config|\n  config.vm.box = "team/web"\n  config.vm.box_url = "%s"\nend\n' "$catalogue" >"$TMP/project/Vagrantfile"
vagrant box outdated --global >"$TMP/out" 2>&1 || true
! grep -q 'is outdated' "$TMP/out" || fail "outdated too early: $(cat "$TMP/out")"
ingot push -q web:1.1.0 "$REGISTRY/team/web" >/dev/null
# What a catalogue was asked of is worked out of a new version before it is asked again.
worked_out() { [ "$(python3 -c 'import sqlite3,sys; print(sqlite3.connect(f"file:{sys.argv[1]}/catalogue.sqlite?mode=ro", uri=True).execute("SELECT count(*) FROM measures WHERE what LIKE '"'boxes/% of web'"'").fetchone()[0])' "$TMP/registry")" = 2 ]; }
until_true worked_out
vagrant box outdated --global >"$TMP/out" 2>&1 || true
grep -q "team/web.*is outdated.*1\.1\.0" "$TMP/out" || fail "outdated: $(cat "$TMP/out")"
vagrant box update --box team/web --provider libvirt >"$TMP/out" 2>&1 || fail "box update: $(cat "$TMP/out")"
vagrant box list | grep -q '^team/web *(libvirt, 1\.1\.0' || fail "box list: $(vagrant box list)"
vagrant box prune --force >"$TMP/out" 2>&1 || fail "box prune: $(cat "$TMP/out")"
[ "$(vagrant box list | grep -c '^team/web')" = 1 ] || fail "after prune: $(vagrant box list)"
vagrant box add --box-version '~> 1.0.0' --provider libvirt "$catalogue" >"$TMP/out" 2>&1 || fail "a constraint: $(cat "$TMP/out")"
vagrant box list | grep -q '1\.0\.0' || fail "the constraint took: $(vagrant box list)"
ok "Vagrant adds a box, sees that it is outdated, updates it, prunes the old one"

versions() { curl -sf "$catalogue@prod" | python3 -c 'import json,sys; c = json.load(sys.stdin); assert c["name"] == "team/web@prod"; print(" ".join(v["version"] for v in c["versions"]))'; }
ingot promote -q "$REGISTRY/team/web" 1.0.0 prod >/dev/null
[ "$(versions)" = 1.0.0 ] || fail "prod: $(versions)"
# In a URL for Vagrant 2.3 the @ is written %40: it takes what stands before one for a password.
vagrant box add --provider libvirt "$catalogue%40prod" >"$TMP/out" 2>&1 || fail "box add of a channel: $(cat "$TMP/out")"
ingot promote -q "$REGISTRY/team/web" 1.1.0 prod >/dev/null
[ "$(versions)" = "1.1.0 1.0.0" ] || fail "prod, promoted: $(versions)"
vagrant box update --box team/web@prod --provider libvirt >"$TMP/out" 2>&1 || fail "box update: $(cat "$TMP/out")"
vagrant box list | grep -q '^team/web@prod *(libvirt, 1\.1\.0' || fail "a channel is not followed: $(vagrant box list)"
ingot promote -q "$REGISTRY/team/web" 1.0.0 prod >/dev/null
[ "$(versions)" = 1.0.0 ] || fail "prod, rolled back: $(versions)"
ok "a channel's catalogue is what it has been, up to what it is"

# A version that Vagrant can't read (Ruby's Gem::Version) would spoil the whole list for it: it is left out.
for odd in 1.0.1-rc_1 1.0.1-rc..1 1.0.1-rc. 1.0.1-.1; do
    ingot promote -q "$REGISTRY/team/web" 1.0.0 "$odd" >/dev/null || fail "no tag $odd"
done
ingot promote -q "$REGISTRY/team/web" 1.0.0 1.0.1-rc.1-x >/dev/null
curl -sf "$catalogue" | python3 -c '
import json, sys
versions = json.load(sys.stdin)["versions"]
names = [v["version"] for v in versions]
assert names == ["1.1.0", "1.0.1-rc.1-x", "1.0.0"], names
assert all(p["default_architecture"] is True for v in versions for p in v["providers"]), versions' || fail "oddly spelt versions"
ok "versions that Vagrant can not read are left out of its catalogue"

# The registry's answer to a download that was cut off, of which all or a half is there.
box=$(curl -sf "$catalogue" | python3 -c 'import json,sys; print(json.load(sys.stdin)["versions"][0]["providers"][0]["url"])')
size=$(curl -sfI "$box" | sed -n 's/^Content-Length: *\([0-9]*\).*/\1/ip')
curl -s -o /dev/null -D "$TMP/head" -r "$size-" "$box"
{ grep -q '^HTTP/1.1 416' "$TMP/head" && grep -qi "^Content-Range: bytes \*/$size" "$TMP/head"; } || fail "a range behind the end: $(cat "$TMP/head")"
vagrant box remove --force --all team/web >"$TMP/out" 2>&1 || fail "box remove: $(cat "$TMP/out")"
half=$VAGRANT_HOME/tmp/box$(printf %s "$box" | sha1sum | cut -d' ' -f1)
curl -sf -r "0-$((size / 2))" -o "$half" "$box"
: >"$TMP/ingotd.log"
vagrant box add --provider libvirt "$catalogue" >"$TMP/out" 2>&1 || fail "box add, resumed: $(cat "$TMP/out")"
grep -q 'resuming from prior download progress' "$TMP/out" || fail "not resumed: $(cat "$TMP/out")"
[ "$(sed -n 's/.*GET .*libvirt\.box status=206 .* bytes=\([0-9]*\).*/\1/p' "$TMP/ingotd.log")" = $((size - size / 2 - 1)) ] || fail "not half of it: $(cat "$TMP/ingotd.log")"
ok "a download that was cut off goes on where it was"

# --- private boxes ---
twice() { printf '%s\n%s\n' "$1" "$1"; }
users() { ingotd user add --data "$TMP/registry" "$@"; }
token() { ingotd token create --data "$TMP/registry" --expires 1h "$@" 2>/dev/null; }
twice 'the word of alice' | users --scope 'push:team/*' alice
twice 'the word of bob' | users --scope 'pull:other/*' bob
alice=$(token --user alice --scope 'pull:team/*')
bob=$(token --user bob --scope 'pull:other/*')
status() { curl -s -o "$TMP/body" -w '%{http_code}' "$@"; }
[ "$(status "$catalogue") $(status "$box")" = "401 401" ] || fail "private boxes are everybody's"
[ "$(status -H "Authorization: Bearer $alice" "$catalogue") $(status -H "Authorization: Bearer $alice" -r 0-9 "$box")" = "200 206" ] || fail "a token is not taken"
[ "$(status -H "Authorization: Bearer $bob" "$catalogue") $(status -H "Authorization: Bearer $bob" "$box")" = "403 403" ] || fail "a token of somebody else is taken"
[ "$(status "http://$REGISTRY/vagrant/authenticate") $(status -H "Authorization: Bearer $alice" "http://$REGISTRY/vagrant/authenticate")" = "401 200" ] || fail "authenticate"
remove() { vagrant box remove --force --all team/web >"$TMP/out" 2>&1 || fail "box remove: $(cat "$TMP/out")"; }
added() { vagrant box list | grep -q '^team/web *(libvirt, 1\.1\.0' || fail "box list: $(vagrant box list), $(cat "$TMP/out")"; }
remove
export VAGRANT_SERVER_URL=http://$REGISTRY/vagrant
! vagrant box add --provider libvirt team/web >"$TMP/out" 2>&1 || fail "added without a token"
grep -q '401' "$TMP/out" || fail "Vagrant does not say why: $(cat "$TMP/out")"
! VAGRANT_CLOUD_TOKEN=$bob vagrant box add --provider libvirt team/web >"$TMP/out" 2>&1 || fail "added by somebody else's token"
VAGRANT_CLOUD_TOKEN=$alice vagrant box add --provider libvirt --box-version 1.0.0 team/web >"$TMP/out" 2>&1 || fail "by token: $(cat "$TMP/out")"
! vagrant box update --box team/web >"$TMP/out" 2>&1 || fail "updated without a token"
VAGRANT_CLOUD_TOKEN=$alice vagrant box update --box team/web >"$TMP/out" 2>&1 || fail "updated by token: $(cat "$TMP/out")"
added
[ "$(cat "$VAGRANT_HOME/boxes/team-VAGRANTSLASH-web/metadata_url")" = "$catalogue" ] || fail "metadata_url"
VAGRANT_CLOUD_TOKEN=$alice vagrant box add --force --provider libvirt team/web%40prod >"$TMP/out" 2>&1 || fail "a channel by token: $(cat "$TMP/out")"
unset VAGRANT_SERVER_URL
ok "a private box by a token in Vagrant's own way: VAGRANT_CLOUD_TOKEN, VAGRANT_SERVER_URL and the box's name alone"

# 2.4 asks for this first where VAGRANT_SERVER_URL is the registry's bare address.
[ "$(status -H "Authorization: Bearer $alice" "http://$REGISTRY/api/v2/vagrant/team/web")" = 200 ] || fail "/api/v2/vagrant"
grep -q '"name": "team/web"' "$TMP/body" || fail "/api/v2/vagrant: $(cat "$TMP/body")"
[ "$(status "http://$REGISTRY/api/v2/vagrant/team/web")" = 401 ] || fail "/api/v2/vagrant is everybody's"
ok "the address that Vagrant 2.4 asks for"

# Vagrant shows the login of a catalogue's URL for the catalogue alone: the boxes' URLs bring passes.
for login in "alice:$alice" 'alice:the%20word%20of%20alice'; do
    remove
    vagrant box add --provider libvirt --box-version 1.0.0 "http://$login@$REGISTRY/vagrant/team/web" >"$TMP/out" 2>&1 || fail "a login in the URL: $(cat "$TMP/out")"
    vagrant box update --box team/web >"$TMP/out" 2>&1 || fail "an update, a login in the URL: $(cat "$TMP/out")"
    added
done
[ "$(status -u "alice:$alice" "$catalogue")" = 200 ] || fail "Basic"
pass=$(python3 -c 'import json,sys; print(json.load(sys.stdin)["versions"][0]["providers"][0]["url"])' <"$TMP/body")
[[ $pass = "$box?pass="* ]] || fail "no pass: $pass"
[ "$(status -r 0-9 "$pass")" = 206 ] || fail "a pass is not taken"
until=${pass##*=} until=${until%%.*}
{ [ "$until" -gt "$(date +%s)" ] && [ "$until" -le $(($(date +%s) + 7200)) ]; } || fail "a pass until $until"
for wrong in "${pass/=$until/=$((until + 3600))}" "${pass%?}x" "${pass/libvirt.box/libvirt.box.sha256}" "$box?pass=" "$box?pass=$until"; do
    [ "$(status -r 0-9 "$wrong")" = 401 ] || fail "a wrong pass is taken: $wrong"
done
! grep -q 'pass=\|ingot_' "$TMP/ingotd.log" || fail "a secret is in the log"
# A cache that many share must not keep it: the pass ends, and the URL shows no login.
curl -sfI "$pass" | grep -qi '^Cache-Control: *private, max-age' || fail "a private box may be kept by everybody: $(curl -sI "$pass")"
status -H "Authorization: Bearer $alice" "$catalogue" >/dev/null
! grep -q 'pass=' "$TMP/body" || fail "a pass that nobody needs"
ok "a login in the catalogue's URL is enough: the boxes' URLs bring passes"
