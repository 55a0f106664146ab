#!/bin/sh
# Makes the identities that this machine does not have, each by the tool that the package itself uses. The argument, /
# without one, is for tests.
set -eu
root=${1:-}

iscsi=$root/etc/iscsi/initiatorname.iscsi
if [ -d "$root/etc/iscsi" ] && [ ! -s "$iscsi" ] && command -v iscsi-iname >/dev/null; then
    name=$(iscsi-iname)
    (umask 077 && echo "InitiatorName=$name" >"$iscsi.new")
    mv "$iscsi.new" "$iscsi"
fi
if [ -d "$root/etc/nvme" ] && command -v nvme >/dev/null; then
    host=$root/etc/nvme/hostid
    [ -s "$host" ] || cat /proc/sys/kernel/random/uuid >"$host"
    [ -s "$root/etc/nvme/hostnqn" ] || echo "nqn.2014-08.org.nvmexpress:uuid:$(cat "$host")" >"$root/etc/nvme/hostnqn"
fi
if [ ! -s "$root/etc/ssl/private/ssl-cert-snakeoil.key" ] && command -v make-ssl-cert >/dev/null; then
    make-ssl-cert generate-default-snakeoil --force-overwrite
fi
