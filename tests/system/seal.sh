#!/bin/bash
# The seal's two ways, ext4 written in place and libguestfs's appliance, leave the same system behind; nothing is booted.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/base.sh
. tests/system/base.sh
share_base
root=$((66 << 20)) # where the base's root file system starts

# The base, used for a while: everything that a seal takes away is there.
small_base "$TMP/used.raw"
secret=swordfish-$RANDOM$RANDOM # in no other file of the disk
truncate -s 1M "$TMP/swapfile"
mkswap -q "$TMP/swapfile" 2>/dev/null
echo "$secret" | dd of="$TMP/swapfile" bs=4096 seek=9 conv=notrunc status=none
echo "ssh-ed25519 AAAA root@ingot-builder" >"$TMP/keys" # a person's, who has such a host
echo "ssh-ed25519 BBBB of-the-recipe" >>"$TMP/keys"
{
    echo "mkdir /root/.ssh"
    echo "write $TMP/keys /root/.ssh/authorized_keys"
    for path in /etc/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_ed25519_key.pub /var/lib/systemd/random-seed \
        /var/log/dpkg.log /var/log/dpkg.log.1 /var/log/apt/term.log /var/cache/apt/archives/a.deb /root/.bash_history \
        /tmp/.hidden /srv/named /srv/kept /etc/shadow- /var/lib/systemd/credential.secret; do
        echo "rm $path"
        echo "write /usr/bin/ls $path"
    done
    echo "mkdir /tmp/deep"
    # Enough names for a hashed folder, some of them hard links.
    for n in $(seq 400); do echo "write $TMP/keys /tmp/deep/a-name-that-is-somewhat-longer-than-others-$n"; done
    for n in $(seq 400); do echo "ln /tmp/deep/a-name-that-is-somewhat-longer-than-others-$n /tmp/deep/link-$n"; done
    echo "symlink /tmp/to-srv /srv"
    echo "rm /swapfile"
    echo "write $TMP/swapfile /swapfile"
    echo "rm /etc/machine-id"
    echo "write $TMP/keys /etc/machine-id"
} >"$TMP/commands"
debugfs -w -f "$TMP/commands" "$TMP/used.raw?offset=$root" >"$TMP/debugfs" 2>&1
e2fsck -fyD "$TMP/used.raw?offset=$root" >"$TMP/fsck" 2>&1 || [ $? -le 2 ] || fail "the sample: $(cat "$TMP/fsck")"

echo /swapfile >"$TMP/note"
mmd -i "$TMP/used.raw@@2M" ::/notes
mcopy -i "$TMP/used.raw@@2M" "$TMP/note" ::/notes/note
cp --sparse=always "$TMP/used.raw" "$TMP/two.raw"

# seal NAME MORE: MORE is removed, too. A match on the EFI partition takes the appliance.
seal() {
    local sum
    sum=$(sha256sum "$TMP/$1.raw")
    cat >"$TMP/$1.yaml" <<YAML
name: $1
version: 1.0.0
source: {image: {path: $TMP/$1.raw, sha256: "${sum%% *}", format: raw}}
seal: {keep: [history], remove: [/srv//na*/, /srv/nothing$2]}
YAML
    ingot build "$TMP/$1.yaml" >/dev/null 2>"$TMP/$1.log" || fail "build: $(cat "$TMP/$1.log")"
    ingot pull -q "$1:1.0.0" -o "$TMP/$1.sealed" >/dev/null
    e2fsck -fn "$TMP/$1.sealed?offset=$root" >"$TMP/fsck" 2>&1 || fail "$1: the sealed file system is damaged: $(cat "$TMP/fsck")"
    mkdir "$TMP/$1"
    for folder in /etc /root /var /srv /tmp; do
        debugfs -R "rdump $folder $TMP/$1" "$TMP/$1.sealed?offset=$root" >/dev/null 2>&1
    done
}
seal used ""
seal two ", /boot/efi/notes/"
grep seal "$TMP/used.log" "$TMP/two.log"
for name in used two; do
    grep -q 'nothing matches /srv/nothing$' "$TMP/$name.log" || fail "$name: the build does not name the pattern that matched nothing"
    ! grep -q 'nothing matches /boot' "$TMP/$name.log" || fail "$name: a match on the EFI partition was not found"
    mdir -/ -b -i "$TMP/$name.sealed@@2M" :: >"$TMP/$name.efi"
done
grep -q notes/note "$TMP/used.efi" || fail "the EFI partition lost what it was to keep"
! grep -q notes "$TMP/two.efi" || fail "what was to go from the EFI partition is still there"

gone() { [ ! -e "$TMP/used/$1" ] || fail "$1 is still there"; }
for path in etc/ssh/ssh_host_ed25519_key etc/ssh/ssh_host_ed25519_key.pub var/lib/systemd/random-seed var/log/dpkg.log.1 \
    var/cache/apt/archives/a.deb tmp/.hidden tmp/deep srv/named etc/shadow- var/lib/systemd/credential.secret; do
    gone $path
done
cmp "$TMP/keys" "$TMP/used/root/.ssh/authorized_keys" || fail "keys that are not this build's are changed"
for path in etc/machine-id var/log/dpkg.log var/log/apt/term.log; do
    [ -e "$TMP/used/$path" ] && [ ! -s "$TMP/used/$path" ] || fail "$path is not empty"
done
for path in root/.bash_history srv/kept; do cmp "$TMP/used/$path" /usr/bin/ls || fail "$path was to be kept"; done
ok "what must go is gone, what must stay is there"

diff -r --no-dereference "$TMP/used" "$TMP/two" || fail "the two ways differ"
for name in used two; do
    (cd "$TMP/$name" && find . -printf '%y %m %U:%G %p %l\n' | sort) >"$TMP/$name.list"
    ! grep -q "$secret" "$TMP/$name.sealed" || fail "$name: swap still holds what was in memory"
done
cmp "$TMP/used.list" "$TMP/two.list" || fail "the two ways differ: $(diff "$TMP/used.list" "$TMP/two.list")"
for name in used two; do ingot show --json $name:1.0.0 | grep -A 3 '"os"' >"$TMP/$name.os"; done
cmp "$TMP/used.os" "$TMP/two.os" || fail "the two ways name the system differently"
ok "both ways leave the same files and tell the same of the system"

# What is free holds nothing, block by block.
for name in used two; do
    dumpe2fs "$TMP/$name.sealed?offset=$root" 2>/dev/null | python3 -c '
import re, sys
disk, offset = sys.argv[1], int(sys.argv[2])
text, dirty = sys.stdin.read(), 0
with open(disk, "rb") as f:
    for line in re.findall(r"^  Free blocks: (.*)$", text, re.M):
        for run in filter(None, line.split(", ")):
            first, _, last = run.partition("-")
            for block in range(int(first), int(last or first) + 1):
                f.seek(offset + block * 4096)
                dirty += f.read(4096) != bytes(4096)
sys.exit(f"{dirty} free blocks hold data" if dirty else 0)' "$TMP/$name.sealed" "$root" || fail "$name: free space is not holes"
done
ok "free space is holes"
