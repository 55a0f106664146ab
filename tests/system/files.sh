#!/bin/bash
# Disk files as other programs write them: each that is taken gives the image of the disk that it means, and is compared with that disk
# by qemu-img; each other one is refused by its name. Nothing is taken for raw because nobody knows better.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
export TMPDIR=$TMP/work
mkdir "$TMPDIR" "$TMP/files"
top=$PWD
diskfiles() { python3 "$top/tests/system/diskfiles.py" "$@"; }
cd "$TMP/files"
# A disk with data up to its last sector, where a partition table has its second copy. 8 MiB are 963 * 17 * 1 sectors and some more.
python3 - <<'PY'
import random
random.seed(16)
disk = bytearray(8 << 20)
for at in range(0, len(disk), 1 << 20):
    disk[at:at + 200000] = random.randbytes(200000)
disk[510:512] = b"\x55\xaa"
disk[-512:] = b"end " * 128
open("disk.raw", "wb").write(disk)
PY
digest=$(ingot pack -q disk.raw team/raw:1.0.0)
sectors=$(($(stat -c %s disk.raw) / 512))

nothing_left() { [ -z "$(ls -A "$TMPDIR")" ] || fail "left in \$TMPDIR: $(ls -AR "$TMPDIR")"; }
# same FILE [OPTION...]: it gives the very same image, and is not changed.
same() {
    local before got
    before=$(sha256sum <"$1")
    got=$(ingot pack -q "${@:2}" "$1" team/same:1.0.0 2>"$TMP/err") || fail "$1: $(cat "$TMP/err")"
    [ "$got" = "$digest" ] || fail "$1 gives another image"
    [ "$(sha256sum <"$1")" = "$before" ] || fail "$1 was written to"
    nothing_left
}
# taken FILE FORMAT: and QEMU sees that disk in it.
taken() {
    same "$1"
    qemu-img compare -q -f "$2" -F raw "$1" disk.raw || fail "QEMU sees another disk in $1"
}
# refused FILE WORD...: status 2, the file and every WORD in one message, no image.
refused() {
    local file=$1 word
    shift
    expect 2 ingot pack "$file" team/none:1.0.0
    for word in "$file" "$@"; do grep -qF -- "$word" "$TMP/err" || fail "'$word' is not in: $(cat "$TMP/err")"; done
    [ "$(grep -c '^ingot pack: ' "$TMP/err")" = 1 ] || fail "not one message: $(cat "$TMP/err")"
    ! ingot images | grep -q team/none || fail "$file became an image"
    nothing_left
}

# --- what qemu-img makes ---
made=0
while read -r name format options; do
    qemu-img convert -O "$format" ${options:+-o "$options"} disk.raw "$name"
    taken "$name" "$format"
    made=$((made + 1))
done <<'TABLE'
old.qcow2 qcow2 compat=0.10
new.qcow2 qcow2 compat=1.1,cluster_size=4096
dynamic.vdi vdi
static.vdi vdi static=on
dynamic.vhdx vhdx subformat=dynamic
fixed.vhdx vhdx subformat=fixed
dynamic.vhd vpc subformat=dynamic,force_size=on
fixed.vhd vpc subformat=fixed,force_size=on
sparse.vmdk vmdk subformat=monolithicSparse
flat.vmdk vmdk subformat=monolithicFlat
two-sparse.vmdk vmdk subformat=twoGbMaxExtentSparse
two-flat.vmdk vmdk subformat=twoGbMaxExtentFlat
stream.vmdk vmdk subformat=streamOptimized
TABLE
[ $made = 13 ] || fail "$made were made"
cp sparse.vmdk third.vmdk # with changed block tracking, as VMware writes it
printf '\3' | dd of=third.vmdk bs=1 seek=4 conv=notrunc status=none
taken third.vmdk vmdk
ok "every kind of disk that qemu-img makes gives the image of the raw one"

# --- VHD: the size of each program that QEMU treats apart, and of others ---
# The geometry says less than the disk has; where QEMU goes by that, its own comparison is told to go by the size.
while IFS='|' read -r kind creator; do
    cp "$kind.vhd" made.vhd
    diskfiles geometry made.vhd 963 17 1
    diskfiles creator made.vhd "$creator"
    same made.vhd
    qemu-img compare -q --image-opts driver=vpc,force_size_calc=current_size,file.driver=file,file.filename=made.vhd driver=raw,file.driver=file,file.filename=disk.raw ||
        fail "QEMU sees another disk in a $kind VHD of '$creator'"
done <<'TABLE'
fixed|qem2
fixed|tap\0
fixed|wa\0\0
fixed|vpc
fixed|qemu
dynamic|win
dynamic|d2v
dynamic|CTXS
dynamic|vbox
dynamic|xen
dynamic|\0\0\0\0
TABLE
shown=$(qemu-img info -f vpc made.vhd --output=json | python3 -c 'import json,sys; print(json.load(sys.stdin)["virtual-size"])')
[ "$shown" -le "$(stat -c %s disk.raw)" ] || fail "QEMU shows $shown bytes"
# The guest of an old program saw the geometry where that is the larger one.
qemu-img convert -O vpc -o subformat=fixed,force_size=off disk.raw larger.vhd
larger=$(qemu-img convert -f vpc -O raw larger.vhd larger.raw && ingot pack -q larger.raw team/larger:1.0.0)
diskfiles size larger.vhd "$(stat -c %s disk.raw)"
[ "$(ingot pack -q larger.vhd team/larger:1.0.0)" = "$larger" ] || fail "a VHD of an old QEMU is cut at its end"
cp fixed.vhd short.vhd
diskfiles size short.vhd $((9 << 20))
refused short.vhd 'cut short'
cp fixed.vhd broken-off.vhd
truncate -s -1M broken-off.vhd
refused broken-off.vhd 'cut short' '--format raw'
cp fixed.vhd padded.vhd
truncate -s +64K padded.vhd
refused padded.vhd 'longer than it was'
cp dynamic.vhd child.vhd
diskfiles kind child.vhd 4
refused child.vhd 'another file' Convert-VHD
cp dynamic.vhd headless.vhd
printf 'gone    ' | dd of=headless.vhd conv=notrunc status=none
refused headless.vhd 'copy of the VHD'
cp fixed.vhd flipped.vhd
flip flipped.vhd $(($(stat -c %s flipped.vhd) - 100))
refused flipped.vhd checksum
cp fixed.vhd endless.vhd
diskfiles size endless.vhd $((1 << 62))
refused endless.vhd '2040 GiB'
ok "a VHD is as large as it says, whoever made it; a differencing, a cut, or a damaged one is refused"

# --- VMDK: each type of disk and of extent ---
# descriptor FILE TYPE LINE...
descriptor() {
    local file=$1 type=$2
    shift 2
    printf '%s\n' '# Disk DescriptorFile' version=1 CID=fffffffe parentCID=ffffffff "createType=\"$type\"" '# Extents' "$@" '' 'ddb.virtualHWVersion = "4"' >"$file"
}
diskfiles cowd disk.raw cowd-s001.vmdk
diskfiles sesparse disk.raw sesparse-s001.vmdk
half=$((sectors / 2))
head -c $((half * 512)) disk.raw >first.raw
tail -c $((half * 512)) disk.raw >second.raw
qemu-img convert -O vmdk first.raw first.vmdk
diskfiles cowd second.raw second-cowd.vmdk
descriptor vmfs.vmdk vmfs "RW $sectors VMFS \"disk.raw\""
descriptor vmfs-sparse.vmdk vmfsSparse "RW $sectors VMFSSPARSE \"cowd-s001.vmdk\""
descriptor sesparse.vmdk seSparse "RW $sectors SESPARSE \"sesparse-s001.vmdk\""
descriptor parts.vmdk twoGbMaxExtentFlat "RW $half FLAT \"disk.raw\" 0" "RW $half FLAT \"disk.raw\" $half"
descriptor mixed.vmdk twoGbMaxExtentSparse "RW $half SPARSE \"first.vmdk\"" "RW $half VMFSSPARSE \"second-cowd.vmdk\""
sed 's/$/\r/' mixed.vmdk >windows.vmdk
for file in vmfs vmfs-sparse sesparse parts mixed windows; do taken $file.vmdk vmdk; done
# One digest is of one file: of the description, not of the disk.
sum=$(sha256sum <flat.vmdk)
for said in '' --format=vmdk; do
    expect 2 ingot pack ${said:+"$said"} --sha256 "${sum%% *}" flat.vmdk team/none:1.0.0
    grep -q 'flat.vmdk: .*flat-flat.vmdk.*one digest' "$TMP/err" || fail "$(cat "$TMP/err")"
done
sum=$(sha256sum <sparse.vmdk)
same sparse.vmdk --sha256 "${sum%% *}"
{ printf '   \n\n'; sed 1d mixed.vmdk; } >blank.vmdk
same blank.vmdk
ok "VMDKs of every type of disk and extent that QEMU reads give the image, by ESX's sparse files as well"
n=0
while IFS='|' read -r type line word; do
    descriptor no.vmdk "$type" "$line"
    refused no.vmdk "$word"
    n=$((n + 1))
done <<TABLE
custom|RW $sectors FLAT "disk.raw" 0|custom
fullDevice|RW $sectors FLAT "disk.raw" 0|fullDevice
monolithicSparse|RW $sectors SPARSE "first.vmdk"|monolithicSparse
vmfs|RW $sectors VMFSRDM "disk.raw"|VMFSRDM
vmfs|RW $sectors ZERO|ZERO
vmfs|RDONLY $sectors VMFS "disk.raw"|RDONLY
vmfs|NOACCESS $sectors VMFS "disk.raw"|NOACCESS
vmfs|RW $((sectors + 1)) VMFS "disk.raw"|cut short
vmfs|RW 4611686018427387904 VMFS "disk.raw"|no disk has
vmfsSparse|RW $sectors VMFSSPARSE "first.vmdk"|of $half sectors
vmfsSparse|RW $sectors VMFSSPARSE "/etc/passwd"|/etc/passwd
vmfsSparse|RW $sectors VMFSSPARSE "../files/cowd-s001.vmdk"|../files
seSparse|RW $sectors SESPARSE "/etc/passwd"|/etc/passwd
vmfs|RW $sectors VMFS "json:{}"|json
TABLE
[ $n = 14 ] || fail "$n were tried"
mkdir vmware
printf '%s\n' 'sata0:0.present = "TRUE"' 'sata0:0.fileName = "disk.vmdk"' >vmware/web.vmx
echo '{"provider": "vmware_desktop"}' >vmware/metadata.json
cp mixed.vmdk vmware/disk.vmdk
cp first.vmdk second-cowd.vmdk vmware
tar -C vmware -czf vmware.box .
same vmware.box
for name in /etc/passwd ../first.vmdk; do
    descriptor vmware/disk.vmdk vmfsSparse "RW $sectors VMFSSPARSE \"$name\""
    tar -C vmware -czf outside.box .
    refused outside.box disk.vmdk "$name"
done
sed -i 's/^parentCID.*/parentCID=12345678/' mixed.vmdk
refused mixed.vmdk 12345678
refused cowd-s001.vmdk descriptor
refused sesparse-s001.vmdk descriptor
refused two-sparse-s001.vmdk descriptor
ok "extents that QEMU would leave out, or open elsewhere, are refused with their line, in a box as well"

# --- cut short, where the tables tell ---
for file in old.qcow2 new.qcow2 dynamic.vdi static.vdi dynamic.vhd sparse.vmdk stream.vmdk; do
    cp $file cut-$file
    truncate -s -700K cut-$file
    refused cut-$file 'cut short'
done
for kind in vmfsSparse/VMFSSPARSE/cowd seSparse/SESPARSE/sesparse; do
    IFS=/ read -r type word name <<<"$kind"
    cp $name-s001.vmdk $name-cut.vmdk
    truncate -s -512 $name-cut.vmdk
    descriptor cut.vmdk "$type" "RW $sectors $word \"$name-cut.vmdk\""
    refused cut.vmdk $name-cut.vmdk 'cut short'
done
mkdir cut
cp cut-new.qcow2 cut/box.img
echo '{"provider": "libvirt", "format": "qcow2", "virtual_size": 1}' >cut/metadata.json
tar -C cut -cf cut.box metadata.json box.img
refused cut.box box.img 'cut short'
seq 300000 >words.raw
qemu-img convert -f raw -O qcow2 -c words.raw squeezed.qcow2
head -c 4096 /dev/zero | dd of=squeezed.qcow2 bs=4096 seek=$(($(stat -c %s squeezed.qcow2) / 8192)) conv=notrunc status=none
refused squeezed.qcow2 'damaged: QEMU cannot read it'
ok "a disk whose tables name what its file has no more is refused, with its extent, in a box as well"

# --- VHDX: a log that was not replayed ---
cp dynamic.vhdx log.vhdx
diskfiles log log.vhdx $((1 << 20)) 5a
! qemu-img compare -q -f vhdx -F raw log.vhdx disk.raw 2>/dev/null || fail "there is no log"
cp disk.raw replayed.raw
head -c 4096 /dev/zero | tr '\0' 'Z' | dd of=replayed.raw bs=4096 seek=256 conv=notrunc status=none
plain=$digest
digest=$(ingot pack -q replayed.raw team/replayed:1.0.0)
same log.vhdx
mkdir -p 'Virtual Hard Disks'
cp log.vhdx 'Virtual Hard Disks/web.vhdx'
echo '{"provider": "hyperv"}' >metadata.json
tar -cf log.box metadata.json 'Virtual Hard Disks'
same log.box
digest=$plain
rm 'Virtual Hard Disks/web.vhdx'
cp made.vhd 'Virtual Hard Disks/web.vhd'
tar -cf vhd.box metadata.json 'Virtual Hard Disks'
same vhd.box
ok "the log of a VHDX is replayed on a copy; the file stays as it is"

# A log says how many zeros are to be written, not which.
cp disk.raw replayed.raw
dd if=/dev/zero of=replayed.raw bs=4096 seek=256 count=3 conv=notrunc status=none
digest=$(ingot pack -q replayed.raw team/replayed:1.0.0)
cp dynamic.vhdx zeros.vhdx
diskfiles zeros zeros.vhdx $((1 << 20)) $((3 << 12))
same zeros.vhdx
cp dynamic.vhdx flood.vhdx
diskfiles zeros flood.vhdx $((1 << 20)) $((1 << 40))
refused flood.vhdx 'more zeros than the file could hold'
cp dynamic.vhdx far.vhdx
diskfiles zeros far.vhdx $((1 << 20)) 4096 $((1 << 40))
expect 2 ingot pack far.vhdx team/none:1.0.0
grep -q 'far.vhdx: its log cannot be replayed: ' "$TMP/err" && grep -q 'File too large\|File size limit' "$TMP/err" || fail "$(cat "$TMP/err")"
nothing_left
digest=$plain
ok "a log that would write without end, or far behind the file, is not replayed"

# --- what is not known ---
# Made by QEMU where it can; of the others only the beginning is.
qemu-img convert -O qcow disk.raw other.qcow
qemu-img convert -O qed disk.raw other.qed
qemu-img convert -O parallels disk.raw other.hds
qemu-img create -q -f luks --object secret,id=s,data=word -o key-secret=s,iter-time=10 other.luks 1M
refused other.qcow 'qcow disk of version 1' '-f qcow'
refused other.qed QED
refused other.hds Parallels '-f parallels'
refused other.luks LUKS
n=0
while IFS='|' read -r start word; do
    diskfiles words disk.raw other.img "$start"
    refused other.img "$word"
    n=$((n + 1))
done <<'TABLE'
WithouFreSpacExt|Parallels
Bochs Virtual HD Image|Bochs
#!/bin/sh\n#V2.0 Format\n|cloop
7z\xbc\xaf\x27\x1c|7z
\x04\x22\x4d\x18|lz4
LZIP\x01|lzip
Rar!\x1a\x07|RAR
\x7fELF|ELF
<?xml version="1.0"?>|XML
TABLE
[ $n = 9 ] || fail "$n were tried"
head -c 1M disk.raw | tr '\0' x >unknown.img
printf 'no' | dd of=unknown.img bs=1 seek=510 conv=notrunc status=none
refused unknown.img '--format raw'
truncate -s 1000 small.raw
refused small.raw 'multiple of 512'
cp disk.raw other.raw
printf 'QED\0' | dd of=other.raw conv=notrunc status=none
refused other.raw QED
ok "a file of another kind is refused by its name, an unknown one by what is missing"

[ "$(ingot pack -q --format raw unknown.img team/said:1.0.0)" = "$(cp unknown.img unknown.raw && ingot pack -q unknown.raw team/said:1.0.0)" ] || fail "raw by option and by name differ"
ingot pack -q --format raw other.qed team/said:1.0.0 >"$TMP/out"
[ "$(cat "$TMP/out")" = "$(ingot pack -q -F raw other.qed team/said:1.0.0)" ] || fail "-F is another option"
ingot export -q team/said:1.0.0 -o said.raw && cmp said.raw other.qed || fail "what is said to be raw is not taken as it is"
same fixed.vhd --format vpc
same dynamic.vhdx -F vhdx
expect 2 ingot pack --format vhd fixed.vhd team/none:1.0.0
grep -q 'vpc' "$TMP/err" || fail "$(cat "$TMP/err")"
expect 2 ingot pack --format qcow2 disk.raw team/none:1.0.0
expect 2 ingot pack --format vpc disk.raw team/none:1.0.0
grep -q 'disk.raw: not a VHD' "$TMP/err" || fail "$(cat "$TMP/err")"
qemu-img create -q -f qcow2 -F raw -b /etc/passwd over.qcow2 1M
expect 2 ingot pack --format qcow2 over.qcow2 team/none:1.0.0
grep -q '/etc/passwd' "$TMP/err" || fail "$(cat "$TMP/err")"
! ingot images | grep -q team/none || fail "what was refused became an image"
nothing_left
ok "--format counts whatever a file looks like, and what it names is looked at all the same"

# --- bombs ---
qemu-img create -q -f qcow2 -o cluster_size=2M huge.qcow2 1P
(ulimit -v 1000000; began=$SECONDS; expect 1 ingot pack huge.qcow2 team/none:1.0.0; [ $((SECONDS - began)) -lt 10 ]) || fail "a disk of 1 PiB is read through"
for format in vmdk vdi; do
    qemu-img create -q -f $format tables.$format 8M
    diskfiles tables tables.$format
    refused tables.$format 'MiB of memory'
done
ok "a disk that no image holds, or whose tables no disk needs, is refused before it is read"
