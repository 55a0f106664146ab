#!/bin/bash
# Further disks of a machine: there for every step, kept with the machine, never part of the image. And `ingot shell`,
# whose words and statuses arrive.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/base.sh
. tests/system/base.sh
share_base
export INGOT_CACHE=$TMP/cache TMPDIR=$TMP/work
mkdir -p "$TMPDIR"

recipe() {
    cat <<YAML
name: disks
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1, disks: [64M, 32M]}
steps:
  - name: write
    shell: |
      [ "\$(lsblk -bdno SIZE /dev/vdb /dev/vdc | xargs)" = '67108864 33554432' ]
      cmp -n 67108864 /dev/zero /dev/vdb
      mkfs.ext4 -q /dev/vdb
      mount /dev/vdb /mnt && echo kept >/mnt/file && umount /mnt
      echo raw | dd of=/dev/vdc conv=notrunc status=none
  - name: read
    shell: |
      mount /dev/vdb /mnt && cat /mnt/file && umount /mnt
      [ "\$(head -c 3 /dev/vdc)" = raw ]
      echo $1 >/srv/seen
    shutdown: $2
  - name: after
    shell: |
      mount /dev/vdb /mnt && grep kept /mnt/file && umount /mnt
      [ "\$(head -c 3 /dev/vdc)" = raw ]
tests:
  - shell: cmp -n 67108864 /dev/zero /dev/vdb && cmp -n 33554432 /dev/zero /dev/vdc
YAML
}

recipe first false >"$TMP/disks.yaml"
ingot build "$TMP/disks.yaml" >"$TMP/out" 2>"$TMP/log" || fail "build: $(tail -20 "$TMP/log")"
grep -q '1 passed' "$TMP/log" || fail "the test did not run"
ingot show --json disks:1.0.0 >"$TMP/show"
! grep -q 'disk-1' "$TMP/show" || fail "a further disk is in the image"
[ "$(find "$INGOT_CACHE/nodes" -name disk-2.qcow2 | wc -l)" -ge 3 ] || fail "the further disks are not kept"
ok "each step has the further disks, the sealed image new ones"

recipe second true >"$TMP/disks.yaml" # the machine is shut down, and booted again, in between
ingot build --no-test "$TMP/disks.yaml" >"$TMP/out" 2>"$TMP/log" || fail "build: $(tail -20 "$TMP/log")"
grep -q "resume after 'write'" "$TMP/log" && grep -q 'boot (' "$TMP/log" || fail "not resumed, or not booted: $(cat "$TMP/log")"
ok "a build that goes on has them as they were, in memory and from the disk alone"

status=0
ingot shell "$TMP/disks.yaml" --at write -- sh -c 'printf "<%s>" "$@"; exit 42' x 'two  blanks' "it's" >"$TMP/words" 2>"$TMP/err" || status=$?
[ $status = 42 ] || fail "ingot shell ends with $status: $(cat "$TMP/err")"
[ "$(cat "$TMP/words")" = "<two  blanks><it's>" ] || fail "words: $(cat "$TMP/words")"
ok "ingot shell hands words on as words, and ends with the command's status"
