# shellcheck shell=sh
# Makes a guest ready to run elsewhere. Run in it by root's `sh -e`, behind three lines that ready.c writes:
#   needs='DRIVER:OUTPUT,OUTPUT …'  without which an output does not run
#   wanted='DRIVER …'               for the initramfs, where the kernel has them
#   boxes='OUTPUT, OUTPUT'          those that are Vagrant's; may be empty
# What is there already is left as it is. Nothing is fetched: a line "ingot: …" says what is missing.
needs=${needs?} wanted=${wanted?} boxes=${boxes?}
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

missing() {
    echo "ingot: $*"
    exit 1
}

# place PATH MODE: the file, from stdin.
place() {
    cat >/run/ingot/placed
    if cmp -s /run/ingot/placed "$1"; then return; fi
    mkdir -p "$(dirname "$1")"
    cat /run/ingot/placed >"$1"
    chmod "$2" "$1"
    echo "$1: written"
}

enabled() { systemctl -q is-enabled "$1" 2>/dev/null; }

[ -d /run/systemd/system ] || missing "the guest does not run systemd, which its outputs need"

# --- drivers ---

# module KERNEL DRIVER: its path below /lib/modules, "(builtin)", or nothing.
module() {
    path=$(modinfo -k "$1" -n "$2" 2>/dev/null) || path=
    path=${path##*/modules/}
    echo "${path%.ko*}"
}

# absent KERNEL: the wanted drivers that the kernel has and its initramfs has not.
absent() {
    lsinitramfs "/boot/initrd.img-$1" >/run/ingot/initramfs
    for driver in $wanted; do
        path=$(module "$1" "$driver")
        case $path in
        '' | '(builtin)') ;;
        *) grep -qF "$path.ko" /run/ingot/initramfs || printf '%s ' "$driver" ;;
        esac
    done
}

check_kernel() {
    lacking=
    for need in $needs; do
        users=$(echo "${need#*:}" | sed 's/,/, /g')
        [ -n "$(module "$1" "${need%%:*}")" ] || lacking="$lacking${lacking:+, }${need%%:*} (for $users)"
    done
    remedy="install a kernel that has them"
    case $1 in *-cloud-*) remedy="install linux-image-${1##*-cloud-} in its place" ;; esac
    [ -z "$lacking" ] || missing "Linux $1 lacks drivers that outputs need: $lacking; $remedy"
}

fill_initramfs() {
    [ -e "/boot/initrd.img-$1" ] || missing "Linux $1 has no initramfs: /boot/initrd.img-$1 is expected"
    if [ -z "$(absent "$1")" ]; then
        echo "the initramfs of Linux $1 has the drivers"
        return
    fi
    update-initramfs -u -k "$1"
    lacking=$(absent "$1")
    [ -z "$lacking" ] || missing "the initramfs of Linux $1 has not come to have the drivers $lacking"
}

kernels=
for file in /boot/vmlinuz-*; do
    [ ! -e "$file" ] || kernels="$kernels ${file#/boot/vmlinuz-}"
done
[ -n "$kernels" ] || missing "the guest has no kernel that is called /boot/vmlinuz-VERSION"
for kernel in $kernels; do check_kernel "$kernel"; done
for tool in update-initramfs lsinitramfs; do
    command -v $tool >/dev/null ||
        missing "the guest has no $tool: outputs need an initramfs that initramfs-tools makes (dracut is not known)"
done
place /etc/initramfs-tools/hooks/ingot-outputs 755 <<HOOK
#!/bin/sh
# Drivers for wherever the image may run: see outputs in ingot-recipe(5).
case \$1 in prereqs) exit 0 ;; esac
. /usr/share/initramfs-tools/hook-functions
manual_add_modules $wanted
HOOK
for kernel in $kernels; do fill_initramfs "$kernel"; done

# --- what the kernel is told, and where GRUB talks ---

config=/boot/grub/grub.cfg
linux='^[[:space:]]*linux[[:space:]]'

# The entries that start a system: a memory test has a kernel's line too, and no root.
entries() { grep -E "$linux" $config | grep -E '[[:space:]]root='; }
# every_entry WORD: whether each of them gives it to the kernel.
every_entry() { entries >/dev/null && ! entries | grep -qvE "[[:space:]]$1"; }
entries_are_ready() {
    every_entry net\\.ifnames=0 && every_entry biosdevname=0 && every_entry console=ttyS0 &&
        every_entry 'root=(UUID=|LABEL=|PARTUUID=|/dev/mapper/|/dev/disk/)' && grep -qE '^[[:space:]]*(if )?serial ' $config
}

edit_config() {
    uuid=$(findmnt -n -o UUID /)
    sed -i -E "/$linux/ {
        s,root=/dev/[a-z0-9]+,root=UUID=$uuid,
        / net\\.ifnames=0/ ! s/\$/ net.ifnames=0/
        / biosdevname=0/ ! s/\$/ biosdevname=0/
        / console=ttyS0/ ! s/\$/ console=tty0 console=ttyS0,115200n8/
    }" $config
    grep -qE '^[[:space:]]*(if )?serial ' $config || sed -i '1i\
if serial --unit=0 --speed=115200; then\
    terminal_input console serial\
    terminal_output console serial\
fi' $config
    echo "$config: edited"
}

# Sourced by grub-mkconfig after /etc/default/grub: adds what that does not say. Words of GRUB_CMDLINE_LINUX_DEFAULT are
# not in the entries for recovery, so those do not count.
generate_config() {
    place /etc/default/grub.d/90-ingot-outputs.cfg 644 <<'DEFAULTS'
# For wherever the image may run: see outputs in ingot-recipe(5).
for word in net.ifnames=0 biosdevname=0; do
    case " $GRUB_CMDLINE_LINUX " in
    *" $word "*) ;;
    *) GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX $word" ;;
    esac
done
case " $GRUB_CMDLINE_LINUX" in
*" console=ttyS0"*) ;;
*) GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX console=tty0 console=ttyS0,115200n8" ;;
esac
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_DISABLE_LINUX_UUID=false
DEFAULTS
    command -v update-grub >/dev/null || missing "the guest has no update-grub, with which its $config was made"
    update-grub
}

grep -qsE "$linux" $config || missing "the guest has no $config with a kernel in it: outputs need GRUB as its boot loader"
if ! entries_are_ready; then
    if grep -q 'generated by grub-mkconfig' $config; then generate_config; else edit_config; fi
    entries_are_ready || missing "$config has an entry without a root by UUID, net.ifnames=0 or a serial console"
fi

# --- names that are others elsewhere: of disks, of network devices ---

# shellcheck disable=SC2013 # no name of a device has blanks
for source in $(sed -n -E 's,^[[:space:]]*(/dev/([hsv]d[a-z]|xvd[a-z]|nvme[0-9])[^[:space:]]*)[[:space:]].*,\1,p' /etc/fstab); do
    uuid=$(blkid -o value -s UUID "$source") ||
        missing "/etc/fstab: $source has no UUID by which it could be found elsewhere"
    sed -i -E "s,^[[:space:]]*$source([[:space:]]),UUID=$uuid\\1," /etc/fstab
    echo "/etc/fstab: $source has become UUID=$uuid"
done
rm -f /etc/udev/rules.d/70-persistent-net.rules /etc/udev/rules.d/70-persistent-cd.rules

# Some device with the name eth0 gets an address by DHCP, whoever manages the network.
if command -v netplan >/dev/null && ls /etc/netplan/*.yaml >/dev/null 2>&1; then
    grep -qE '^ *name: *"?eth\*' /etc/netplan/*.yaml || place /etc/netplan/90-ingot-outputs.yaml 600 <<'NETPLAN'
network:
  version: 2
  ethernets:
    ingot-outputs:
      match:
        name: "eth*"
      dhcp4: true
      optional: true
NETPLAN
elif enabled systemd-networkd.service; then
    grep -qsE '^(Name=.*eth\*|Type=ether)' /etc/systemd/network/*.network ||
        place /etc/systemd/network/90-ingot-outputs.network 644 <<'NETWORKD'
[Match]
Name=eth*

[Network]
DHCP=yes
NETWORKD
elif enabled NetworkManager.service; then
    echo "the network: NetworkManager asks for an address on every device"
elif command -v ifup >/dev/null && enabled networking.service; then
    if ! grep -qsE '^[[:space:]]*iface[[:space:]]+eth0[[:space:]]' /etc/network/interfaces /etc/network/interfaces.d/*; then
        printf '\n# For wherever the image may run: see outputs in ingot-recipe(5).\nallow-hotplug eth0\niface eth0 inet dhcp\n' \
            >>/etc/network/interfaces
        # What is to come up at boot under another name never would.
        sed -i -E 's/^([[:space:]]*)auto([[:space:]]+en[a-z0-9]+[[:space:]]*)$/\1allow-hotplug\2/' /etc/network/interfaces
        echo "/etc/network/interfaces: eth0 added"
    fi
else
    missing "nothing in the guest brings up its network: systemd-networkd, netplan, NetworkManager or ifupdown is expected"
fi

# --- a root that grows into a larger disk ---

root=$(findmnt -n -o SOURCE / | sed 's/\[.*//')
root=$(readlink -f "$root")

# As a machine that Ingot bootstraps has it.
repart_grows() {
    grep -qs '^Type=root' /etc/repart.d/*.conf && command -v systemd-repart >/dev/null &&
        grep -qE '[[:space:]]/[[:space:]].*x-systemd\.growfs' /etc/fstab &&
        [ "$(lsblk -n -o PARTTYPE "$root")" = 4f68bce3-e8cd-4db1-96e7-fbcaf984b709 ]
}

check_growth() {
    [ -e "/sys/class/block/${root##*/}/partition" ] || missing "the root file system lies on $root, which is no partition: it cannot grow"
    disk=$(dirname "$(readlink -f "/sys/class/block/${root##*/}")")
    start=$(cat "$disk/${root##*/}/start")
    for other in "$disk"/*/start; do
        [ "$(cat "$other")" -le "$start" ] ||
            missing "the root file system on $root cannot grow: $(basename "$(dirname "$other")") lies behind it"
    done
    type=$(findmnt -n -o FSTYPE /)
    case $type in
    ext4 | xfs | btrfs) ;;
    *) missing "the root file system is $type: ext4, xfs and btrfs are known to grow" ;;
    esac
    command -v growpart >/dev/null || missing "the guest has no growpart: its package is cloud-guest-utils"
    [ -x /lib/systemd/systemd-growfs ] || missing "the guest has no systemd-growfs: systemd 236 or newer is expected"
}

if ! repart_grows; then
    check_growth
    place /usr/local/sbin/ingot-grow-root 755 <<'GROW'
#!/bin/sh
# Grows the root partition and its file system into the disk, whatever that is called here.
root=$(readlink -f "$(findmnt -n -o SOURCE / | sed 's/\[.*//')")
place=$(readlink -f "/sys/class/block/${root##*/}")
disk=$(basename "$(dirname "$place")")
growpart "/dev/$disk" "$(cat "$place/partition")"
[ $? -le 1 ] || exit # 1: there is nothing to grow into
exec /lib/systemd/systemd-growfs /
GROW
    place /etc/systemd/system/ingot-grow-root.service 644 <<'UNIT'
[Unit]
Description=Grow the root file system into the disk
After=local-fs.target

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/ingot-grow-root

[Install]
WantedBy=multi-user.target
UNIT
    enabled ingot-grow-root.service || systemctl -q enable ingot-grow-root.service
fi

# --- boxes ---

[ -n "$boxes" ] || exit 0

# Every Vagrant knows this key, and puts one of its own in its place; the newer ed25519 one an older Vagrant would leave.
key='AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ=='

[ -x /usr/sbin/sshd ] || missing "the guest has no ssh server, which $boxes needs: its package is openssh-server"
enabled ssh.service || enabled ssh.socket || enabled sshd.service ||
    missing "the guest's ssh server is not started at boot, which $boxes needs: systemctl enable ssh"
command -v sudo >/dev/null || missing "the guest has no sudo, which $boxes needs: its package is sudo"

if ! getent passwd vagrant >/dev/null; then
    number='-u 1000'
    if getent passwd 1000 >/dev/null || getent group 1000 >/dev/null; then number=; fi
    # shellcheck disable=SC2086 # two words or none
    useradd -m -U -s /bin/bash -p '*' $number vagrant
    echo "the user vagrant: made"
fi
home=$(getent passwd vagrant | cut -d: -f6)
if ! grep -qsF "$key" "$home/.ssh/authorized_keys"; then
    mkdir -p "$home/.ssh"
    echo "ssh-rsa $key vagrant insecure public key" >>"$home/.ssh/authorized_keys"
    chown -R vagrant: "$home/.ssh"
    chmod 700 "$home/.ssh"
    chmod 600 "$home/.ssh/authorized_keys"
fi
place /etc/sudoers.d/vagrant 440 <<'SUDOERS'
vagrant ALL=(ALL:ALL) NOPASSWD: ALL
SUDOERS
runuser -u vagrant -- sudo -n true || missing "the user vagrant may not use sudo: /etc/sudoers does not read /etc/sudoers.d"
mkdir -p /run/sshd
if ! /usr/sbin/sshd -T | grep -qx 'usedns no'; then
    # The first word on a matter counts.
    { echo 'UseDNS no' && cat /etc/ssh/sshd_config; } >/run/ingot/sshd_config
    cat /run/ingot/sshd_config >/etc/ssh/sshd_config
    echo "/etc/ssh/sshd_config: UseDNS no"
fi
