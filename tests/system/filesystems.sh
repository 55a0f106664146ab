#!/bin/bash
# Guests with other file systems than ext4, from a cold build and a resumed one: none needs recovery once it is sealed.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/base.sh
. tests/system/base.sh
share_base
# The base with two partitions behind its own.
ingot pull -q debian-12 -o "$TMP/base.raw" >/dev/null
truncate -s 400M "$TMP/xfs" "$TMP/btrfs"
mkfs.xfs -q "$TMP/xfs"
mkfs.btrfs -q "$TMP/btrfs"
start=$(($(stat -c %s "$TMP/base.raw") >> 20))
truncate -s +801M "$TMP/base.raw"
sfdisk -q --no-reread --relocate gpt-bak-std "$TMP/base.raw" 2>/dev/null
printf 'start=%sMiB, size=400MiB\n' $start $((start + 400)) | sfdisk -q --no-reread --append "$TMP/base.raw" >/dev/null
dd if="$TMP/xfs" of="$TMP/base.raw" bs=1M seek=$start conv=notrunc,sparse status=none
dd if="$TMP/btrfs" of="$TMP/base.raw" bs=1M seek=$((start + 400)) conv=notrunc,sparse status=none
sum=$(sha256sum "$TMP/base.raw" | cut -d' ' -f1)
rm "$TMP/xfs" "$TMP/btrfs"

recipe() {
    cat <<YAML
name: filesystems
version: 1.0.0
source: {image: {path: $TMP/base.raw, sha256: "$sum", format: raw}}
machine: {cpus: 1}
steps:
  - name: mount them
    shell: |
      set -- \$(blkid -t TYPE=xfs -o device) \$(blkid -t TYPE=btrfs -o device)
      mkdir /xfs /btrfs /absent
      echo "\$1 /xfs xfs defaults 0 0" >>/etc/fstab
      echo "\$2 /btrfs btrfs defaults 0 0" >>/etc/fstab
      mount -a
      echo "/dev/sdz1 /absent ext4 nofail 0 0" >>/etc/fstab
      for place in /xfs /btrfs; do
          cp -R /etc \$place/
          (exec 7>\$place/deleted; echo gone >&7; rm \$place/deleted; exec sleep 100000) >/dev/null 2>&1 &
      done
  - name: use them
    shell: echo ${1} | tee /xfs/last /btrfs/last /srv/last
YAML
}
check() {
    ingot pull -q filesystems:1.0.0 -o "$TMP/disk.raw" >/dev/null
    for n in 0 1; do
        dd if="$TMP/disk.raw" of="$TMP/part$n" bs=1M skip=$((start + 400 * n)) count=400 conv=sparse status=none
    done
    e2fsck -fn "$TMP/disk.raw?offset=$((66 << 20))" >"$TMP/out" 2>&1 || fail "ext4: $(cat "$TMP/out")"
    xfs_repair -n "$TMP/part0" >"$TMP/out" 2>&1 || fail "xfs: $(cat "$TMP/out")"
    ! grep -qi 'log.*replay\|dirty log' "$TMP/out" || fail "the log of xfs is dirty: $(cat "$TMP/out")"
    btrfs check --readonly "$TMP/part1" >"$TMP/out" 2>&1 || fail "btrfs: $(cat "$TMP/out")"
    grep -q "^$1$" <(strings "$TMP/part0") || fail "the last step is not on xfs"
    [ "$(debugfs -R 'cat /srv/last' "$TMP/disk.raw?offset=$((66 << 20))" 2>/dev/null)" = "$1" ] || fail "the last step is not on ext4"
}
recipe first-build >"$TMP/filesystems.yaml"
ingot build --no-test "$TMP/filesystems.yaml" >"$TMP/out" 2>"$TMP/log" || fail "$(tail -30 "$TMP/log")"
grep -q '^shut down' "$TMP/log" || fail "the machine was not shut down: $(cat "$TMP/log")"
grep -q 'seal: /absent: /dev/sdz1 is not there' "$TMP/log" || fail "nothing is said of a device that is not there: $(cat "$TMP/log")"
check first-build
ok "a machine with xfs and btrfs is shut down, and none of its file systems needs recovery"
recipe second-build >"$TMP/filesystems.yaml"
ingot build --no-test "$TMP/filesystems.yaml" >"$TMP/out" 2>"$TMP/log" || fail "$(tail -30 "$TMP/log")"
grep -q "resume after 'mount them'" "$TMP/log" || fail "it was not resumed: $(cat "$TMP/log")"
check second-build
ok "the same after a resumed build"
