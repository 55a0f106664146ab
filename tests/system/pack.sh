#!/bin/bash
# Disks become images and come back, on one machine: pack, images, show, rm, other tools, damage.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
small_disk "$TMP/disk.raw"

digest=$(ingot pack -q "$TMP/disk.raw" team/one:1.0.0)
[[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail "-q printed '$digest'"
[ "$(ingot pack -q "$TMP/disk.raw" team/one:1.0.0)" = "$digest" ] || fail "another digest with frames that were made before"
for threads in 1 2 5; do
    rm -r "$INGOT_STORE/frames" # each frame is made anew
    [ "$(ingot pack -q --threads $threads "$TMP/disk.raw" team/one:1.0.0)" = "$digest" ] || fail "another digest with $threads threads"
done
qemu-img convert -O qcow2 "$TMP/disk.raw" "$TMP/disk.qcow2"
[ "$(ingot pack -q "$TMP/disk.qcow2" team/two:1.0.0)" = "$digest" ] || fail "the same disk as qcow2 has another digest"
deep=$TMP/$(printf '%0200d' 0)
mkdir "$deep"
[ "$(TMPDIR=$deep ingot pack -q "$TMP/disk.qcow2" team/two:1.0.0)" = "$digest" ] || fail "the path of \$TMPDIR is longer than a socket's"
ok "equal bytes have equal digests, with any number of threads and from raw and qcow2"

disk=$(python3 -c "import json; print(json.load(open('$INGOT_STORE/blobs/sha256/${digest#sha256:}'))['layers'][1]['digest'][7:])")
zstd -d -q -c "$INGOT_STORE/blobs/sha256/$disk" | cmp - "$TMP/disk.raw" || fail "zstd -d gives other bytes"
ok "zstd -d of the disk blob is the raw disk"

ingot pull -q team/one:1.0.0 -o "$TMP/back.raw"
cmp "$TMP/back.raw" "$TMP/disk.raw" || fail "the raw file differs"
[ "$(stat -c %b "$TMP/back.raw")" -lt $(($(stat -c %s "$TMP/back.raw") / 512)) ] || fail "the raw file is not sparse"
ingot pull team/one:1.0.0 -o - 2>/dev/null | cmp - "$TMP/disk.raw" || fail "stdout differs"
ingot pull -q team/one:1.0.0 -o "$TMP/back.qcow2" --format qcow2
qemu-img check -q "$TMP/back.qcow2" || fail "qemu-img check finds faults"
qemu-img compare -q "$TMP/back.qcow2" "$TMP/disk.raw" || fail "the qcow2 file differs"
ok "raw, stdout and qcow2 are the disk again"

# A disk that was found right is not hashed again: what it is known by is kept beside it, and goes with it.
[ -s "$INGOT_STORE/checked/$disk" ] || fail "that the disk is right is not remembered"
cp "$INGOT_STORE/checked/$disk" "$TMP/checked"
printf damaged | dd of="$INGOT_STORE/checked/$disk" bs=1 seek=100 conv=notrunc status=none
ingot pull -q team/one:1.0.0 -o "$TMP/back.raw"
cmp "$TMP/back.raw" "$TMP/disk.raw" || fail "with a damaged memory the raw file differs"
cmp "$INGOT_STORE/checked/$disk" "$TMP/checked" || fail "what is remembered is not made anew"
ok "that a disk was found right is remembered, and made anew where it is damaged"

ingot images | grep -q 'team/one  *1.0.0' || fail "images does not list it"
ingot images --json | python3 -c 'import json,sys; assert len(json.load(sys.stdin)) == 2'
ingot show team/one:1.0.0 --json | python3 -c "import json,sys; assert json.load(sys.stdin)['digest'] == '$digest'"
skopeo copy -q "oci:$INGOT_STORE:team/one:1.0.0" "oci:$TMP/other:team/one:1.0.0" || fail "skopeo cannot copy the image"
[ "$(skopeo inspect --raw "oci:$TMP/other:team/one:1.0.0" | sha256sum | cut -d' ' -f1)" = "${digest#sha256:}" ] || fail "skopeo's copy has another manifest"
ok "images and show tell of it, skopeo copies it"

expect 2 ingot pack "$TMP/disk.raw" 'Team/One:1.0.0'
grep -q 'lower-case' "$TMP/err" || fail "the grammar is not told: $(cat "$TMP/err")"
expect 2 ingot pack "$TMP/disk.raw"
expect 1 ingot pack "$TMP/nothing.raw" a:1.0.0
expect 2 ingot pack - a:1.0.0 </dev/null
grep -q "standard input" "$TMP/err" || fail "a disk from standard input: $(cat "$TMP/err")"
expect 1 ingot show team/onne:1.0.0
grep -q 'team/one' "$TMP/err" || fail "no near name: $(cat "$TMP/err")"
expect 2 ingot pul team/one:1.0.0
ok "wrong names are refused with the grammar, near ones are named"

ingot rm -q team/two:1.0.0
[ -e "$INGOT_STORE/blobs/sha256/$disk" ] || fail "rm took bytes that another image needs"
flip "$INGOT_STORE/blobs/sha256/$disk" 100000
expect 1 ingot pull team/one:1.0.0 -o "$TMP/damaged.raw"
grep -q "$disk.*offset" "$TMP/err" || fail "damage is not named: $(cat "$TMP/err")"
! ls "$TMP"/damaged.raw* >/dev/null 2>&1 || fail "a damaged disk was written"
ingot rm -q team/one:1.0.0
[ ! -e "$INGOT_STORE/blobs/sha256/$disk" ] && [ ! -e "$INGOT_STORE/checked/$disk" ] || fail "rm left the disk"
ok "damage is named with file and offset, nothing is written; rm frees what nobody needs"
