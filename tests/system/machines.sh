#!/bin/bash
# Machines as those who export them write them: OVAs of every dialect, folders, boxes of every provider, several disks.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
export TMPDIR=$TMP/work
mkdir "$TMPDIR"
python3 tests/system/machines.py "$TMP"

# --- a machine of generation 2 ---
[ -e /usr/share/OVMF/OVMF_CODE_4M.fd ] && command -v grub-mkstandalone >/dev/null || skip "no OVMF, or no GRUB for UEFI: machines of generation 2 were not booted"
cd "$TMP"
printf 'serial --unit=0\nterminal_output serial\necho here by UEFI\nsleep 60\nhalt\n' >grub.cfg
grub-mkstandalone -O x86_64-efi -o BOOTX64.EFI --modules="serial terminal echo sleep halt" boot/grub/grub.cfg=grub.cfg 2>/dev/null
truncate -s 64M gen2.raw
printf 'label: gpt\nstart=2048, size=112640, type=U\n' | sfdisk -q gen2.raw
truncate -s 55M gen2.fat
mkfs.vfat gen2.fat >/dev/null
mmd -i gen2.fat ::/EFI ::/EFI/BOOT
mcopy -i gen2.fat BOOTX64.EFI ::/EFI/BOOT/
dd if=gen2.fat of=gen2.raw bs=1M seek=1 conv=notrunc,sparse status=none
mkdir -p gen2/"Virtual Hard Disks"
qemu-img convert -O vhdx gen2.raw "gen2/Virtual Hard Disks/web.vhdx"
echo '{"provider": "hyperv"}' >gen2/metadata.json
tar -C gen2 -czf gen2.box .
ingot pack -q gen2.box team/gen2:1.0.0 >/dev/null
ingot run team/gen2:1.0.0 --memory 512M >run.log 2>&1 &
machine=$!
ENDING+=("$machine")
# here_by_uefi: what its console says.
here_by_uefi() {
    kill -0 "$machine" 2>/dev/null || fail "the machine has ended: $(cat run.log)"
    grep -qa 'here by UEFI' "$(sed -n 's/^console: //p' run.log)" 2>/dev/null
}
until_true here_by_uefi
ok "a machine of generation 2 boots by UEFI, with nothing but its disk to tell it"
