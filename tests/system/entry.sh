#!/bin/bash
# The way in: images that forbid root's login, have no ssh server or drop every packet are tested, built on, and delivered
# without a trace of how Ingot got in. Steps that reboot or power off; a power key that is ignored.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/base.sh
. tests/system/base.sh
share_base warm
export TMPDIR=$TMP/work
mkdir -p "$TMPDIR"

cat >"$TMP/hardened.yaml" <<'EOF2'
name: hardened
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1}
steps:
  - name: a power key that is ignored
    shell: |
      mkdir -p /etc/systemd/logind.conf.d
      printf '[Login]\nHandlePowerKey=ignore\n' >/etc/systemd/logind.conf.d/10-key.conf
      systemctl restart systemd-logind || true
      printf '[Unit]\nDescription=keeper\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\nExecStop=touch /srv/stopped\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/keeper.service
      systemctl enable -q --now keeper
      cp /proc/sys/kernel/random/boot_id /srv/boot-id
  - name: restart
    reboot: true
  - name: after the restart
    shell: |
      test -e /srv/stopped
      ! cmp -s /srv/boot-id /proc/sys/kernel/random/boot_id
      cp /proc/sys/kernel/random/boot_id /srv/boot-id
      poweroff
  - name: hardening
    shell: |
      ! cmp -s /srv/boot-id /proc/sys/kernel/random/boot_id
      echo 'PermitRootLogin no' >/etc/ssh/sshd_config.d/10-hardening.conf
      echo 'AuthorizedKeysFile /etc/ssh/keys/%u' >>/etc/ssh/sshd_config.d/10-hardening.conf
      usermod -s /usr/sbin/nologin root
      chage -d 0 root
      systemctl -q disable ssh
tests:
  - shell: test "$(systemctl is-enabled ssh)" = disabled
  - shell: 'test "$(getent passwd root | cut -d: -f7)" = /usr/sbin/nologin'
EOF2
ingot build "$TMP/hardened.yaml" >"$TMP/out" 2>"$TMP/log" || fail "a hardened image: $(tail -30 "$TMP/log")"
ok "an image that lets nobody in is built, restarted, powered off and tested"

expect 3 ingot shell "$TMP/hardened.yaml" -- sh -c 'printf "%s\n" "two  blanks"; echo words >&2; head -c 5 /dev/zero; exit 3'
printf 'two  blanks\n\0\0\0\0\0' | cmp - "$TMP/out" || fail "what a command prints: $(cat "$TMP/out")"
grep -qx words "$TMP/err" || fail "what a command prints on stderr: $(cat "$TMP/err")"
status=0
ingot shell "$TMP/hardened.yaml" </dev/null >"$TMP/out" 2>"$TMP/err" || status=$?
[ $status != 0 ] && grep -q 'does not let root in.* -- COMMAND' "$TMP/err" || fail "no word on the way in: $(cat "$TMP/err")"
ok "a command looks into a machine that lets nobody in, with its output and its status"

cat >"$TMP/child.yaml" <<'EOF2'
name: child
version: 1.0.0
source: {from: "hardened:1.0.0"}
steps:
  - shell: echo child >/srv/child
EOF2
ingot build --no-test "$TMP/child.yaml" >"$TMP/out" 2>"$TMP/log" || fail "an image on a hardened one: $(tail -30 "$TMP/log")"
ok "another image is built on it"

ingot pull -q child:1.0.0 -o "$TMP/child.raw" >/dev/null
for path in /etc/systemd/ingot-entry /etc/systemd/system/ingot-entry.service /etc/systemd/system/sysinit.target.wants/ingot-entry.service /root/.ssh/authorized_keys2; do
    ! debugfs -R "stat $path" "$TMP/child.raw?offset=$((66 << 20))" 2>&1 | grep -q '^Inode:' || fail "$path is in the image"
done
debugfs -R 'cat /srv/child' "$TMP/child.raw?offset=$((66 << 20))" 2>/dev/null | grep -qx child || fail "the step did not run"
ok "nothing of the way in is in the image"

# A step whose own reboot cuts it off is refused in words, and nothing half is kept of it.
cat >"$TMP/torn.yaml" <<'EOF2'
name: torn
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1}
steps:
  - name: torn
    shell: reboot -f; sleep 60
EOF2
expect 1 ingot build --no-test "$TMP/torn.yaml"
grep -q "torn.*\(restarted\|powered off\)" "$TMP/err" || fail "no word on the restart: $(cat "$TMP/err")"
grep -q 'reboot: true' "$TMP/err" || fail "no word on what to do: $(cat "$TMP/err")"
! ingot cache ls | grep -q 'torn$' || fail "the half step was kept"
ok "a step that is cut off by its own restart is an error that says what to do"

# A restart that is scheduled for later would come in the middle of another step, or of another build that resumes there.
cat >"$TMP/late.yaml" <<'EOF2'
name: late
version: 1.0.0
source: {from: debian-12}
machine: {cpus: 1}
steps:
  - name: late
    shell: shutdown -r +60
  - name: next
    shell: "true"
EOF2
expect 1 ingot build --no-test "$TMP/late.yaml"
grep -q "late.*scheduled in \(59 min\|1 h\)" "$TMP/err" || fail "no word on the restart to come: $(cat "$TMP/err")"
! ingot cache ls | grep -q 'late$' || fail "the machine that is to restart was kept"
ok "a step that leaves a restart for later is an error, and nothing is kept of it"
