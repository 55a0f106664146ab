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
[ "$(ingot formats | awk '{ print $1 }' | sort | tr '\n' ' ')" = "$(printf '%s\n' "${!qemu[@]}" | sort | tr '\n' ' ')" ] || fail "formats: $(ingot formats)"
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

disk=$(python3 -c "
import json; d=json.load(open('$INGOT_STORE/index.json'))
for m in d['manifests']:
    if 'web' in json.dumps(m.get('annotations', {})): print(json.load(open('$INGOT_STORE/blobs/sha256/' + m['digest'][7:]))['layers'][1]['digest'][7:]); break")
printf '\377\377' | dd of="$INGOT_STORE/blobs/sha256/$disk" bs=1 seek=200000 conv=notrunc status=none
expect 1 ingot export team/web:1.0.0 -F vdi -o "$TMP/damaged.vdi"
[ -z "$(find "$TMP" -name 'damaged.vdi*')" ] || fail "a damaged disk left a file"
ok "a damaged disk becomes no file"
