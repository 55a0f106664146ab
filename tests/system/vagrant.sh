#!/bin/bash
# The real Vagrant takes its boxes from the registry: by the catalogue, with updates, and following a channel.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
export VAGRANT_HOME=$TMP/vagrant VAGRANT_CHECKPOINT_DISABLE=1 VAGRANT_NO_COLOR=1

small_disk "$TMP/v1.raw"
cp --sparse=always "$TMP/v1.raw" "$TMP/v2.raw"
head -c 2000000 /dev/urandom >"$TMP/new"
echo "write $TMP/new new" | debugfs -w "$TMP/v2.raw" >/dev/null 2>&1
ingot pack -q "$TMP/v1.raw" web:1.0.0 >/dev/null
ingot pack -q "$TMP/v2.raw" web:1.1.0 >/dev/null
start_ingotd
ingot push -q web:1.0.0 "$REGISTRY/team/web" >/dev/null
catalogue=http://$REGISTRY/vagrant/team/web
curl -sf "$catalogue" >"$TMP/catalogue"
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
