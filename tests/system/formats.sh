#!/bin/bash
# Formats: QEMU reads each as the very same disk, and they are the same bytes each time.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

small_disk "$TMP/v1.raw"
# An end that is no whole block of any format, and data in the last of it.
truncate -s 268500992 "$TMP/v1.raw"
printf 'the end' | dd of="$TMP/v1.raw" bs=1 seek=268500000 conv=notrunc status=none
ingot pack -q "$TMP/v1.raw" team/web:1.0.0 >/dev/null
declare -A qemu=([raw]=raw [qcow2]=qcow2 [vdi]=vdi [vhd]=vpc [vhdx]=vhdx [vmdk]=vmdk)
[ "$(ingot formats | awk '{ print $1 }' | sort | tr '\n' ' ')" = "$(printf '%s\n' "${!qemu[@]}" vagrant-libvirt | sort | tr '\n' ' ')" ] || fail "formats: $(ingot formats)"
for format in "${!qemu[@]}"; do
    file=$TMP/disk.$format
    ingot export -q team/web:1.0.0 --format "$format" -o "$file"
    case $format in raw | vhd) ;; *) qemu-img check -q -f "${qemu[$format]}" "$file" || fail "qemu-img check of $format" ;; esac
    qemu-img compare -q -f "${qemu[$format]}" -F raw "$file" "$TMP/v1.raw" || fail "$format differs from the disk"
    ingot export -q team/web:1.0.0 -F "$format" -o "$file.again"
    cmp "$file" "$file.again" || fail "$format is another file each time"
    [ "$(du -k "$file" | cut -f1)" -lt 220000 ] || fail "$format is not sparse: $(du -k "$file")"
    rm "$file.again"
done
[ "$(ingot pull -q team/web:1.0.0 -o "$TMP/pulled" --format vmdk)" ] && cmp "$TMP/pulled" "$TMP/disk.vmdk" || fail "pull --format"
ok "raw, qcow2, vdi, vhd, vhdx and vmdk are the disk, to QEMU; the same file each time"

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
[ "$(cat "$TMP/names")" = "$(printf '%s\n' "${!qemu[@]}" vagrant-libvirt | sort | tr '\n' ' ' | sed 's/ $//')" ] || fail "the folder of an image: $(cat "$TMP/names")"
for format in "${!qemu[@]}"; do
    name=$(curl -sf "$base/1.0.0/$format/" | python3 -c 'import json,sys; print(json.load(sys.stdin)["files"][0]["name"])')
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
    (cd "$TMP" && curl -sf "$base/1.0.0/$format/$name.sha256" | sed "s/$name/disk.$format/" | sha256sum -c --quiet) || fail "the sum of $format"
done
digest=$(curl -sfI "http://$REGISTRY/v2/team/web/manifests/1.0.0" | sed -n 's/^Docker-Content-Digest: *\([^\r]*\).*/\1/ip')
curl -sf "$base/$digest/qcow2/disk.qcow2" | cmp - "$TMP/disk.qcow2" || fail "by digest"
status() { curl -s -o "$TMP/answer" -w '%{http_code}' "$@"; }
[ "$(status "$base/9.9.9/qcow2/disk.qcow2")" = 404 ] && [ "$(status "$base/1.0.0/qcow/disk.qcow")" = 404 ] && [ "$(status "$base/1.0.0/qcow2/other")" = 404 ] &&
    [ "$(status "http://$REGISTRY/formats/x")" = 404 ] && [ "$(status -X PUT "$base/1.0.0/qcow2/disk.qcow2")" = 405 ] || fail "what is not there: $(cat "$TMP/answer")"
packs=$(find "$TMP/registry/packs" -name '*.pack' -printf '%s\n' | awk '{ s += $1 } END { print s }')
[ "$(curl -sf "$base/1.0.0/raw/disk.raw" | wc -c)" = "$(stat -c %s "$TMP/v1.raw")" ]
[ "$(find "$TMP/registry/packs" -name '*.pack' -printf '%s\n' | awk '{ s += $1 } END { print s }')" = "$packs" ] || fail "a view takes room"
ok "the registry serves each of them, any range, with its SHA-256, and keeps no copy"

pack=$(find "$TMP/registry/packs" -size +5M | head -1)
python3 -c 'import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(20000000); b = f.read(1); f.seek(20000000); f.write(bytes([b[0] ^ 1]))' "$pack"
if curl -sf "$base/1.0.0/raw/disk.raw" -o "$TMP/short"; then fail "a view of a damaged image looks whole"; fi
[ "$(stat -c %s "$TMP/short")" -lt "$(stat -c %s "$TMP/v1.raw")" ] || fail "a view of a damaged image has its whole length"
cmp -n "$(stat -c %s "$TMP/short")" "$TMP/short" "$TMP/v1.raw" || fail "damaged bytes were served"
ok "a view of a damaged image ends in an error that the client sees"

disk=$(python3 -c "
import json; d=json.load(open('$INGOT_STORE/index.json'))
for m in d['manifests']:
    if 'web' in json.dumps(m.get('annotations', {})): print(json.load(open('$INGOT_STORE/blobs/sha256/' + m['digest'][7:]))['layers'][1]['digest'][7:]); break")
printf '\377\377' | dd of="$INGOT_STORE/blobs/sha256/$disk" bs=1 seek=200000 conv=notrunc status=none
expect 1 ingot export team/web:1.0.0 -F vdi -o "$TMP/damaged.vdi"
[ -z "$(find "$TMP" -name 'damaged.vdi*')" ] || fail "a damaged disk left a file"
ok "a damaged disk becomes no file"
