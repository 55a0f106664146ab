#!/bin/sh
# Makes the host keys that this machine's SSH server needs and does not have: the files that sshd's configuration names,
# or ed25519 and ecdsa, which every client of the last ten years knows. RSA takes 20 s under emulation: it is made only
# where the configuration names it. A key that a power cut left empty is made again, since it is moved to its name last.
# The argument, /etc without one, is for tests.
set -eu
etc=${1:-/etc}

make_key() {
    [ ! -s "$2" ] || return 0
    rm -f "$2.new" "$2.new.pub"
    ssh-keygen -q -t "$1" -N '' -C '' -f "$2.new"
    mv "$2.new.pub" "$2.pub"
    sync
    mv "$2.new" "$2"
    ! command -v restorecon >/dev/null || restorecon "$2" "$2.pub" || true
}

# The words of sshd's configuration, one setting a line; sshd takes an = and quotes around a value, too.
settings() {
    for file in "$etc"/ssh/sshd_config "$etc"/ssh/sshd_config.d/*.conf; do
        [ ! -f "$file" ] || cat "$file"
        echo
    done | tr '="' '  '
}

sshd_keys() {
    keys=
    rsa=
    while read -r name value _; do
        case $name in
        [Hh][Oo][Ss][Tt][Kk][Ee][Yy]) keys="$keys $value" ;;
        [Hh][Oo][Ss][Tt][Kk][Ee][Yy][Aa][Ll][Gg][Oo][Rr][Ii][Tt][Hh][Mm][Ss])
            case $value in -*) ;; *rsa*) rsa=$etc/ssh/ssh_host_rsa_key ;; esac
            ;;
        esac
    done <<WORDS
$(settings)
WORDS
    [ -n "$keys" ] || keys="$etc/ssh/ssh_host_ed25519_key $etc/ssh/ssh_host_ecdsa_key $rsa"
    for key in $keys; do
        case $key in
        *ed25519*) make_key ed25519 "$key" ;;
        *ecdsa*) make_key ecdsa "$key" ;;
        *rsa*) make_key rsa "$key" ;;
        esac
    done
}

dropbear_keys() {
    for type in ed25519 ecdsa; do
        key=$etc/dropbear/dropbear_${type}_host_key
        [ -s "$key" ] || { rm -f "$key" && dropbearkey -t $type -f "$key" >/dev/null; }
    done
}

[ ! -d "$etc/ssh" ] || ! command -v ssh-keygen >/dev/null || sshd_keys
[ ! -d "$etc/dropbear" ] || ! command -v dropbearkey >/dev/null || dropbear_keys
