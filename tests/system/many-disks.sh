#!/bin/bash
# Images of several disks: what moves, shows, follows and runs an image has all of them.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
start_ingotd

# disk SIZE SEED FILE: a raw disk of so many MiB, with noise in every fourth of them.
disk() {
    python3 - "$@" <<'PY'
import random, sys
size, seed, path = int(sys.argv[1]) << 20, int(sys.argv[2]), sys.argv[3]
noise = random.Random(seed)
with open(path, "wb") as file:
    file.truncate(size)
    for at in range(0, size, 4 << 20):
        file.seek(at)
        file.write(noise.randbytes(1 << 20))
PY
}
# blob_of STORE DIGEST N: its N-th disk's blob, as hexadecimal digits.
blob_of() { python3 -c "import json; print(json.load(open('$1/blobs/sha256/${2#sha256:}'))['layers'][2*$3+1]['digest'][7:])"; }
# came: the bytes that ingotd has sent since its log was emptied.
came() { grep -oE ' (GET|POST) .*bytes=[0-9]*' "$LOG" | sed 's/.*bytes=//' | awk '{ s += $1 } END { print s + 0 }'; }
# same_disks STORE REF FILE...: the image's disks are these.
same_disks() {
    local store=$1 ref=$2 number=0 file
    shift 2
    for file; do
        ingot export -q --store "$store" "$ref" --disk $number -o "$TMP/got.raw"
        cmp "$TMP/got.raw" "$file" || fail "$ref: disk $number is another"
        rm "$TMP/got.raw"
        number=$((number + 1))
    done
}
disk 32 1 "$TMP/system.raw"
disk 24 2 "$TMP/data.raw"
one=$(ingot pack -q "$TMP/system.raw" "$TMP/data.raw" db:1.0.0)
ingot show db:1.0.0 --json >"$TMP/out"
python3 - "$TMP/out" <<'PY' || fail "show: $(cat "$TMP/out")"
import json, sys
image = json.load(open(sys.argv[1]))
disks = image["disks"]
assert [disk["size"] for disk in disks] == [32 << 20, 24 << 20], disks
assert sum(disk["stored"] for disk in disks) == image["stored"] and image["config"]["version"] == 2
PY
ingot show db:1.0.0 >"$TMP/out"
grep -q '^disk  *33.6 MB (8.4 MB stored)$' "$TMP/out" && grep -q '^  *25.2 MB (6.3 MB stored)$' "$TMP/out" || fail "show: $(cat "$TMP/out")"
ingot images >"$TMP/out"
grep -q '^db .* 58.7 MB *14.7 MB$' "$TMP/out" || fail "images: $(cat "$TMP/out")"
ok "show and images tell all disks"

# An Ingot's registry, one that is not, and back: the same image.
start_docker_registry "$TMP/docker"
for host in "$REGISTRY" "$docker"; do
    [ "$(ingot push -q db:1.0.0 "$host/team/db:1.0.0")" = "$one" ] || fail "push to $host"
    [ "$(ingot pull -q --store "$TMP/of-$host" "$host/team/db:1.0.0")" = "$one" ] || fail "pull from $host"
    same_disks "$TMP/of-$host" "$host/team/db:1.0.0" "$TMP/system.raw" "$TMP/data.raw"
    ingot fsck --store "$TMP/of-$host" >"$TMP/out" 2>&1 || fail "fsck: $(cat "$TMP/out")"
done
ingot show "$REGISTRY/team/db:1.0.0" --store "$TMP/none" >"$TMP/out"
grep -q '^  *25.2 MB (6.3 MB stored)$' "$TMP/out" || fail "show of a registry: $(cat "$TMP/out")"
ok "all disks go to registries and come from there"

# A version of which the second disk alone has changed, and a second disk that is a clone of the first.
other=$TMP/of-$REGISTRY
disk 1 3 "$TMP/new.raw"
cp "$TMP/data.raw" "$TMP/data2.raw"
dd if="$TMP/new.raw" of="$TMP/data2.raw" bs=1M seek=5 conv=notrunc status=none
two=$(ingot pack -q "$TMP/system.raw" "$TMP/data2.raw" db:1.1.0)
ingot push db:1.1.0 "$REGISTRY/team/db:1.1.0" >"$TMP/out" 2>&1
grep -q '1\.[01] MB of the disk sent' "$TMP/out" || fail "more is sent than has changed: $(cat "$TMP/out")"
: >"$LOG"
ingot pull --store "$other" "$REGISTRY/team/db:1.1.0" >"$TMP/out" 2>&1
bytes=$(came)
[ "$bytes" -gt 1000000 ] && [ "$bytes" -lt 1400000 ] || fail "$bytes bytes came for 1 MB that is new"
grep -q '(disk 2 of 2)' "$TMP/out" || fail "which disk comes: $(cat "$TMP/out")"
same_disks "$other" "$REGISTRY/team/db:1.1.0" "$TMP/system.raw" "$TMP/data2.raw"
cp "$TMP/system.raw" "$TMP/clone.raw"
dd if="$TMP/new.raw" of="$TMP/clone.raw" bs=1M seek=5 conv=notrunc status=none
ingot pack -q "$TMP/system.raw" "$TMP/clone.raw" twins:1.0.0 >/dev/null
ingot push -q twins:1.0.0 "$REGISTRY/team/twins:1.0.0" >/dev/null
: >"$LOG"
ingot pull -q --store "$TMP/twins" "$REGISTRY/team/twins:1.0.0" >/dev/null
bytes=$(came)
[ "$bytes" -lt 9800000 ] || fail "$bytes bytes came, though the second disk has 1 MB of its own"
same_disks "$TMP/twins" "$REGISTRY/team/twins:1.0.0" "$TMP/system.raw" "$TMP/clone.raw"
ok "of each disk only what is new goes and comes, also between the disks of an image ($bytes bytes)"

# Killed while the second disk comes, and while it goes: what was there is not moved again.
start_upstream "$REGISTRY"
second=$(blob_of "$INGOT_STORE" "$one" 1)
echo "^GET.*/blobs/sha256:$second slow 1000000" >"$TMP/rules"
half=$TMP/half
ingot pull -q --store "$half" "$upstream/team/db:1.0.0" >/dev/null 2>&1 &
pid=$!
arriving() { [ "$(stat -c %b "$half/tmp/partial-$second" 2>/dev/null || echo 0)" -gt 2048 ]; }
until_true arriving
kill -9 $pid
wait $pid 2>/dev/null || true
: >"$TMP/rules"
: >"$TMP/asked"
[ "$(ingot pull -q --store "$half" "$upstream/team/db:1.0.0")" = "$one" ] || fail "the resumed pull"
grep -q "$second bytes=[1-9]" "$TMP/asked" && ! grep -q "$(blob_of "$INGOT_STORE" "$one" 0)\|bytes=0-" "$TMP/asked" || fail "a pull goes on with: $(cat "$TMP/asked")"
same_disks "$half" "$upstream/team/db:1.0.0" "$TMP/system.raw" "$TMP/data.raw"
disk 32 4 "$TMP/first.raw"
disk 24 5 "$TMP/second.raw"
three=$(ingot pack -q "$TMP/first.raw" "$TMP/second.raw" db:2.0.0)
printf '%s\n' '^PATCH.*/team/big/ 1x late 0' '^PATCH.*/team/big/ slow 1000000' >"$TMP/rules"
: >"$TMP/asked"
ingot push -q db:2.0.0 "$upstream/team/big:2.0.0" >/dev/null 2>&1 &
pid=$!
second_goes() { [ "$(grep -c '^PATCH' "$TMP/asked")" = 2 ]; }
until_true second_goes
kill -9 $pid
wait $pid 2>/dev/null || true
! curl -sf -o /dev/null "$SERVED/v2/team/big/manifests/2.0.0" || fail "half an image has a name"
: >"$TMP/rules"
: >"$TMP/asked"
[ "$(ingot push -q db:2.0.0 "$upstream/team/big:2.0.0")" = "$three" ] || fail "the resumed push"
! grep -q '^PATCH.* 8[0-9]\{6\} ' "$TMP/asked" || fail "the first disk goes again: $(cat "$TMP/asked")"
ok "a pull and a push that were killed within the second disk go on"

# A damaged second disk is named, and mended by the next pull; what is removed goes with all disks.
flip "$half/blobs/sha256/$second" 3000000
expect 1 ingot fsck --store "$half"
grep -q "$second" "$TMP/out" "$TMP/err" || fail "which blob is damaged: $(cat "$TMP/out" "$TMP/err")"
: >"$LOG"
[ "$(ingot pull -q --store "$half" "$upstream/team/db:1.0.0")" = "$one" ] || fail "a pull over damage"
[ "$(came)" -lt 1000000 ] || fail "$(came) bytes came for one frame that was damaged"
ingot fsck --store "$half" >"$TMP/out" 2>&1 || fail "fsck: $(cat "$TMP/out")"
ingot rm -q --store "$half" "$upstream/team/db:1.0.0" >/dev/null
[ -z "$(find "$half/blobs" -type f)" ] || fail "what stays of an image that was removed: $(find "$half/blobs" -type f)"
ok "damage of a second disk is found and mended, and it goes with its image"

# Images of one disk are what they were.
cp -a tests/samples/v1 "$TMP/sample"
chmod -R u+w "$TMP/sample"
old=$(ingot show -q --store "$TMP/sample" sample:1.0.0)
ingot push -q --store "$TMP/sample" sample:1.0.0 "$REGISTRY/team/sample:1.0.0" >/dev/null
ingot pull -q --store "$TMP/again" "$REGISTRY/team/sample:1.0.0" >/dev/null
for blob in "$TMP"/sample/blobs/sha256/*; do
    cmp "$blob" "$TMP/again/blobs/sha256/${blob##*/}" || fail "a blob of an image of Ingot 0.1 is another"
done
[ "$(ingot show -q --store "$TMP/again" "$REGISTRY/team/sample:1.0.0")" = "$old" ] || fail "an image of Ingot 0.1 has another digest"
ok "an image of Ingot 0.1 goes and comes as it was"

# A follower's command is given all disks, one file each.
# shellcheck disable=SC2016
command='printf "%s\n" "$INGOT_DISK" "$INGOT_DISKS" >'$TMP'/disks && touch '$TMP'/ran'
curl -sf -o /dev/null -X PUT -H 'content-type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$INGOT_STORE/blobs/sha256/${one#sha256:}" "$SERVED/v2/team/db/manifests/prod"
ingot follow "$REGISTRY/team/db:prod" --folder "$TMP/host" --exec "$command" >"$TMP/follow.log" 2>&1 &
ENDING+=($!)
until_true test -e "$TMP/ran"
mapfile -t files <"$TMP/disks"
[ "${#files[@]}" = 3 ] && [ "${files[0]}" = "${files[1]}" ] || fail "the disks that a command is given: ${files[*]}"
cmp "${files[1]}" "$TMP/system.raw" && cmp "${files[2]}" "$TMP/data.raw" || fail "the follower's disks differ"
[ "$(stat -c %a "${files[2]}")" = 444 ] || fail "a follower's disk may be written"
before=${files[2]}
rm "$TMP/ran"
curl -sf -o /dev/null -X PUT -H 'content-type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$INGOT_STORE/blobs/sha256/${two#sha256:}" "$SERVED/v2/team/db/manifests/prod"
until_true test -e "$TMP/ran"
mapfile -t files <"$TMP/disks"
cmp "${files[2]}" "$TMP/data2.raw" || fail "the second disk after a move"
rm "$TMP/ran"
ingot push -q db:2.0.0 "$REGISTRY/team/db:2.0.0" >/dev/null
curl -sf -o /dev/null -X PUT -H 'content-type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$INGOT_STORE/blobs/sha256/${three#sha256:}" "$SERVED/v2/team/db/manifests/prod"
until_true test -e "$TMP/ran"
[ ! -e "$before" ] && [ ! -e "$(dirname "$before")" ] || fail "the disks of an image of long before stay"
ok "a follower has all disks as files, and lets go of those of before"

# Vagrant's box has both, put together from what the store has and what is new.
export VAGRANT_HOME=$TMP/vagrant VAGRANT_CHECKPOINT_DISABLE=1 VAGRANT_NO_COLOR=1
ingot vagrant --store "$other" box add --provider libvirt --box-version 1.1.0 "http://$REGISTRY/vagrant/team/db" >"$TMP/out" 2>&1 || fail "box add: $(cat "$TMP/out")"
box=$VAGRANT_HOME/boxes/team-VAGRANTSLASH-db/1.1.0/libvirt
qemu-img compare -q -f raw "$TMP/system.raw" -F qcow2 "$box/box_0.img" && qemu-img compare -q -f raw "$TMP/data2.raw" -F qcow2 "$box/box_1.img" || fail "a box's disks differ"
grep -qE 'libvirt.box: [0-9.]+ (B|kB) of .* MB came over the network' "$TMP/out" || fail "what came for a box of which the store has all: $(cat "$TMP/out")"
ok "a box of several disks is made from what is there"

# A boot sector that prints what the second disk begins with; by virtio, as Linux has it for /dev/vdb.
python3 - "$TMP/boot.raw" <<'PY'
import sys
code = bytes.fromhex("31c0 8ed8 8ec0 8ed0 bc007c"  # segments, stack
                     "b80102 b90100 ba8100 bb007e cd13 720e"  # a sector of the second disk
                     "be007e baf803 ac 84c0 7403 ee ebf8"  # its text to the serial line
                     "f4 ebfd")
with open(sys.argv[1], "wb") as file:
    file.write(code.ljust(510, b"\0") + b"\x55\xaa")
    file.truncate(1 << 20)
PY
printf 'this is the second disk\n' >"$TMP/text.raw"
truncate -s 1M "$TMP/text.raw"
ingot pack -q "$TMP/boot.raw" "$TMP/text.raw" boots:1.0.0 >/dev/null
ingot run --accel tcg --json boots:1.0.0 >"$TMP/run.json" 2>"$TMP/run.log" &
pid=$!
ENDING+=("$pid")
until_true grep -q '}' "$TMP/run.json"
console=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["console"])' "$TMP/run.json")
until_true grep -q 'this is the second disk' "$console"
kill $pid
wait $pid 2>/dev/null || true
ok "a machine has the second disk"

# Who takes one disk says so.
mkdir "$TMP/box"
qemu-img convert -O qcow2 "$TMP/boot.raw" "$TMP/box/box.img"
for architecture in s390x arm64; do
    printf '{"provider":"libvirt","format":"qcow2","virtual_size":1,"architecture":"%s"}' $architecture >"$TMP/box/metadata.json"
    tar -C "$TMP/box" -cf "$TMP/$architecture.box" metadata.json box.img
    ingot pack -q "$TMP/$architecture.box" $architecture:1.0.0 >/dev/null
done
recipe() { printf 'name: x\nversion: 1.0.0\nsource: {from: "%s"}\n' "$1" >"$TMP/x.yaml"; }
refused() { # WORDS COMMAND...
    local words=$1 status=0
    shift
    "$@" >"$TMP/out" 2>&1 || status=$?
    [ $status != 0 ] && grep -q -- "$words" "$TMP/out" || fail "'$*' ends with $status: $(cat "$TMP/out")"
}
recipe db:1.0.0
refused 'db.*: an image of 2 disks, where one' ingot build "$TMP/x.yaml"
refused 'db: an image of 2 disks, where one' ingot test db:1.0.0
recipe arm64:1.0.0
refused 'arm64:1.0.0.*: it is an image for arm64, and machines are built for amd64 alone' ingot build "$TMP/x.yaml"
refused 'arm64: it is an image for arm64, and those for amd64 alone are tested' ingot test arm64:1.0.0
refused 's390x: no machine for the architecture s390x: those of amd64, i386, arm64 are there' ingot run s390x:1.0.0
refused "kvm: this machine's processor does not run s390x\|s390x: no machine" ingot run --accel kvm s390x:1.0.0
many=()
for _ in $(seq 21); do many+=("$TMP/boot.raw"); done
ingot pack -q "${many[@]}" many:1.0.0 >/dev/null
refused 'many: it has 21 disks, and a machine here at most 20' ingot run many:1.0.0
ok "what takes one disk, or another architecture, says so"

# A cache tells the boxes of an index: of each image what describes it comes, of each disk its index, and no disk.
ingot pack -q --arch arm64 "$TMP/boot.raw" "$TMP/text.raw" two-arm64:1.0.0 >/dev/null
ingot push -q boots:1.0.0 two-arm64:1.0.0 "$REGISTRY/team/boots:1.0.0" >/dev/null
if [ "$(uname -m)" = x86_64 ]; then
    refused "kvm: this machine's processor does not run arm64\|qemu-system-aarch64, a machine for the architecture arm64, is not installed" \
        ingot run --accel kvm --arch arm64 --store "$TMP/none" "$REGISTRY/team/boots:1.0.0"
fi
start_cache cache "$upstream"
: >"$TMP/asked"
curl -sf "http://$cache/vagrant/team/boots" >"$TMP/box-catalogue" || fail "the catalogue of a cache: $(cat "$LOG")"
python3 - "$TMP/box-catalogue" <<'PY' || fail "the boxes of an index at a cache: $(cat "$TMP/box-catalogue")"
import json, sys
version, = json.load(open(sys.argv[1]))["versions"]
assert {"amd64", "arm64"} == {box["architecture"] for box in version["providers"]}, version
PY
disk=$(blob_of "$INGOT_STORE" "$(ingot show -q boots:1.0.0)" 1)
grep -q 'GET /v2/team/boots/blobs/' "$TMP/asked" && ! grep -q "$disk" "$TMP/asked" || fail "what a catalogue asks for: $(cat "$TMP/asked")"
ok "a cache lists the boxes of all architectures and disks"
