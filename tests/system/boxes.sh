#!/bin/bash
# Vagrant's boxes through a pull-through cache: the upstream's versions, its channels, their sums, and what is left of them without it.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
export VAGRANT_HOME=$TMP/vagrant VAGRANT_CHECKPOINT_DISABLE=1 VAGRANT_NO_COLOR=1

two_disks
start_ingotd "$TMP/first"
first=$REGISTRY first_pid=$SERVER
for version in 1 2; do
    ingot pack -q "$TMP/v$version.raw" "web:$version.0.0" >/dev/null
    ingot push -q "web:$version.0.0" "$first/team/web" >/dev/null
done
ingot promote -q "$first/team/web" 1.0.0 prod >/dev/null
start_cache cold "http://$first" --upstream-absent 1s

# listed [CHANNEL]: "VERSION[+SUM]" of each of the cache's versions, by their box for libvirt.
listed() {
    curl -sf -m 60 "http://$cache/vagrant/team/web${1:-}" | python3 -c '
import json, sys
host, words = sys.argv[1], []
for version in json.load(sys.stdin)["versions"]:
    box = next(p for p in version["providers"] if p["name"] == "libvirt")
    assert len(version["providers"]) == 4 and box["architecture"] == "amd64", version
    assert box["url"].startswith(f"http://{host}/formats/team/web/sha256:"), box
    words.append(version["version"] + ("+" + box["checksum"] if "checksum" in box else ""))
print(*words)' "$cache"
}
[ "$(listed)" = "2.0.0 1.0.0" ] || fail "a catalogue by a cache that is empty: $(listed)"
[ "$(listed @prod)" = "1.0.0" ] || fail "a channel by it: $(listed @prod)"
[ "$(du -sk "$TMP/cold/packs" | cut -f1)" -lt 1000 ] || fail "a catalogue copies disks: $(du -sk "$TMP/cold/packs")"
[ "$(code /vagrant/no/such)" = 404 ] && [ "$(code /vagrant/team/web@test)" = 404 ] || fail "what is nowhere: $(cat "$TMP/answer")"
ok "a cache lists the upstream's versions, and copies no disk for it"

vagrant box add --provider libvirt --box-version 1.0.0 "http://$cache/vagrant/team/web" >"$TMP/out" 2>&1 || fail "box add: $(cat "$TMP/out")"
vagrant box list | grep -q '^team/web *(libvirt, 1\.0\.0' || fail "box list: $(vagrant box list)"
ingot export -q web:1.0.0 -F qcow2 -o "$TMP/v1.qcow2"
cmp "$(find "$VAGRANT_HOME" -name box.img)" "$TMP/v1.qcow2" || fail "the box's disk differs"
path=/formats/team/web/1.0.0/vagrant-libvirt/libvirt.box
sum=$(view "http://$cache$path.sha256" | cut -d' ' -f1)
[ "$sum" = "$(curl -sf "http://$first$path" | sha256sum | cut -d' ' -f1)" ] && [ "$sum" = "$(view "http://$first$path.sha256" | cut -d' ' -f1)" ] || fail "another box than the upstream's: $sum"
[ "$(listed)" = "2.0.0 1.0.0+$sum" ] || fail "with the sum that is known: $(listed)"
ingot promote -q "$first/team/web" 2.0.0 prod >/dev/null
[ "$(listed @prod)" = "2.0.0 1.0.0+$sum" ] || fail "the channel has moved: $(listed @prod)"
ok "Vagrant adds a box by the cache, with its sum, and follows a channel"

kill "$first_pid"
wait "$first_pid" || true
[ "$(listed)" = "1.0.0+$sum" ] || fail "without its upstream: $(listed)"
[ "$(listed @prod)" = "1.0.0+$sum" ] || fail "a channel without its upstream: $(listed @prod)"
vagrant box remove --force --all team/web >"$TMP/out" 2>&1
vagrant box add --provider libvirt "http://$cache/vagrant/team/web" >"$TMP/out" 2>&1 || fail "box add without the upstream: $(cat "$TMP/out")"
ok "without its upstream a cache lists the boxes that it has"
