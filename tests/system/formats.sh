#!/bin/bash
# Formats: QEMU reads each as the very same disk, and they are the same bytes each time.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

small_disk "$TMP/v1.raw" one 64 a-c
# An end that is no whole block of any format, and data in the last of it.
truncate -s 67174400 "$TMP/v1.raw"
printf 'the end' | dd of="$TMP/v1.raw" bs=1 seek=67173408 conv=notrunc status=none
ingot pack -q "$TMP/v1.raw" team/web:1.0.0 >/dev/null
declare -A qemu=([raw]=raw [qcow2]=qcow2 [qcow2-zstd]=qcow2 [vdi]=vdi [vhd]=vpc [vhdx]=vhdx [vmdk]=vmdk [vmdk-stream]=vmdk)
others=(ova vmx vagrant-libvirt vagrant-qemu vagrant-virtualbox vagrant-vmware)
all=$(printf '%s\n' "${!qemu[@]}" "${others[@]}" | sort | tr '\n' ' ')
[ "$(ingot formats | awk '{ print $1 }' | sort | tr '\n' ' ')" = "$all" ] || fail "formats: $(ingot formats)"
for format in "${!qemu[@]}"; do
    file=$TMP/disk.$format
    ingot export -q team/web:1.0.0 --format "$format" -o "$file"
    case $format in raw | vhd) ;; *) qemu-img check -q -f "${qemu[$format]}" "$file" || fail "qemu-img check of $format" ;; esac
    qemu-img compare -q -f "${qemu[$format]}" -F raw "$file" "$TMP/v1.raw" || fail "$format differs from the disk"
    ingot export -q team/web:1.0.0 -F "$format" -o "$file.again"
    cmp "$file" "$file.again" || fail "$format is another file each time"
    [ "$(du -k "$file" | cut -f1)" -lt 55000 ] || fail "$format is not sparse: $(du -k "$file")"
    rm "$file.again"
done
[ "$(ingot pull -q team/web:1.0.0 -o "$TMP/pulled" --format vmdk)" ] && cmp "$TMP/pulled" "$TMP/disk.vmdk" || fail "pull --format"
for format in qcow2-zstd vmdk-stream; do
    [ "$(stat -c %s "$TMP/disk.$format")" -lt "$(($(stat -c %s "$TMP/disk.${format%-*}") * 2 / 3))" ] || fail "$format is not small: $(stat -c %s "$TMP/disk.$format")"
done
ok "raw, qcow2, vdi, vhd, vhdx and vmdk, compressed or not, are the disk, to QEMU; the same file each time"

digest=$(ingot pack -q "$TMP/v1.raw" team/web:1.0.0)
for format in "${!qemu[@]}"; do
    packed=$(ingot pack -q "$TMP/disk.$format" "back:1.0.0")
    [ "$packed" = "$digest" ] || ingot pull -q back:1.0.0 -o "$TMP/back.raw" >/dev/null
    [ "$packed" = "$digest" ] || cmp -n "$(stat -c %s "$TMP/v1.raw")" "$TMP/back.raw" "$TMP/v1.raw" || fail "packed from $format it is another disk"
done
ok "packed again from any of them it is the same disk"

ingot export -q team/web:1.0.0 -F vagrant-libvirt -o "$TMP/web.box"
mkdir "$TMP/box"
tar -C "$TMP/box" -xf "$TMP/web.box" || fail "tar"
[ "$(tar -tf "$TMP/web.box" | tr '\n' ' ')" = "metadata.json Vagrantfile box.img " ] || fail "in the box: $(tar -tf "$TMP/web.box")"
python3 -c 'import json,sys; m = json.load(open(sys.argv[1])); assert m == {"provider": "libvirt", "format": "qcow2", "virtual_size": 1}, m' "$TMP/box/metadata.json" || fail "$(cat "$TMP/box/metadata.json")"
cmp "$TMP/box/box.img" "$TMP/disk.qcow2" || fail "the disk in the box"
ok "a box for Vagrant's libvirt is a tar around the qcow2"

for format in "${others[@]}"; do
    ingot export -q team/web:1.0.0 -F "$format" -o "$TMP/disk.$format"
    ingot export -q team/web:1.0.0 -F "$format" -o "$TMP/again"
    diff -r "$TMP/disk.$format" "$TMP/again" || fail "$format is another thing each time"
    rm -r "$TMP/again"
done
mkdir "$TMP/ova"
tar -C "$TMP/ova" -xf "$TMP/disk.ova"
[ "$(tar -tf "$TMP/disk.ova" | tr '\n' ' ')" = "web.ovf web.mf web-disk0.vmdk " ] || fail "in the OVA: $(tar -tf "$TMP/disk.ova")"
(cd "$TMP/ova" && sed 's/^SHA256(\(.*\))= \(.*\)$/\2  \1/' web.mf | sha256sum -c --quiet && [ "$(wc -l <web.mf)" = 2 ]) || fail "the OVA's manifest"
xmllint --noout --relaxng tests/system/ovf.rng "$TMP/ova/web.ovf" 2>"$TMP/err" || fail "the OVF: $(cat "$TMP/ova/web.ovf")"
grep -q "ovf:size=\"$(stat -c %s "$TMP/ova/web-disk0.vmdk")\"" "$TMP/ova/web.ovf" || fail "the disk's size in the OVF"
cmp "$TMP/ova/web-disk0.vmdk" "$TMP/disk.vmdk-stream" || fail "the disk in the OVA"
ok "an OVA is a valid OVF, its manifest and a compressed disk, in this order"

[ "$(ls "$TMP/disk.vmx")" = $'disk.vmdk\nweb.vmx' ] && cmp "$TMP/disk.vmx/disk.vmdk" "$TMP/disk.vmdk" || fail "vmx: $(ls -l "$TMP/disk.vmx")"
grep -qx 'sata0:0.fileName = "disk.vmdk"' "$TMP/disk.vmx/web.vmx" || fail "vmx: $(cat "$TMP/disk.vmx/web.vmx")"
expect 1 ingot export team/web:1.0.0 -F vmx -o "$TMP/disk.vmx"
grep -q 'is there already' "$TMP/err" || fail "$(cat "$TMP/err")"
ln -s "$TMP/nowhere" "$TMP/dangling"
expect 1 ingot export team/web:1.0.0 -F vmx -o "$TMP/dangling"
grep -q 'is there already' "$TMP/err" || fail "$(cat "$TMP/err")"
ingot export -q team/web:1.0.0 -F vmx -o "$TMP/slash.vmx//"
cmp "$TMP/slash.vmx/disk.vmdk" "$TMP/disk.vmdk" || fail "vmx with slashes: $(ls -la "$TMP/slash.vmx")"
ok "vmx is a new folder"

box_has() { # FORMAT PROVIDER DISK FORMAT-OF-IT DESCRIPTION...
    local folder=$TMP/box-$1
    mkdir "$folder"
    tar -C "$folder" -xf "$TMP/disk.$1"
    python3 -c 'import json,sys; assert json.load(open(sys.argv[1]))["provider"] == sys.argv[2]' "$folder/metadata.json" "$2" || fail "$1: $(cat "$folder/metadata.json")"
    ruby -c "$folder/Vagrantfile" >/dev/null || fail "$1: the Vagrantfile"
    cmp "$folder/$3" "$TMP/disk.$4" || fail "$1: the disk"
    [ "$(find "$folder" -type f | wc -l)" = $(($# - 1)) ] || fail "$1: $(ls "$folder")"
    [ $# -lt 5 ] || [ -s "$folder/$5" ] || fail "$1: no $5"
}
box_has vagrant-qemu qemu box.img qcow2
box_has vagrant-virtualbox virtualbox box-disk0.vmdk vmdk-stream box.ovf
box_has vagrant-vmware vmware_desktop disk.vmdk vmdk box.vmx
xmllint --noout --relaxng tests/system/ovf.rng "$TMP/box-vagrant-virtualbox/box.ovf" 2>"$TMP/err" || fail "the OVF in the box"
rm -r "$TMP"/box-vagrant-*
ok "boxes for qemu, virtualbox and vmware_desktop have their provider's files around the same disk"

# Odd sizes and empty disks.
for size in 4096 1048576 1052672 70000128; do
    truncate -s 0 "$TMP/odd.raw"
    truncate -s $size "$TMP/odd.raw"
    [ $size = 1048576 ] || printf x | dd of="$TMP/odd.raw" bs=1 seek=$((size - 1)) conv=notrunc status=none
    ingot pack -q "$TMP/odd.raw" odd:1.0.0 >/dev/null
    for format in "${!qemu[@]}"; do
        ingot export -q odd:1.0.0 -F "$format" -o "$TMP/odd.$format"
        qemu-img compare -q -f "${qemu[$format]}" -F raw "$TMP/odd.$format" "$TMP/odd.raw" || fail "$format of $size bytes"
    done
done
ok "disks of odd sizes, and of nothing but holes"

truncate -s 2100G "$TMP/large.raw"
ingot pack -q "$TMP/large.raw" large:1.0.0 >/dev/null
expect 2 ingot export large:1.0.0 -F vhd -o "$TMP/large.vhd"
grep -q '2040 GiB' "$TMP/err" || fail "$(cat "$TMP/err")"
expect 2 ingot export large:1.0.0 -F vmdk -o "$TMP/large.vmdk"
grep -q '2 TiB' "$TMP/err" || fail "$(cat "$TMP/err")"
[ ! -e "$TMP/large.vhd" ] && [ ! -e "$TMP/large.vmdk" ] || fail "a refused format left a file"
expect 2 ingot export team/web:1.0.0 -F qcow -o "$TMP/x"
grep -q "did you mean 'qcow2'" "$TMP/err" || fail "$(cat "$TMP/err")"
expect 2 ingot export team/web:1.0.0 -F raw
ok "what a format can't hold, and wrong usage, are refused with the reason"

# The registry serves the same files, computed while they are read.
start_ingotd
ingot push -q team/web:1.0.0 "$REGISTRY/team/web" >/dev/null
base=http://$REGISTRY/formats/team/web
curl -sf "$base/1.0.0/" | python3 -c 'import json,sys; print(" ".join(sorted(f["name"] for f in json.load(sys.stdin)["formats"])))' >"$TMP/names"
[ "$(cat "$TMP/names") " = "$all" ] || fail "the folder of an image: $(cat "$TMP/names")"
mv "$TMP/disk.vmx" "$TMP/vmx"
mv "$TMP/vmx/disk.vmdk" "$TMP/disk.vmx"
for format in "${!qemu[@]}" "${others[@]}"; do
    name=$(view "$base/1.0.0/$format/" | python3 -c 'import json,sys; print(json.load(sys.stdin)["files"][0]["name"])')
    python3 - "$REGISTRY" "/formats/team/web/1.0.0/$format/$name" "$TMP/disk.$format" <<'PY' || fail "$format over HTTP"
import http.client, os, random, sys
host, path, name = sys.argv[1:]
data = open(name, "rb").read()
random.seed(7)
c = http.client.HTTPConnection(host)
c.request("HEAD", path)
r = c.getresponse(); r.read()
assert r.status == 200 and int(r.headers["Content-Length"]) == len(data) and r.headers["ETag"] and r.headers["Accept-Ranges"] == "bytes", r.headers
tag = r.headers["ETag"]
for _ in range(1000):
    at = random.randrange(len(data)); n = min(len(data) - at, random.choice((1, 512, 4096, 65536, 300000)))
    c.request("GET", path, headers={"Range": f"bytes={at}-{at + n - 1}"})
    r = c.getresponse(); body = r.read()
    assert r.status == 206 and body == data[at:at + n], (at, n, r.status)
c.request("GET", path, headers={"If-None-Match": tag}); r = c.getresponse(); r.read(); assert r.status == 304
c.request("GET", path, headers={"If-Range": '"x"', "Range": "bytes=0-0"}); r = c.getresponse(); body = r.read()
assert r.status == 200 and body == data
PY
    (cd "$TMP" && view "$base/1.0.0/$format/$name.sha256" | sed "s/$name/disk.$format/" | sha256sum -c --quiet) || fail "the sum of $format"
done
digest=$(curl -sfI "http://$REGISTRY/v2/team/web/manifests/1.0.0" | sed -n 's/^Docker-Content-Digest: *\([^\r]*\).*/\1/ip')
curl -sf "$base/$digest/qcow2/disk.qcow2" | cmp - "$TMP/disk.qcow2" || fail "by digest"
status() { curl -s -o "$TMP/answer" -w '%{http_code}' "$@"; }
[ "$(status "$base/9.9.9/qcow2/disk.qcow2")" = 404 ] && [ "$(status "$base/1.0.0/qcow/disk.qcow")" = 404 ] && [ "$(status "$base/1.0.0/qcow2/other")" = 404 ] &&
    [ "$(status "http://$REGISTRY/formats/x")" = 404 ] && [ "$(status -X PUT "$base/1.0.0/qcow2/disk.qcow2")" = 405 ] || fail "what is not there: $(cat "$TMP/answer")"
curl -sf "$base/1.0.0/vmx/web.vmx" | cmp - "$TMP/vmx/web.vmx" || fail "the second file of a format"
packs=$(find "$TMP/registry/packs" -name '*.pack' -printf '%s\n' | awk '{ s += $1 } END { print s }')
[ "$(curl -sf "$base/1.0.0/raw/disk.raw" | wc -c)" = "$(stat -c %s "$TMP/v1.raw")" ]
[ "$(find "$TMP/registry/packs" -name '*.pack' -printf '%s\n' | awk '{ s += $1 } END { print s }')" = "$packs" ] || fail "a view takes room"
[ $(($(sqlite3 "$TMP/registry/catalogue.sqlite" 'SELECT sum(length(value)) FROM measures') * 1000)) -lt "$packs" ] || fail "what is kept of all formats is more than 0.1 %"
ok "the registry serves each of them, any range, with its SHA-256, and keeps no copy"

# 2100 GiB take longer than a request waits: its client is told to come again, nobody else waits, and no client takes the answer for the file.
ingot push -q large:1.0.0 "$REGISTRY/team/large" >/dev/null
large=http://$REGISTRY/formats/team/large/1.0.0
for how in --get --head; do
    [ "$(status -m 60 "$how" -D "$TMP/head" "$large/raw/disk.raw.sha256")" = 503 ] && grep -qi '^Retry-After: *[0-9]' "$TMP/head" ||
        fail "the sum of a large disk, $how: $(cat "$TMP/head" "$TMP/answer")"
done
[ "$(status -m 60 -H 'Prefer: wait=1, respond-async' -D "$TMP/head" "$large/raw/disk.raw.sha256")" = 202 ] && grep -qi '^Retry-After: *[0-9]' "$TMP/head" && grep -qi '^Preference-Applied: respond-async' "$TMP/head" ||
    fail "a client that prefers 202: $(cat "$TMP/head" "$TMP/answer")"
! curl -sf -o "$TMP/none" "$large/raw/disk.raw.sha256" && ! wget -q --tries=1 -O "$TMP/none" "$large/raw/disk.raw.sha256" && [ ! -s "$TMP/none" ] || fail "a client keeps the answer as the file: $(cat "$TMP/none")"
[ "$(curl -sf -m 60 -r 0-9 "$large/raw/disk.raw" | wc -c)" = 10 ] || fail "a range of a disk whose sum is not known"
[ "$(curl -sf "$base/1.0.0/qcow2/disk.qcow2.sha256" | wc -c)" -gt 64 ] || fail "a sum that is known, while another is worked out"
# Each format has a disk of that size, or says why not.
ingot formats | awk '{ print $1 }' | while read -r format; do
    case $format in
    vhd | vmdk | vmdk-stream | vmx | ova | vagrant-virtualbox | vagrant-vmware)
        [ "$(status -m 60 "$large/$format/")" = 404 ] && grep -qE '2040 GiB|2 TiB' "$TMP/answer" || fail "$format of 2100 GiB: $(cat "$TMP/answer")"
        ;;
    *)
        name=$(view "$large/$format/" | python3 -c 'import json,sys; print(json.load(sys.stdin)["files"][0]["name"])') && [ "$(view -r 0-9 "$large/$format/$name" | wc -c)" = 10 ] || fail "$format of 2100 GiB"
        ;;
    esac
done
ok "what takes minutes is promised (503 with Retry-After), and kept by no client; a disk of 2100 GiB is served or refused in words"

# Work that nobody waits for ends: that of a client that has left at once, that of one that does not come again after a minute.
at_work() { grep -lx parallel /proc/"$SERVER"/task/*/comm >/dev/null 2>&1; }
kill "$SERVER"
wait "$SERVER" || true
start_ingotd
base=http://$REGISTRY/formats/team/web large=http://$REGISTRY/formats/team/large/1.0.0
curl -s -m 1 "$large/vdi/disk.vdi.sha256" -o /dev/null "$large/raw/disk.raw.sha256" -o /dev/null || true
for _ in $(seq 100); do at_work || break; sleep 0.1; done
! at_work || fail "the server works on for a client that has left"
[ "$(status -m 60 "$large/raw/disk.raw.sha256")" = 503 ] && at_work || fail "the server does not work on for a client that was told to come again"
ok "a client that leaves ends the work for it"

# In the catalogue a sum that is not known is left out.
curl -sf -m 120 "http://$REGISTRY/vagrant/team/large" >"$TMP/answer"
python3 - "$TMP/answer" <<'PY' || fail "Vagrant's catalogue without sums: $(cat "$TMP/answer")"
import json, sys
providers = [p for v in json.load(open(sys.argv[1]))["versions"] for p in v["providers"]]
assert [p["name"] for p in providers] == ["libvirt", "qemu"] and all("url" in p for p in providers), providers
PY
ok "Vagrant's catalogue does not wait for sums"

# What was measured is kept over a restart, and goes with the image.
measures() { sqlite3 "$TMP/registry/catalogue.sqlite" "SELECT count(*) FROM measures WHERE manifest=x'${digest#sha256:}' AND what NOT LIKE 'boxes/%'"; }
# A sum for each, and vmx's second file; and the blocks of two codecs.
[ "$(measures)" = "$(($(wc -w <<<"$all") + 1 + 2))" ] || fail "kept: $(sqlite3 "$TMP/registry/catalogue.sqlite" 'SELECT what FROM measures')"
before=$(view "$base/1.0.0/ova/web.ova.sha256")
kill "$SERVER"
wait "$SERVER" || true
sqlite3 "$TMP/registry/catalogue.sqlite" 'UPDATE measures SET value=zeroblob(length(value)) WHERE what LIKE "blocks%"'
start_ingotd
base=http://$REGISTRY/formats/team/web
[ "$(view "$base/1.0.0/ova/web.ova.sha256")" = "$before" ] || fail "another sum after a restart"
view "$base/1.0.0/ova/web.ova" | cmp - "$TMP/disk.ova" || fail "a damaged measure was believed"
ok "what had to be measured is kept over a restart, and not believed if it is damaged"

# Another process reads from the packs again.
kill "$SERVER"
wait "$SERVER" || true
start_ingotd
base=http://$REGISTRY/formats/team/web
blob=$(curl -sf "http://$REGISTRY/v2/team/web/manifests/1.0.0" | python3 -c 'import json, sys; print(max(json.load(sys.stdin)["layers"], key=lambda layer: layer["size"])["digest"][7:])')
pack=$(printf '%s/registry/packs/%08d.pack' "$TMP" "$(sqlite3 "$TMP/registry/catalogue.sqlite" "SELECT pack FROM blobs WHERE digest=x'$blob'")")
python3 - "$pack" <<'PY'
import os, sys
with open(sys.argv[1], "r+b") as file:
    middle = os.path.getsize(sys.argv[1]) // 2
    file.seek(middle)
    byte = file.read(1)
    file.seek(middle)
    file.write(bytes([byte[0] ^ 1]))
PY
if curl -sf "$base/1.0.0/raw/disk.raw" -o "$TMP/short"; then fail "a view of a damaged image looks whole"; fi
[ "$(stat -c %s "$TMP/short")" -lt "$(stat -c %s "$TMP/v1.raw")" ] || fail "a view of a damaged image has its whole length"
cmp -n "$(stat -c %s "$TMP/short")" "$TMP/short" "$TMP/v1.raw" || fail "damaged bytes were served"
ok "a view of a damaged image ends in an error that the client sees"
# A sum that can't be had is told, to those who ask next too: the disk is not read again and again for it.
sqlite3 "$TMP/registry/catalogue.sqlite" 'DELETE FROM measures'
for _ in $(seq 50); do # it may take longer than a request waits
    [ "$(status "$base/1.0.0/raw/disk.raw.sha256")" = 503 ] || break
done
[ "$(status "$base/1.0.0/raw/disk.raw.sha256")" = 500 ] || fail "the sum of a damaged image: $(cat "$TMP/answer")"
found=$(curl -sf "http://$REGISTRY/metrics" | grep '^ingot_damage_found_total')
for _ in 1 2 3; do [ "$(status "$base/1.0.0/raw/disk.raw.sha256")" = 500 ] || fail "the same again: $(cat "$TMP/answer")"; done
[ "$(curl -sf "http://$REGISTRY/metrics" | grep '^ingot_damage_found_total')" = "$found" ] || fail "a failure is tried again each time"
ok "a sum that can not be had is told, and not tried for ever"

disk=$(python3 -c "
import json; d=json.load(open('$INGOT_STORE/index.json'))
for m in d['manifests']:
    if 'web' in json.dumps(m.get('annotations', {})): print(json.load(open('$INGOT_STORE/blobs/sha256/' + m['digest'][7:]))['layers'][1]['digest'][7:]); break")
flip "$INGOT_STORE/blobs/sha256/$disk" 200000
expect 1 ingot export team/web:1.0.0 -F vdi -o "$TMP/damaged.vdi"
[ -z "$(find "$TMP" -name 'damaged.vdi*')" ] || fail "a damaged disk left a file"
ok "a damaged disk becomes no file"
