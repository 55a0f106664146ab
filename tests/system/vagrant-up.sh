#!/bin/bash
# A box of Ingot's is a machine under the real Vagrant, by libvirt and QEMU: init, up, ssh, destroy. libvirt wants root.
set -eu
[ "$(id -u)" = 0 ] || exec sudo --preserve-env=B "$0" "$@"
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/base.sh
. tests/system/base.sh
export VAGRANT_HOME=$TMP/vagrant VAGRANT_CHECKPOINT_DISABLE=1 VAGRANT_NO_COLOR=1
virsh() { command virsh -q -c qemu:///system "$@"; }

ip -V >/dev/null
ip link add ingot-test type bridge 2>"$TMP/err" || skip "libvirt's networks are bridges, which can't be made here: $(cat "$TMP/err")"
ip link delete ingot-test

share_base warm
cat >"$TMP/box.yaml" <<'YAML'
name: ingot-test-box
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1}
outputs: [vagrant-libvirt]
YAML
ingot build -q "$TMP/box.yaml" >/dev/null 2>"$TMP/log" || fail "build: $(cat "$TMP/log")"
start_ingotd
ingot push -q ingot-test-box:1.0.0 "$REGISTRY/test/ingot-test-box" >/dev/null
kept=
for _ in $(seq 600); do
    kept=$(sqlite3 "$TMP/registry/catalogue.sqlite" "SELECT what FROM measures WHERE what LIKE 'sha256 %'")
    [ -z "$kept" ] || break
    sleep 0.1
done
[[ $kept = "sha256 of vagrant-libvirt/libvirt.box/"* ]] || fail "after a push, nothing was worked out for its outputs: $kept"
curl -sf "http://$REGISTRY/vagrant/test/ingot-test-box" | python3 -c '
import json, sys
version, = json.load(sys.stdin)["versions"]
assert [p["name"] for p in version["providers"]] == ["libvirt"], version' || fail "the catalogue has other providers than the recipe's outputs"
[ "$(sqlite3 "$TMP/registry/catalogue.sqlite" "SELECT what FROM measures WHERE what LIKE 'sha256 %'")" = "$kept" ] || fail "boxes were worked out that are not offered"
ok "an image with outputs is a box for those alone"

# What runs already is used, and left as it is.
daemon() {
    [ ! -e "/run/$1.pid" ] || ! kill -0 "$(cat "/run/$1.pid")" 2>/dev/null || return 0
    "$1" -d
    until [ -s "/run/$1.pid" ]; do sleep 0.1; done
    ENDING+=("$(cat "/run/$1.pid")")
}
# libvirt gives each machine a /dev of its own, which it can't in a chroot whose root is no mount point: it is told so while it starts.
shared_dev() {
    { cat /etc/libvirt/qemu.conf; echo 'namespaces = []'; } >"$TMP/qemu.conf"
    mount --bind "$TMP/qemu.conf" /etc/libvirt/qemu.conf
}
own_conf() { ! mountpoint -q /etc/libvirt/qemu.conf || umount /etc/libvirt/qemu.conf; }
clean_up() {
    local volume
    own_conf
    [ ! -e "$TMP/project/.vagrant/machines/ingot-test/libvirt/id" ] || (cd "$TMP/project" && vagrant destroy --force) || true
    for volume in $(virsh vol-list default 2>/dev/null | awk '/ingot-test/ { print $1 }'); do virsh vol-delete "$volume" default >/dev/null; done
}
trap 'status=$?; clean_up; set +e; (exit $status); finish' EXIT
virsh uri >/dev/null 2>&1 || {
    mountpoint -q / || shared_dev
    daemon virtlogd
    daemon libvirtd
}
for _ in $(seq 100); do ! virsh uri >/dev/null 2>&1 || break; sleep 0.1; done
own_conf

mkdir "$TMP/project"
cd "$TMP/project"
vagrant init --minimal test/ingot-test-box "http://$REGISTRY/vagrant/test/ingot-test-box" >/dev/null
grep -q 'config.vm.box_url' Vagrantfile || fail "init: $(cat Vagrantfile)"
cat >>Vagrantfile <<'RUBY'
Vagrant.configure("2") do |config|
  config.vm.define "ingot-test"
  config.vm.boot_timeout = 900
  config.vm.provider(:libvirt) { |libvirt| libvirt.driver = "qemu" }
end
RUBY
vagrant up --provider libvirt >"$TMP/out" 2>&1 || fail "up: $(cat "$TMP/out")"
grep -q 'Vagrant insecure key detected' "$TMP/out" || fail "the key was not replaced: $(cat "$TMP/out")"
ok "up: the machine boots, and Vagrant replaces its key"

vagrant ssh -c 'id -un; sudo -n id -un; cat .ssh/authorized_keys; findmnt -n -b -o SIZE /' >"$TMP/out" 2>"$TMP/err" || fail "ssh: $(cat "$TMP/err")"
[ "$(head -2 "$TMP/out" | tr -d '\r' | tr '\n' ' ')" = "vagrant root " ] || fail "ssh: $(cat "$TMP/out")"
! grep -q insecure "$TMP/out" || fail "the insecure key is still let in: $(cat "$TMP/out")"
ok "ssh: the user is vagrant, and root without a password"

vagrant destroy --force >"$TMP/out" 2>&1 || fail "destroy: $(cat "$TMP/out")"
! virsh list --name --all | grep -q ingot-test || fail "the machine is still there"
ok "destroy: it is gone"
