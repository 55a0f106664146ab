#!/bin/bash
# A sealed image boots as it should: ssh that its socket starts has host keys and is in no ordering cycle; swap is empty
# and usable; another build's key is still there, this build's is not. So it does with another network card and no seed.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/base.sh
. tests/system/base.sh
share_base warm
root=$((66 << 20)) # where the base's root file system starts

cat >"$TMP/sealed.yaml" <<'YAML'
name: sealed
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1}
steps:
  - shell: |
      systemctl disable ssh.service && systemctl enable ssh.socket
      fallocate -l 32M /swapfile && chmod 600 /swapfile && mkswap /swapfile
      echo '/swapfile none swap sw 0 0' >>/etc/fstab
      echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB root@ingot-builder' >>/root/.ssh/authorized_keys
tests:
  - port: 22
  - shell: "! journalctl -b | grep 'ordering cycle'"
  - shell: systemctl is-active ssh.socket && test "$(ls /etc/ssh/ssh_host_*_key | wc -l)" = 2
  - shell: systemctl show -p Result ssh-host-keys.service | grep success
  - shell: test ! -e /etc/systemd/system/ingot-host-keys.service
  - shell: swapon --show | grep swapfile
  - shell: grep -q ingot-builder /root/.ssh/authorized_keys
YAML
ingot build "$TMP/sealed.yaml" >/dev/null 2>"$TMP/log" || fail "the sealed image: $(cat "$TMP/log")"
ok "ssh by its socket has host keys and is in no ordering cycle; swap works"

ingot pull -q sealed:1.0.0 -o "$TMP/sealed.raw" >/dev/null
for name in authorized_keys authorized_keys2; do
    debugfs -R "cat /root/.ssh/$name" "$TMP/sealed.raw?offset=$root" >"$TMP/$name" 2>/dev/null
    ! grep -q 'build@ingot.invalid$' "$TMP/$name" || fail "the build's key is left in $name"
done
grep -q 'root@ingot-builder$' "$TMP/authorized_keys" || fail "a key that is not the build's went with it"
ok "the build's key is gone from the image, and no other"

# A machine that Ingot has not made: nothing tells it who it is, and its network card is another one.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
qemu-system-x86_64 -accel tcg -cpu max -m 512 -nodefaults -display none -serial "file:$TMP/console" -device virtio-rng-pci \
    -netdev "user,id=net,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=net,mac=52:54:00:0a:0b:0c,romfile= \
    -drive "file=$TMP/sealed.raw,format=raw,if=virtio,snapshot=on" &
machine=$!
ENDING+=("$machine")
for _ in $(seq 300); do
    ! ssh-keyscan -T 5 -p "$port" 127.0.0.1 2>/dev/null | grep -q '^\[127' || break
    kill -0 "$machine" || fail "QEMU has ended"
    sleep 1
done
ssh-keyscan -T 30 -p "$port" 127.0.0.1 2>/dev/null | grep -q '^\[127' || fail "ssh does not answer: $(tail -20 "$TMP/console")"
ok "without a seed, with another network card, it gets an address and answers"
