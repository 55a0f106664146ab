#!/bin/bash
# A recipe with outputs: its one disk, in every format, boots on virtio, SATA, NVMe, IDE and VMware's SCSI, grows, and
# lets Vagrant in.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/base.sh
. tests/system/base.sh
share_base warm

# A guest as others make them, with everything that is wrong for another machine.
cat >"$TMP/foreign.yaml" <<'YAML'
name: foreign
version: 1.0.0
source:
  bootstrap:
    suite: bookworm
    packages: [sudo, grub-pc, ifupdown, isc-dhcp-client, cloud-guest-utils]
machine: {cpus: 1, disk: 2G}
steps:
  - name: make it foreign
    shell: |
      device=$(findmnt -n -o SOURCE /)
      network=$(ip -o route get 10.0.2.2 | sed 's/.* dev \([^ ]*\).*/\1/')
      rm -r /etc/repart.d /etc/systemd/network/80-ethernet.network
      systemctl -q disable systemd-networkd.service systemd-networkd.socket
      sed -i "s,^UUID=[^ ]* / ext4 [^ ]*,$device / ext4 defaults," /etc/fstab
      printf 'auto lo\niface lo inet loopback\nauto %s\niface %s inet dhcp\n' $network $network >/etc/network/interfaces
      echo 'a rule of old' >/etc/udev/rules.d/70-persistent-net.rules
      echo 'UseDNS yes' >/etc/ssh/sshd_config.d/00-slow.conf
      # No drivers at all; and of those that will be, as few as can be, which are quickly packed.
      for initramfs in /boot/initrd.img-*; do true | cpio --quiet -o -H newc | gzip >$initramfs; done
      printf 'MODULES=list\nCOMPRESS=gzip\nCOMPRESSLEVEL=1\n' >/etc/initramfs-tools/conf.d/small
      echo ext4 >>/etc/initramfs-tools/modules
      rm /boot/grub/grub.cfg
      sed -i 's/quiet//' /etc/default/grub
      grub-install /dev/vda
      update-grub
outputs: [qcow2, vdi, vhd, vhdx, vmdk, ova, vagrant-libvirt]
YAML
ingot build "$TMP/foreign.yaml" >"$TMP/out" 2>"$TMP/log" || fail "build: $(tail -30 "$TMP/log")"
grep -E '\([0-9].* s\)$' "$TMP/log" # how long it took
ingot show foreign:1.0.0 | grep -q '^outputs  *qcow2, vdi, vhd, vhdx, vmdk, ova, vagrant-libvirt$' || fail "$(ingot show foreign:1.0.0)"
for format in qcow2 vdi vhd vhdx vmdk; do ingot export -q foreign:1.0.0 -F $format -o "$TMP/foreign.$format" >/dev/null; done
qemu-img create -q -f qcow2 -b foreign.qcow2 -F qcow2 "$TMP/larger.qcow2" 5G
ok "a guest with one machine's names, drivers and settings is made ready"

keys=$(dirname "$(dpkg -L vagrant | grep '/keys/vagrant\.pub$')")
install -m 600 "$keys/vagrant" "$TMP/insecure"

# start NAME FILE FORMAT NIC DEVICE…: a machine of plain QEMU, which throws away what it writes.
declare -A port machine
start() {
    local name=$1 file=$2 format=$3 nic=$4
    shift 4
    port[$name]=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 1 -m 512 -nodefaults -display none \
        -serial "file:$TMP/$name.console" -device virtio-rng-pci \
        -netdev "user,id=net,hostfwd=tcp:127.0.0.1:${port[$name]}-:22" -device "$nic,netdev=net,romfile=" \
        -drive "file=$TMP/$file,format=$format,if=none,id=disk,snapshot=on" "$@" 2>"$TMP/$name.qemu" &
    machine[$name]=$!
    ENDING+=($!)
}
# What tells of a machine from inside: the disk's driver, the root's device and size, network devices, sudo.
cat >"$TMP/probe" <<'SH'
root=$(findmnt -n -o SOURCE /)
place=$(readlink -f "/sys/class/block/${root##*/}")
until [ -e "$place/driver" ] && [ -e "$place/subsystem_vendor" ]; do place=${place%/*}; done
echo "$(basename "$(readlink "$place/driver")") $root $(ls /sys/class/net | tr '\n' ' ')"
sudo -n sh -c 'sshd -T | grep usedns; echo "root is $(id -un)"'
grep -o ' / ext4' /proc/mounts
[ -e /etc/udev/rules.d/70-persistent-net.rules ] || echo 'no rules of old'
systemctl is-system-running --wait
systemctl --failed --no-legend
df --output=size -BM / | tail -n 1 | tr -d ' '
cat .ssh/authorized_keys
cat /proc/cmdline
SH
# arrives NAME WORD…: it comes to its login on the serial console, and lets vagrant in; its first words are these.
arrives() {
    local name=$1
    shift
    for _ in $(seq 240); do
        ! grep -q ' login:' "$TMP/$name.console" 2>/dev/null || break
        kill -0 "${machine[$name]}" 2>/dev/null || fail "$name: QEMU has ended: $(cat "$TMP/$name.qemu")"
        sleep 1
    done
    grep -q ' login:' "$TMP/$name.console" || fail "$name: no login on the console: $(tail -20 "$TMP/$name.console")"
    for _ in $(seq 60); do
        if ssh -p "${port[$name]}" -i "$TMP/insecure" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=30 \
            -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null vagrant@127.0.0.1 sh <"$TMP/probe" \
            >"$TMP/$name.told" 2>"$TMP/$name.ssh"; then break; fi
        [ ! -s "$TMP/$name.told" ] || break
        sleep 1
    done
    kill "${machine[$name]}"
    wait "${machine[$name]}" || true
    [ "$(head -1 "$TMP/$name.told")" = "$* eth0 lo " ] || fail "$name: $(cat "$TMP/$name.told" "$TMP/$name.ssh")"
    for words in 'usedns no' 'root is root' running ' / ext4' 'no rules of old'; do
        grep -qx -- "$words" "$TMP/$name.told" || fail "$name: no '$words' in: $(cat "$TMP/$name.told")"
    done
    cut -d' ' -f2 "$keys/vagrant.pub" | grep -qFf - "$TMP/$name.told" || fail "$name: Vagrant would not find its key"
    ok "$name: $*"
}
# mounts NAME DRIVER DEVICE: it gets as far as its root, which needs its driver; what runs from there on others have shown.
mounts() {
    for _ in $(seq 240); do
        ! grep -q "EXT4-fs ($3): mounted" "$TMP/$1.console" 2>/dev/null || break
        kill -0 "${machine[$1]}" 2>/dev/null || fail "$1: QEMU has ended: $(cat "$TMP/$1.qemu")"
        sleep 1
    done
    kill "${machine[$1]}"
    wait "${machine[$1]}" || true
    grep -q "EXT4-fs ($3): mounted" "$TMP/$1.console" || fail "$1: the root is not mounted: $(tail -20 "$TMP/$1.console")"
    ok "$1: $2 /dev/$3"
}
start virtio larger.qcow2 qcow2 virtio-net-pci -device virtio-blk-pci,drive=disk
start sata foreign.vmdk vmdk e1000 -machine q35 -device ide-hd,drive=disk
arrives virtio virtio-pci /dev/vda3
start nvme foreign.vhdx vhdx virtio-net-pci -machine q35 -device nvme,drive=disk,serial=1
arrives sata ahci /dev/sda3
start ide foreign.vhd raw virtio-net-pci -machine pc -device ide-hd,drive=disk,bus=ide.0
mounts nvme nvme nvme0n1p3
start pvscsi foreign.vdi vdi vmxnet3 -machine q35 -device pvscsi,id=scsi -device scsi-hd,drive=disk,bus=scsi.0
mounts ide ata_piix sda3
mounts pvscsi vmw_pvscsi sda3
ok "one disk, in five formats, on five buses: root by UUID, eth0, serial console, Vagrant's key, sudo"

size() { grep -xE '[0-9]+M' "$TMP/$1.told" | tr -d M; }
[ "$(size virtio)" -gt 4500 ] && [ "$(size sata)" -lt 2100 ] || fail "the root's sizes: $(size virtio), $(size sata)"
ok "the root grows into a larger disk"

# A hypervisor's own reader finds its way in the OVA, and the disk in it is one that boots. (The conversion that would follow
# is virt-v2v's own: ten minutes in its appliance without KVM.)
ingot export -q foreign:1.0.0 -F ova -o "$TMP/foreign.ova"
LIBGUESTFS_BACKEND=direct virt-v2v -i ova "$TMP/foreign.ova" --print-source >"$TMP/out" 2>&1 || fail "virt-v2v: $(tail -30 "$TMP/out")"
grep -q 'source name: foreign' "$TMP/out" && grep -q '0 \[sata\]' "$TMP/out" || fail "virt-v2v: $(cat "$TMP/out")"
disk=$(tar -tf "$TMP/foreign.ova" | grep '\.vmdk$')
tar -xOf "$TMP/foreign.ova" "$disk" >"$TMP/ova.vmdk"
start ova ova.vmdk vmdk virtio-net-pci -device virtio-blk-pci,drive=disk
mounts ova virtio-pci vda3
ok "virt-v2v reads the OVA, and the disk in it boots"

# The base has a kernel for clouds, and much of what outputs need.
cat >"$TMP/cloud.yaml" <<'YAML'
name: cloud
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1}
outputs: [qcow2, vmdk]
YAML
expect 1 ingot build "$TMP/cloud.yaml"
grep -q 'cloud-amd64 lacks drivers that outputs need: ahci (for vmdk), .*; install linux-image-amd64 in its place' "$TMP/err" || fail "$(cat "$TMP/err")"
ok "a kernel without an output's drivers is told, with the output and the remedy"

cat >"$TMP/bare.yaml" <<'YAML'
name: bare
source: {from: debian-12}
machine: {cpus: 1}
steps:
  - shell: rm /usr/bin/sudo
outputs: [vagrant-libvirt]
YAML
expect 1 ingot build "$TMP/bare.yaml"
grep -q "'ready for vagrant-libvirt': the guest has no sudo, which vagrant-libvirt needs" "$TMP/err" || fail "$(cat "$TMP/err")"
ok "what is missing for Vagrant is told, not fetched"

sed -i 's/vmdk/vhdx, vagrant-libvirt/' "$TMP/cloud.yaml"
sed 's/name: cloud/name: again/; s/debian-12/cloud/; s/from: cloud/from: cloud:1.0.0/' "$TMP/cloud.yaml" >"$TMP/again.yaml"
for name in cloud again; do
    expect 0 ingot build --refresh=1 "$TMP/$name.yaml"
    grep ' | ' "$TMP/err" >"$TMP/$name.done"
done
grep -q 'grub.cfg: edited' "$TMP/cloud.done" || fail "$(cat "$TMP/cloud.done")"
! grep -vE 'has the drivers$' "$TMP/again.done" || fail "what was ready is made so again: $(cat "$TMP/again.done")"
ok "a guest that is ready stays as it is"
