#!/bin/bash
# `make install` gives a tree that works from where it is put. (library.sh has what it is to other programs.)
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
root=$TMP/root
make --no-print-directory B="$B" install DESTDIR="$root" PREFIX=/usr >"$TMP/out" 2>&1 || fail "make install: $(tail "$TMP/out")"
for file in bin/ingot bin/ingotd libexec/ingot/ingot-build share/man/man1/ingot.1 share/man/man5/ingot-recipe.5 \
    share/man/man8/ingotd.8 share/bash-completion/completions/ingot lib/systemd/system/ingotd.service lib/systemd/system/ingotd.socket lib/systemd/system/ingot-follow@.service share/ingot/recipes/web.yaml lib/pkgconfig/ingot.pc \
    include/ingot/store.h lib/libingot.so lib/libingot.so.0 lib/libingot.a share/man/man3/libingot.3; do
    [ -e "$root/usr/$file" ] || fail "$file is not installed"
done
[ "$(find "$root" -mindepth 1 -maxdepth 1)" = "$root/usr" ] || fail "something is installed elsewhere: $(ls "$root")"
env -i PATH=/usr/bin:/bin HOME="$TMP" "$root/usr/bin/ingot" validate "$root/usr/share/ingot/recipes/web.yaml" >/dev/null ||
    fail "the installed ingot does not find its verbs"
mkdir "$TMP/bin"
printf '#!/bin/sh\ncommand -v curl\ncurl --version\n' >"$TMP/bin/vagrant"
chmod +x "$TMP/bin/vagrant"
env -i PATH="$TMP/bin:/usr/bin:/bin" HOME="$TMP" "$root/usr/bin/ingot" vagrant up >"$TMP/out" || fail "ingot vagrant, installed: $(cat "$TMP/out")"
[ "$(realpath "$(head -1 "$TMP/out")")" = "$root/usr/bin/ingot" ] || fail "Vagrant would find another curl: $(cat "$TMP/out")"
sed -n 2p "$TMP/out" | grep -q '^curl [0-9]' || fail "the real curl is not found: $(cat "$TMP/out")"
ok "the installed programs work"

unit=$root/usr/lib/systemd/system/ingotd.service
grep -q '^ExecStart=/usr/bin/ingotd ' "$unit" || fail "the unit starts another program: $(cat "$unit")"
# Every line is known to systemd, and what the service may do is little.
sed "s,/usr/bin/ingotd,$root/usr/bin/ingotd," "$unit" >"$TMP/ingotd.service"
systemd-analyze verify --man=no "$TMP/ingotd.service" >"$TMP/out" 2>&1 && [ ! -s "$TMP/out" ] || fail "the unit: $(cat "$TMP/out")"
cp "$root/usr/lib/systemd/system/ingotd.socket" "$TMP"
systemd-analyze verify --man=no "$TMP/ingotd.socket" >"$TMP/out" 2>&1 && [ ! -s "$TMP/out" ] || fail "the socket: $(cat "$TMP/out")"
systemd-analyze security --offline=true --threshold=20 --no-pager "$TMP/ingotd.service" >"$TMP/out" 2>&1 || fail "the unit is exposed: $(tail -3 "$TMP/out")"
sed "s,/usr/bin/ingot,$root&," "$root/usr/lib/systemd/system/ingot-follow@.service" >"$TMP/ingot-follow@web.service"
systemd-analyze verify --man=no "$TMP/ingot-follow@web.service" >"$TMP/out" 2>&1 && [ ! -s "$TMP/out" ] || fail "the follower's unit: $(cat "$TMP/out")"
ok "the units are ones that systemd takes, and shut the server in"

# What the service manager hears: ready, reloading, stopping.
cat >"$TMP/notify.py" <<'PY'
import os, signal, socket, subprocess, sys
ingotd, folder = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(os.path.join(folder, "notify"))
s.settimeout(20)
server = subprocess.Popen([ingotd, "--data", os.path.join(folder, "data"), "--listen", "127.0.0.1:0"],
    env=dict(os.environ, NOTIFY_SOCKET=os.path.join(folder, "notify")), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
def hear(word):
    said = s.recv(4096).decode()
    assert word in said.split("\n"), (word, said)
hear("READY=1")
server.send_signal(signal.SIGHUP)
hear("RELOADING=1")
hear("READY=1")
server.terminate()
hear("STOPPING=1")
assert server.wait(20) == 0
PY
python3 "$TMP/notify.py" "$root/usr/bin/ingotd" "$TMP" || fail "the service manager is not told"
ok "the service manager hears when it is ready, reloads and stops"
