#!/bin/bash
# Images of several disks as files: every format has them, whole machines or a file for each; what the registry serves
# are the same bytes; and what is packed of them again is the same disks.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

# disk FILE SIZE: some MB of what gets smaller and what doesn't, and an end that is no whole block.
disk() {
    truncate -s "$2" "$1"
    mke2fs -q -F -t ext4 "$1" >/dev/null 2>&1
    cat /usr/bin/[a-g]* 2>/dev/null | head -c 6M | dd of="$1" bs=1M seek=4 conv=notrunc status=none
    head -c 1M /dev/urandom | dd of="$1" bs=1M seek=20 conv=notrunc status=none
    printf 'the end' | dd of="$1" bs=1 seek=$(($2 - 7)) conv=notrunc status=none
}
disk "$TMP/disk0.raw" 40001024
disk "$TMP/disk1.raw" 70004224
ingot pack -q "$TMP/disk0.raw" "$TMP/disk1.raw" team/two:1.0.0 >/dev/null
declare -A qemu=([raw]=raw [qcow2]=qcow2 [qcow2-zstd]=qcow2 [vdi]=vdi [vhd]=vpc [vhdx]=vhdx [vmdk]=vmdk [vmdk-stream]=vmdk)
for format in "${!qemu[@]}"; do
    ending=${format%-*}
    ingot export -q team/two:1.0.0 -F "$format" -o "$TMP/$format"
    [ "$(ls "$TMP/$format")" = "disk0.$ending"$'\n'"disk1.$ending" ] || fail "$format: $(ls "$TMP/$format")"
    for number in 0 1; do
        qemu-img compare -q -f "${qemu[$format]}" -F raw "$TMP/$format/disk$number.$ending" "$TMP/disk$number.raw" || fail "$format: disk $number differs"
        ingot export -q team/two:1.0.0 -F "$format" --disk $number -o "$TMP/alone"
        cmp "$TMP/alone" "$TMP/$format/disk$number.$ending" || fail "$format: disk $number alone is another file"
    done
done
ok "a disk's format is a folder with a file for each disk, or the one that is asked for"

for number in 0 1; do
    ingot export team/two:1.0.0 --disk $number -o - 2>/dev/null | cmp - "$TMP/disk$number.raw" || fail "disk $number to stdout"
done
# wrong STATUS WORD OPTION...: an export with these is refused with that word.
wrong() {
    local status=$1 word=$2
    shift 2
    expect "$status" ingot export team/two:1.0.0 "$@"
    grep -qF -- "$word" "$TMP/err" || fail "$*: $(cat "$TMP/err")"
}
echo kept >"$TMP/file"
wrong 2 'has 2 disks, which become a folder' -o -
wrong 2 'has 2 disks, which become a folder' -o "$TMP/file"
wrong 2 '--disk N for one of them alone (0 to 1)' -F vmdk -o "$TMP/file"
wrong 1 'has 2 disks, the first of which is 0: no disk 2' --disk 2 -o "$TMP/none"
wrong 2 '--disk one: a number is expected' --disk one -o "$TMP/none"
wrong 2 '--disk -1: a number is expected' --disk=-1 -o "$TMP/none"
expect 2 ingot pull team/two:1.0.0 --disk 1
grep -qF -- '--disk says which disk is written to -o FILE' "$TMP/err" || fail "$(cat "$TMP/err")"
[ "$(cat "$TMP/file")" = kept ] && [ ! -e "$TMP/none" ] || fail "what was refused wrote something"
ok "two disks go to no pipe and over no file, and a disk that is not there is named"

# members FORMAT NAME...: the machine's file has these, in this order; they come to $TMP/in-FORMAT.
members() {
    local format=$1
    shift
    ingot export -q team/two:1.0.0 -F "$format" -o "$TMP/$format"
    [ "$(tar -tf "$TMP/$format" | xargs)" = "$*" ] || fail "$format: $(tar -tf "$TMP/$format")"
    mkdir "$TMP/in-$format"
    tar -C "$TMP/in-$format" -xf "$TMP/$format"
}
members ova two.ovf two.mf two-disk0.vmdk two-disk1.vmdk
members vagrant-libvirt metadata.json Vagrantfile box_0.img box_1.img
members vagrant-qemu metadata.json Vagrantfile box_0.img box_1.img
members vagrant-virtualbox metadata.json Vagrantfile box.ovf box-disk0.vmdk box-disk1.vmdk
members vagrant-vmware metadata.json Vagrantfile box.vmx disk0.vmdk disk1.vmdk
for number in 0 1; do
    cmp "$TMP/in-ova/two-disk$number.vmdk" "$TMP/vmdk-stream/disk$number.vmdk" || fail "ova: disk $number"
    cmp "$TMP/in-vagrant-virtualbox/box-disk$number.vmdk" "$TMP/vmdk-stream/disk$number.vmdk" || fail "virtualbox: disk $number"
    cmp "$TMP/in-vagrant-vmware/disk$number.vmdk" "$TMP/vmdk/disk$number.vmdk" || fail "vmware: disk $number"
    cmp "$TMP/in-vagrant-libvirt/box_$number.img" "$TMP/qcow2/disk$number.qcow2" || fail "libvirt: disk $number"
done
xmllint --noout --relaxng tests/system/ovf.rng "$TMP/in-ova/two.ovf" 2>"$TMP/err" || fail "the OVF: $(cat "$TMP/err" "$TMP/in-ova/two.ovf")"
xmllint --noout --relaxng tests/system/ovf.rng "$TMP/in-vagrant-virtualbox/box.ovf" 2>"$TMP/err" || fail "the box's OVF: $(cat "$TMP/err")"
(cd "$TMP/in-ova" && sed 's/^SHA256(\(.*\))= \(.*\)$/\2  \1/' two.mf | sha256sum -c --quiet && [ "$(wc -l <two.mf)" = 3 ]) || fail "the OVA's manifest"
mv "$TMP/ova" "$TMP/two.ova" # virt-v2v goes by the name
LIBGUESTFS_BACKEND=direct virt-v2v -i ova "$TMP/two.ova" --print-source >"$TMP/out" 2>&1 || fail "virt-v2v: $(tail -30 "$TMP/out")"
mv "$TMP/two.ova" "$TMP/ova"
grep -q '0 \[sata\]' "$TMP/out" && grep -q '1 \[sata\]' "$TMP/out" || fail "virt-v2v: $(cat "$TMP/out")"
python3 - "$TMP/in-vagrant-libvirt/metadata.json" <<'PY' || fail "$(cat "$TMP/in-vagrant-libvirt/metadata.json")"
import json, sys
disks = json.load(open(sys.argv[1]))["disks"]
assert disks == [{"path": "box_0.img", "format": "qcow2"}, {"path": "box_1.img", "format": "qcow2"}], disks
PY
ingot export -q team/two:1.0.0 -F vmx -o "$TMP/vmx"
[ "$(ls "$TMP/vmx")" = $'disk0.vmdk\ndisk1.vmdk\ntwo.vmx' ] || fail "vmx: $(ls "$TMP/vmx")"
cmp "$TMP/vmx/disk1.vmdk" "$TMP/vmdk/disk1.vmdk" && grep -qx 'sata0:1.fileName = "disk1.vmdk"' "$TMP/vmx/two.vmx" || fail "vmx: $(cat "$TMP/vmx/two.vmx")"
ok "a machine's format has both disks: OVA, vmx, and boxes of each provider"

# digests NAME: of its disks' blobs.
digests() {
    ingot show --json "$1" >/dev/null
    python3 - "$INGOT_STORE" "$(ingot show --json "$1" | sed -n 's/^ *"digest": "sha256:\([0-9a-f]*\)",*$/\1/p' | head -1)" <<'PY'
import json, sys
manifest = json.load(open(f"{sys.argv[1]}/blobs/sha256/{sys.argv[2]}"))
print([layer["digest"] for layer in manifest["layers"] if layer["mediaType"].endswith("disk.v1+zstd")])
PY
}
two=$(digests team/two:1.0.0)
ingot pack -q "$TMP/qcow2/disk0.qcow2" "$TMP/qcow2/disk1.qcow2" team/qcow2:1.0.0 >/dev/null
[ "$(digests team/qcow2:1.0.0)" = "$two" ] || fail "packed from qcow2: $(digests team/qcow2:1.0.0), not $two"
for format in ova vagrant-libvirt vagrant-virtualbox vagrant-vmware; do
    ingot pack -q "$TMP/$format" team/back:1.0.0 >/dev/null
    for number in 0 1; do
        ingot export team/back:1.0.0 --disk $number -o - 2>/dev/null | cmp -n "$(stat -c %s "$TMP/disk$number.raw")" - "$TMP/disk$number.raw" || fail "$format: disk $number is another one when it is packed again"
    done
done
ok "packed again, they are the same disks in the same order"

# A machine with its disks on SCSI is one with its disks on SCSI, in both descriptions.
sed -i 's/>AHCI</>lsilogic</; s/<rasd:ResourceType>20</<rasd:ResourceType>6</' "$TMP/in-ova/two.ovf"
tar -C "$TMP/in-ova" -cf "$TMP/scsi.ova" two.ovf two-disk0.vmdk two-disk1.vmdk
ingot pack -q "$TMP/scsi.ova" team/scsi:1.0.0 >/dev/null
ingot export -q team/scsi:1.0.0 -F ova -o "$TMP/again.ova"
ingot export -q team/scsi:1.0.0 -F vmx -o "$TMP/again.vmx"
tar -C "$TMP" -xf "$TMP/again.ova" scsi.ovf
[ "$(grep -c '<rasd:Parent>3<' "$TMP/scsi.ovf")" = 2 ] && grep -q '>lsilogic<' "$TMP/scsi.ovf" || fail "$(cat "$TMP/scsi.ovf")"
xmllint --noout --relaxng tests/system/ovf.rng "$TMP/scsi.ovf" 2>"$TMP/err" || fail "the OVF: $(cat "$TMP/err")"
grep -qx 'scsi0:1.fileName = "disk1.vmdk"' "$TMP/again.vmx/scsi.vmx" || fail "$(cat "$TMP/again.vmx/scsi.vmx")"
rm -r "$TMP"/*.ova "$TMP/again.vmx" "$TMP"/in-*
ok "the disks' bus is kept from one OVA to the next"

start_ingotd
ingot push -q team/two:1.0.0 "$REGISTRY/team/two:1.0.0" >/dev/null
url=http://$REGISTRY/formats/team/two/1.0.0
# served FORMAT FILE LOCAL: whole and in parts it is that file.
served() {
    local size from
    curl -sS --retry 20 --retry-delay 1 --fail -o "$TMP/got" "$url/$1/$2" || fail "$1/$2"
    cmp "$TMP/got" "$3" || fail "$1/$2 is another file than the exported one"
    size=$(stat -c %s "$3")
    [ "$size" -gt 5000 ] || return 0
    for from in 0 4095 $((size / 2)) $((size - 700)); do
        curl -sS --fail -r "$from-$((from + 600))" -o "$TMP/part" "$url/$1/$2" || fail "$1/$2: a part"
        cmp "$TMP/part" <(tail -c +$((from + 1)) "$3" | head -c 601) || fail "$1/$2 from $from on"
    done
}
for format in raw qcow2 qcow2-zstd vmdk vmdk-stream; do
    for number in 0 1; do
        served "$format" "disk$number.${format%-*}" "$TMP/$format/disk$number.${format%-*}"
    done
done
served raw disk1.raw "$TMP/raw/disk1.raw" # from what is kept of it now
served ova two.ova "$TMP/ova"
served vmx two.vmx "$TMP/vmx/two.vmx"
served vagrant-libvirt libvirt.box "$TMP/vagrant-libvirt"
served vagrant-virtualbox virtualbox.box "$TMP/vagrant-virtualbox"
curl -sS --retry 20 --retry-delay 1 --fail "$url/ova/two.ova.sha256" | sed "s|two.ova|$TMP/ova|" | sha256sum -c --quiet || fail "the OVA's sum"
curl -sS --fail "$url/qcow2/" | python3 -c 'import json,sys; assert [f["name"] for f in json.load(sys.stdin)["files"]] == ["disk0.qcow2", "disk1.qcow2"]' || fail "$(curl -sS "$url/qcow2/")"
[ "$(curl -s -o /dev/null -w '%{http_code}' "$url/raw/disk.raw")" = 404 ] || fail "a file that two disks don't have"
ok "the registry serves each of them, whole and in parts, and tells the sums"
