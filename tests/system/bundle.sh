#!/bin/bash
# The other way: OVAs, Vagrant boxes and disks by URL become images; what is wrong with one is named, and nothing of it
# is written anywhere.
set -eu
cd "$(dirname "$0")/../.."
if [ "${1:-}" != inside ]; then
    # A small file system of our own, gone with the namespace.
    if [ "$(id -u)" = 0 ]; then exec unshare --mount --propagation unchanged "$0" inside; fi
    exec unshare --user --map-root-user --mount "$0" inside
fi
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
top=$PWD
# What is unpacked comes and goes here.
export TMPDIR=$TMP/work
mkdir "$TMPDIR" "$TMP/box" "$TMP/ova"
# A disk of 64 MiB with 12 MB in it: it is packed some fifty times.
mkdir "$TMP/tree"
cat /usr/bin/[a-m]* 2>/dev/null | head -c 12M >"$TMP/tree/file"
truncate -s 64M "$TMP/disk.raw"
mke2fs -q -t ext4 -d "$TMP/tree" "$TMP/disk.raw"
size=$(stat -c %s "$TMP/disk.raw")
digest=$(ingot pack -q "$TMP/disk.raw" team/raw:1.0.0)

# nothing_left: no work folder, and no file that a member's path could have made.
nothing_left() {
    [ -z "$(ls -A "$TMPDIR")" ] || fail "left in \$TMPDIR: $(ls -AR "$TMPDIR")"
    [ ! -e "$TMP/evil" ] && [ ! -e evil ] && [ ! -e /tmp/ingot-evil ] || fail "something was written outside"
}
# same FILE: it becomes the very same image.
same() {
    [ "$(ingot pack -q "$1" team/same:1.0.0)" = "$digest" ] || fail "$1 gives another image"
    nothing_left
}
# refused FILE WORD...: status 2, every WORD and the file's name in the message, no image, nothing left.
refused() {
    local file=$1 word
    shift
    ingot rm -q team/none:1.0.0 2>/dev/null || true
    expect 2 ingot pack "$file" team/none:1.0.0
    for word in "${file##*/}" "$@"; do
        grep -qF -- "$word" "$TMP/err" || fail "'$word' is not in: $(cat "$TMP/err")"
    done
    [ -z "${SHOW:-}" ] || grep '^ingot pack: ' "$TMP/err"
    [ "$(grep -c '^ingot pack: ' "$TMP/err")" = 1 ] || fail "not one message: $(cat "$TMP/err")"
    ! ingot images | grep -q team/none || fail "$file became an image"
    nothing_left
}

# ovf VENDOR DISK CAPACITY: a descriptor as VirtualBox and as VMware write it.
ovf() {
    if [ "$1" = virtualbox ]; then
        cat <<OVF
<?xml version="1.0"?>
<Envelope ovf:version="1.0" xml:lang="en-US" xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:vbox="http://www.virtualbox.org/ovf/machine">
  <References>
    <File ovf:id="file1" ovf:href="$2"/>
  </References>
  <DiskSection>
    <Info>List of the virtual disks used in the package</Info>
    <Disk ovf:capacity="$3" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized" vbox:uuid="5b2a7a1e-0000-4c5e-9d2b-000000000001"/>
  </DiskSection>
  <VirtualSystem ovf:id="web">
    <Info>A virtual machine</Info>
    <vbox:Machine ovf:required="false"><Hardware><Firmware type="BIOS"/></Hardware></vbox:Machine>
  </VirtualSystem>
</Envelope>
OVF
    else
        cat <<OVF
<?xml version="1.0" encoding="UTF-8"?>
<Envelope vmw:buildId="build-1" xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:href="$2" ovf:id="file1" ovf:size="1"/>
  </References>
  <DiskSection>
    <Disk ovf:capacity="$(($3 >> 20))" ovf:capacityAllocationUnits="byte * 2^20" ovf:diskId="vmdisk1" ovf:fileRef="file1"/>
  </DiskSection>
  <VirtualSystem ovf:id="web">
    <VirtualHardwareSection>
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
OVF
    fi
}
# box FOLDER PROVIDER [MORE]: its metadata.json.
box() { echo "{\"provider\": \"$2\"${3:+, $3}}" >"$1/metadata.json"; }

# --- OVAs ---
qemu-img convert -O vmdk -o subformat=streamOptimized "$TMP/disk.raw" "$TMP/ova/web-disk1.vmdk"
cd "$TMP/ova"
ovf virtualbox web-disk1.vmdk "$size" >web.ovf
for file in web.ovf web-disk1.vmdk; do echo "SHA1 ($file) = $(sha1sum $file | cut -d' ' -f1)"; done >web.mf
tar --format=ustar -cf "$TMP/virtualbox.ova" web.ovf web-disk1.vmdk web.mf
ovf vmware web-disk1.vmdk "$size" >web.ovf
for file in web.ovf web-disk1.vmdk; do echo "SHA256($file)= $(sha256sum $file | cut -d' ' -f1)"; done >web.mf
tar -cf "$TMP/vmware.ova" web.ovf web.mf web-disk1.vmdk
tar --format=v7 -cf "$TMP/old.ova" web.ovf web.mf web-disk1.vmdk
tar --format=pax -czf "$TMP/packed.ova" web.ovf web.mf web-disk1.vmdk
cp "$TMP/vmware.ova" "$TMP/no-name"
cd "$top"
same "$TMP/virtualbox.ova"
ingot pack -q "$TMP/vmware.ova" team/uefi:1.0.0 >"$TMP/uefi"
[ "$(cat "$TMP/uefi")" != "$digest" ] || fail "the firmware is not told"
ingot show team/uefi:1.0.0 --json | grep -q uefi || fail "show does not tell UEFI: $(ingot show team/uefi:1.0.0 --json)"
for file in old.ova packed.ova no-name; do
    [ "$(ingot pack -q "$TMP/$file" team/uefi:1.0.0)" = "$(cat "$TMP/uefi")" ] || fail "$file gives another image"
done
ingot pull -q team/uefi:1.0.0 -o "$TMP/back.raw" >/dev/null
cmp "$TMP/back.raw" "$TMP/disk.raw" || fail "the disk of an OVA has other bytes"
nothing_left
ok "OVAs as VirtualBox and VMware write them give the image of their disk, whatever they are called"

# --- boxes ---
cd "$TMP/box"
mkdir libvirt disks virtualbox vmware hyperv raw
qemu-img convert -O qcow2 "$TMP/disk.raw" libvirt/box.img
box libvirt libvirt '"format": "qcow2", "virtual_size": 1'
echo 'Vagrant.configure("2") { }' >libvirt/Vagrantfile
tar -C libvirt -czf "$TMP/kept.box" box.img metadata.json Vagrantfile
tar -C libvirt -cf "$TMP/plain.box" ./metadata.json ./box.img
tar -C libvirt -czf "$TMP/gzip.box" box.img metadata.json
XZ_OPT=-0 tar -C libvirt -cJf "$TMP/xz.box" metadata.json box.img
tar -C libvirt --zstd -cf "$TMP/zstd.box" metadata.json box.img
(cd libvirt && zip -q "$TMP/zip.box" metadata.json box.img)
cp libvirt/box.img disks/box_0.img
box disks libvirt '"format": "qcow2", "disks": [{"path": "box_0.img", "format": "qcow2"}]'
tar -C disks -czf "$TMP/disks.box" .
cp --sparse=always "$TMP/disk.raw" raw/box.img
box raw qemu '"format": "raw"'
tar -C raw -S -cf "$TMP/sparse.box" metadata.json box.img
tar -C raw -cf "$TMP/raw.box" metadata.json box.img
qemu-img convert -O vmdk -o subformat=streamOptimized "$TMP/disk.raw" virtualbox/box-disk001.vmdk
ovf virtualbox box-disk001.vmdk "$size" >virtualbox/box.ovf
box virtualbox virtualbox
tar -C virtualbox -czf "$TMP/virtualbox.box" Vagrantfile box-disk001.vmdk box.ovf metadata.json 2>/dev/null ||
    tar -C virtualbox -czf "$TMP/virtualbox.box" box-disk001.vmdk box.ovf metadata.json
qemu-img convert -O vmdk -o subformat=twoGbMaxExtentSparse "$TMP/disk.raw" vmware/disk.vmdk
printf '%s\n' '.encoding = "UTF-8"' 'sata0:0.present = "TRUE"' 'sata0:0.fileName = "disk.vmdk"' 'ide1:0.fileName = "auto detect"' 'sata0:1.present = "FALSE"' 'sata0:1.fileName = "gone.vmdk"' >vmware/web.vmx
box vmware vmware_desktop
tar -C vmware -czf "$TMP/vmware.box" .
tar -C vmware -cf "$TMP/vmware-plain.box" .
mkdir "hyperv/Virtual Hard Disks"
qemu-img convert -O vhdx "$TMP/disk.raw" "hyperv/Virtual Hard Disks/web.vhdx"
box hyperv hyperv
tar -C hyperv -czf "$TMP/hyperv.box" .
cd "$top"
for file in plain gzip xz zstd zip disks sparse raw virtualbox vmware vmware-plain hyperv; do same "$TMP/$file.box"; done
ok "boxes for libvirt, qemu, virtualbox, vmware and hyperv give the same image, however they are compressed"

for format in raw qcow2 qcow2-zstd vmdk vmdk-stream vhd vhdx vdi ova vagrant-libvirt vagrant-qemu vagrant-virtualbox vagrant-vmware; do
    ingot export team/raw:1.0.0 -q --format $format -o "$TMP/exported"
    same "$TMP/exported"
done
ok "what export writes, pack takes back as the same image"

# --- broken OVAs ---
head -c 1000000 "$TMP/virtualbox.ova" >"$TMP/short.ova"
refused "$TMP/short.ova" 'cut short'
cd "$TMP/ova"
# ova NAME MEMBER...: with the descriptor of standard input.
ova() {
    local name=$1
    shift
    cat >web.ovf
    tar -cf "$TMP/$name.ova" web.ovf "$@"
}
ovf vmware web-disk1.vmdk "$size" >good.ovf
ova missing <good.ovf
ova no-disk web-disk1.vmdk < <(grep -v '<Disk ' good.ovf)
cp web-disk1.vmdk web-disk2.vmdk
sed 's, ovf:fileRef="file1",,' good.ovf | ova empty web-disk1.vmdk
sed 's,fileRef="file1",fileRef="file7",' good.ovf | ova reference web-disk1.vmdk
sed 's,<File ,&ovf:compression="gzip" ,' good.ovf | ova compressed web-disk1.vmdk
sed 's,<File ,&ovf:chunkSize="1000" ,' good.ovf | ova chunks web-disk1.vmdk
sed 's,ovf:href="web-disk1.vmdk",ovf:href="../../etc/passwd",' good.ovf | ova href web-disk1.vmdk
head -c 400 good.ovf | ova xml web-disk1.vmdk
echo '<html/>' | ova html web-disk1.vmdk
sed 's,<VirtualSystem .*,<VirtualSystem/>&,' good.ovf | ova machines web-disk1.vmdk
sed 's,capacity="[0-9]*",capacity="many",' good.ovf | ova capacity web-disk1.vmdk
sed 's,byte \* 2^20,pages,' good.ovf | ova unit web-disk1.vmdk
cp good.ovf web.ovf
printf 'SHA256(web-disk1.vmdk)= %064d\n' 7 >web.mf
tar -cf "$TMP/digest.ova" web.ovf web.mf web-disk1.vmdk
echo 'SHA256(gone.vmdk)= 0' >web.mf
tar -cf "$TMP/manifest.ova" web.ovf web.mf web-disk1.vmdk
printf 'SHA1(gone.vmdk)= %040d\n' 1 >web.mf
tar -cf "$TMP/listed.ova" web.ovf web.mf web-disk1.vmdk
cp web-disk1.vmdk whole.vmdk
printf 'XXXX' | dd of=web-disk1.vmdk conv=notrunc status=none
tar -cf "$TMP/garbage.ova" web.ovf web-disk1.vmdk
ln -sf /etc/passwd web-disk1.vmdk
tar -cf "$TMP/link.ova" web.ovf web-disk1.vmdk
tar -cf "$TMP/neither.tar" web-disk2.vmdk
mv whole.vmdk web-disk1.vmdk
cp web.ovf other.ovf
tar -cf "$TMP/descriptors.ova" web.ovf other.ovf web-disk1.vmdk
head -c 2000000 /dev/zero | tr '\0' ' ' >>web.ovf
tar -cf "$TMP/text.ova" web.ovf web-disk1.vmdk
cd "$top"
sum=$(sha256sum "$TMP/ova/web-disk1.vmdk" | cut -d' ' -f1)
refused "$TMP/missing.ova" web.ovf web-disk1.vmdk 'not in the archive'
refused "$TMP/no-disk.ova" web.ovf 'no disk'
refused "$TMP/empty.ova" vmdisk1 'is empty'
refused "$TMP/reference.ova" vmdisk1 file7
refused "$TMP/compressed.ova" web-disk1.vmdk gzip
refused "$TMP/chunks.ova" web-disk1.vmdk.000000000 'not in the archive'
refused "$TMP/href.ova" ../../etc/passwd outside
refused "$TMP/xml.ova" web.ovf line
refused "$TMP/html.ova" web.ovf html
refused "$TMP/machines.ova" '2 machines'
refused "$TMP/capacity.ova" many
refused "$TMP/unit.ova" pages
refused "$TMP/digest.ova" web-disk1.vmdk "$sum" 0000000007
refused "$TMP/manifest.ova" web.mf 'line 1'
refused "$TMP/garbage.ova" web-disk1.vmdk 'no vmdk'
refused "$TMP/link.ova" web-disk1.vmdk link
refused "$TMP/neither.tar" 'neither an OVA' web-disk2.vmdk
refused "$TMP/descriptors.ova" web.ovf other.ovf
refused "$TMP/text.ova" web.ovf '1 MiB'
gzip -c "$TMP/disk.raw" >"$TMP/disk.raw.gz"
refused "$TMP/disk.raw.gz" 'unpacked first'
gzip -c "$TMP/ova/good.ovf" >"$TMP/text.gz"
refused "$TMP/text.gz" 'unpacked first'
ok "broken OVAs are refused, each with its member and the reason"

# --- boxes that are none ---
cd "$TMP/box"
box libvirt docker
tar -C libvirt -czf "$TMP/docker.box" metadata.json Vagrantfile
echo '{"format": "qcow2"}' >libvirt/metadata.json
tar -C libvirt -czf "$TMP/nobody.box" metadata.json box.img
echo '{"provider": ' >libvirt/metadata.json
tar -C libvirt -czf "$TMP/json.box" metadata.json box.img
box disks libvirt '"disks": []'
tar -C disks -cf "$TMP/nodisks.box" .
box disks libvirt '"disks": [{"path": "../box_0.img"}]'
tar -C disks -cf "$TMP/path.box" .
tar -C libvirt -cf "$TMP/imageless.box" Vagrantfile -C ../raw metadata.json
rm vmware/disk-s001.vmdk
tar -C vmware -czf "$TMP/extent.box" .
echo 'scsi0:1.fileName = "second.vmdk"' >>vmware/web.vmx
tar -C vmware -czf "$TMP/vmx.box" .
echo ' ' >vmware/web.vmx
tar -C vmware -czf "$TMP/diskless.box" .
cd "$top"
refused "$TMP/docker.box" docker libvirt
refused "$TMP/nobody.box" metadata.json provider
refused "$TMP/json.box" metadata.json
refused "$TMP/nodisks.box" metadata.json 'names no disk'
refused "$TMP/path.box" ../box_0.img outside
refused "$TMP/imageless.box" box.img
refused "$TMP/extent.box" disk.vmdk disk-s001.vmdk
refused "$TMP/vmx.box" web.vmx second.vmdk 'not in the archive'
refused "$TMP/diskless.box" web.vmx 'no disk'
ok "a box for another provider, of no disk, or without what it names is refused"

# --- paths, links, other files of this host ---
python3 - "$TMP" <<'PY'
import io, sys, tarfile
top = sys.argv[1]
meta = b'{"provider": "libvirt", "format": "qcow2"}'
def write(name, *members):
    with tarfile.open(f"{top}/{name}.box", "w:gz", format=tarfile.GNU_FORMAT, encoding="latin-1") as tar:
        for path, data, kind in (("metadata.json", meta, b"0"), *members):
            info = tarfile.TarInfo(path)
            info.size, info.type = len(data), kind
            if kind in (b"1", b"2"):
                info.size, info.linkname = 0, data.decode()
            tar.addfile(info, io.BytesIO(data))
image = open(f"{top}/box/libvirt/box.img", "rb").read()
write("up", ("../evil", b"evil", b"0"), ("box.img", image, b"0"))
write("deep", ("a/../../evil", b"evil", b"0"), ("box.img", image, b"0"))
write("absolute", ("/tmp/ingot-evil", b"evil", b"0"), ("box.img", image, b"0"))
write("symlink", ("box.img", b"/etc/passwd", b"2"))
write("hardlink", ("box.img", b"/etc/passwd", b"1"))
write("device", ("box.img", b"", b"3"))
write("twice", ("box.img", image, b"0"), ("box.img", image, b"0"))
write("control", ("\x1b[2J", b"", b"0"), ("box.img", image, b"0"))
write("latin", ("Gr\xfc\xdfe.txt", b"", b"0"), ("box.img", image, b"0"))
write("many", *((f"{i}", b"", b"0") for i in range(1001)))
write("texts", *((f"{i}.mf", b"\n" * (1 << 20), b"0") for i in range(5)), ("box.img", image, b"0"))
# A folder that is a link, and a file that would be written through it.
write("through", ("link", top.encode(), b"2"), ("link/evil", b"evil", b"0"), ("box.img", image, b"0"))
PY
refused "$TMP/up.box" ../evil
refused "$TMP/deep.box" a/../../evil
refused "$TMP/absolute.box" /tmp/ingot-evil
refused "$TMP/symlink.box" box.img link
refused "$TMP/hardlink.box" box.img link
refused "$TMP/device.box" box.img device
refused "$TMP/twice.box" box.img twice
refused "$TMP/control.box" '\033[2J'
refused "$TMP/latin.box" 'Gr\374\337e.txt'
refused "$TMP/many.box" 1000
refused "$TMP/texts.box" 3.mf '4 MiB together'
same "$TMP/through.box"
ok "paths that lead outside, links and devices are refused by name; nothing is written where they lead"

cd "$TMP/box"
qemu-img create -q -f qcow2 -F raw -b /etc/passwd "$TMP/passwd.qcow2" 1M
qemu-img create -q -f qcow2 -o data_file="$TMP/data.raw" "$TMP/data.qcow2" 1M
descriptor() { printf '%s\n' '# Disk DescriptorFile' version=1 parentCID=ffffffff "createType=\"$1\"" "$2" >"$3"; }
descriptor monolithicFlat 'RW 4 FLAT "/etc/passwd" 0' "$TMP/passwd.vmdk"
descriptor monolithicFlat 'RW 4 FLAT "../evil" 0' "$TMP/up.vmdk"
descriptor twoGbMaxExtentFlat 'RW 2048 FLAT "gone-f001.vmdk" 0' "$TMP/gone.vmdk"
mkdir backing
box backing libvirt '"format": "qcow2"'
for disk in passwd data; do
    cp "$TMP/$disk.qcow2" backing/box.img
    tar -C backing -cf "$TMP/$disk.box" metadata.json box.img
    tar -C backing -czf "$TMP/$disk-gz.box" metadata.json box.img
done
cd "$TMP/ova"
cp good.ovf web.ovf
for disk in passwd up gone; do
    cp "$TMP/$disk.vmdk" web-disk1.vmdk
    tar -cf "$TMP/$disk.ova" web.ovf web-disk1.vmdk
done
cd "$top"
refused "$TMP/passwd.qcow2" /etc/passwd
refused "$TMP/passwd.box" box.img /etc/passwd
refused "$TMP/passwd-gz.box" box.img /etc/passwd
refused "$TMP/data.qcow2" "$TMP/data.raw"
refused "$TMP/data.box" box.img "$TMP/data.raw"
refused "$TMP/data-gz.box" box.img "$TMP/data.raw"
refused "$TMP/passwd.vmdk" /etc/passwd
refused "$TMP/passwd.ova" web-disk1.vmdk /etc/passwd
refused "$TMP/up.vmdk" ../evil
refused "$TMP/up.ova" web-disk1.vmdk ../evil
refused "$TMP/gone.vmdk" gone-f001.vmdk missing
refused "$TMP/gone.ova" web-disk1.vmdk gone-f001.vmdk
ok "no disk makes another file of this host part of an image; a missing extent is named with its descriptor"

# --- bombs ---
python3 - "$TMP" <<'PY'
import gzip, io, struct, sys, tarfile, zipfile
top = sys.argv[1]
meta = b'{"provider": "libvirt", "format": "qcow2"}'
zeros = gzip.compress(bytes(64 << 20))
def header(name, size):
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf()
# 16 GiB of zeros in 16 MB.
with open(f"{top}/bomb.box", "wb") as out:
    out.write(gzip.compress(header("metadata.json", len(meta)) + meta.ljust(512, b"\0") + header("box.img", 16 << 30)))
    for _ in range(256):
        out.write(zeros)
# The same without a head, and one bomb within another.
open(f"{top}/headless.box", "wb").write(zeros * 256)
open(f"{top}/nested.box", "wb").write(gzip.compress(gzip.compress(header("box.img", 1 << 40)) + zeros * 256))
with zipfile.ZipFile(f"{top}/zip.bomb.box", "w", zipfile.ZIP_DEFLATED) as out:
    out.writestr("metadata.json", meta)
    with out.open("box.img", "w") as member:
        for _ in range(16):
            member.write(bytes(64 << 20))
# Whose directory says that it is small.
data = io.BytesIO()
with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as out:
    out.writestr("metadata.json", meta)
    out.writestr("box.img", bytes(64 << 20))
lie = bytearray(data.getvalue())
for at in (lie.rfind(b"PK\1\2") + 24, lie.find(b"PK\3\4", 10) + 22):
    lie[at:at + 4] = struct.pack("<I", 4096)
open(f"{top}/lying.box", "wb").write(lie)
# An OVA whose disk is far larger than it says.
text = open(f"{top}/ova/good.ovf").read().replace(f'capacity="{64}"', 'capacity="1"').encode()
with tarfile.open(f"{top}/large.ova", "w") as tar:
    for name, content in (("web.ovf", text), ("web-disk1.vmdk", bytes(80 << 20))):
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
PY
# A bomb that is unpacked fills this at once.
small=$TMP/small
mkdir "$small"
# In a chroot there is no mount to make private, and none that others share.
mount --make-rprivate / 2>/dev/null || true
mount -t tmpfs -o size=8m tmpfs "$small"
trap 'status=$?; umount -l "$small"; set +e; (exit $status); finish' EXIT
TMPDIR=$small
began=$SECONDS
refused "$TMP/bomb.box" box.img '200 times'
refused "$TMP/headless.box"
refused "$TMP/nested.box" box.img '200 times'
refused "$TMP/zip.bomb.box" box.img '200 times'
refused "$TMP/lying.box"
refused "$TMP/large.ova" web-disk1.vmdk 'more than a disk of'
[ $((SECONDS - began)) -lt 60 ] || fail "the bombs went on for $((SECONDS - began)) s"
ok "what would unpack to far more than it is, or than its disk can hold, is refused before it is unpacked"

same "$TMP/virtualbox.ova"
same "$TMP/plain.box"
expect 1 ingot pack "$TMP/gzip.box" team/none:1.0.0
grep -q 'gzip.box.*box.img.*No space left' "$TMP/err" || fail "$(cat "$TMP/err")"
nothing_left
TMPDIR=$TMP/work
ok "a disk that lies in its archive as it is takes no room; where there is too little, that is said and nothing is left"

# --- ends ---
mkdir "$TMP/slow"
box "$TMP/slow" qemu '"format": "raw"'
head -c 300M /dev/urandom >"$TMP/slow/box.img"
tar -C "$TMP/slow" --zstd -cf "$TMP/slow.box" metadata.json box.img
rm "$TMP/slow/box.img"
# pack_and_kill SIGNAL: while it unpacks; its status in $status.
pack_and_kill() {
    ingot pack -q "$TMP/slow.box" team/none:1.0.0 2>"$TMP/err" &
    local pid=$!
    until compgen -G "$TMPDIR/ingot-work-*/[0-9]*" >/dev/null; do kill -0 $pid || fail "$(cat "$TMP/err")"; sleep 0.01; done
    [ "$(stat -c %a "$TMPDIR"/ingot-work-*)" = 700 ] || fail "others may look into the work folder"
    kill "-$1" $pid
    status=0
    wait $pid 2>/dev/null || status=$?
}
pack_and_kill TERM
[ "$status" = 130 ] || fail "status $status: $(cat "$TMP/err")"
nothing_left
pack_and_kill KILL
[ -n "$(ls -A "$TMPDIR")" ] || fail "kill -9 left nothing to sweep"
same "$TMP/virtualbox.ova"
ok "Ctrl-C leaves nothing; what kill -9 leaves, the next command sweeps"

# --- URLs ---
cd "$TMP"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=here -addext subjectAltName=IP:127.0.0.1 -keyout here.key -out here.pem 2>/dev/null
cat >serve.py <<'PY'
import functools, http.server, ssl, sys, threading
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        global waits
        if self.path.startswith("/later/"):
            waits -= 1
            if waits >= 0:
                self.send_response(503)
                self.send_header("Retry-After", "1")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            self.path = self.path[6:]
        if not self.path.startswith("/to/"):
            return super().do_GET()
        self.send_response(302)
        self.send_header("Location", f"http://127.0.0.1:{ports[0]}/{self.path[4:]}")
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, form, *values):
        print(form % values, flush=True)
ports, waits = [], 6
for tls in False, True:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=sys.argv[1]))
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("here.pem", "here.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    ports.append(server.server_address[1])
    threading.Thread(target=server.serve_forever).start()
print("ports", *ports, flush=True)
PY
touch serve.log
python3 serve.py "$TMP" >serve.log 2>&1 &
ENDING+=($!)
until grep -q ports serve.log; do kill -0 ${ENDING[-1]} || fail "$(cat serve.log)"; sleep 0.05; done
read -r _ plain tls < <(grep ports serve.log)
cd "$top"
sum=$(sha256sum "$TMP/gzip.box" | cut -d' ' -f1)
url=http://127.0.0.1:$plain/gzip.box
[ "$(ingot pack -q "$url" --sha256 "$sum" team/url:1.0.0)" = "$digest" ] || fail "another image"
[ "$(ingot pack -q --ca "$TMP/here.pem" "https://127.0.0.1:$tls/virtualbox.ova" --sha256 "$(sha256sum "$TMP/virtualbox.ova" | cut -d' ' -f1)" team/url:1.0.0)" = "$digest" ] || fail "another image by HTTPS"
[ "$(ingot pack -q "http://127.0.0.1:$plain/to/disk.raw" --sha256 "sha256:$(sha256sum "$TMP/disk.raw" | cut -d' ' -f1)" team/url:1.0.0)" = "$digest" ] || fail "another image by a redirection"
[ "$(ingot pack -q "$url" --sha256 "${sum^^}" team/url:1.0.0)" = "$digest" ] || fail "another image the second time"
[ "$(grep -c 'GET /gzip.box' "$TMP/serve.log")" = 1 ] || fail "it was fetched twice"
ok "a disk, an OVA and a box come by HTTP and HTTPS, once"
# A server that works the file out first says when to come again.
[ "$(INGOT_CACHE=$TMP/later-cache ingot pack "http://127.0.0.1:$plain/later/virtualbox.ova" --sha256 "$(sha256sum "$TMP/virtualbox.ova" | cut -d' ' -f1)" team/later:1.0.0 2>"$TMP/err" | tail -1)" ] || fail "$(cat "$TMP/err")"
[ "$(grep -c 'the server asks to wait' "$TMP/err")" = 1 ] || fail "not told, or more than once: $(cat "$TMP/err")"
ok "a download waits as long as the server asks for, and says so"

expect 2 ingot pack "$url" team/none:1.0.0
grep -q "$url.*--sha256" "$TMP/err" || fail "$(cat "$TMP/err")"
expect 2 ingot pack "ftp://127.0.0.1/disk.raw" --sha256 "$sum" team/none:1.0.0
grep -q 'http://' "$TMP/err" || fail "$(cat "$TMP/err")"
expect 2 ingot pack "$TMP/gzip.box" --sha256 12345 team/none:1.0.0
grep -q '64 hex' "$TMP/err" || fail "$(cat "$TMP/err")"
expect 1 ingot pack "$TMP/plain.box" --sha256 "$sum" team/none:1.0.0
grep -q "plain.box.*$(sha256sum "$TMP/plain.box" | cut -d' ' -f1).*$sum" "$TMP/err" || fail "$(cat "$TMP/err")"
expect 1 ingot pack "http://127.0.0.1:$plain/plain.box" --sha256 "${sum//[0-4]/7}" team/none:1.0.0
grep -q "plain.box.*${sum//[0-4]/7}" "$TMP/err" || fail "$(cat "$TMP/err")"
expect 1 ingot pack "http://127.0.0.1:$plain/gone.box" --sha256 "${sum//[0-4]/7}" team/none:1.0.0
expect 1 ingot pack --ca "$TMP/here.pem" "https://127.0.0.1:$tls/to/disk.raw" --sha256 "${sum//[0-4]/7}" team/none:1.0.0
[ "$(grep -c 'GET /disk.raw' "$TMP/serve.log")" = 1 ] || fail "HTTPS led to HTTP"
expect 1 ingot pack "https://127.0.0.1:$tls/plain.box" --sha256 "${sum//[0-4]/7}" team/none:1.0.0
[ "$(ingot pack -q "$TMP/plain.box" --sha256 "$(sha256sum "$TMP/plain.box" | cut -d' ' -f1)" team/url:1.0.0)" = "$digest" ] || fail "another image with --sha256"
printf 'x' >>"$INGOT_CACHE/sources/image-$sum"
[ "$(ingot pack -q "$url" --sha256 "$sum" team/url:1.0.0)" = "$digest" ] || fail "a damaged download stays"
[ "$(grep -c 'GET /gzip.box' "$TMP/serve.log")" = 2 ] || fail "a damaged download was not fetched again"
! ingot images | grep -q team/none || fail "what was refused became an image"
nothing_left
ok "what has no digest, another one, or is not to be had is refused; HTTPS does not lead to HTTP"
