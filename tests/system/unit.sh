#!/bin/bash
# The unit file, really applied: under its filter of system calls, without rights, and with one folder to write to, ingotd starts,
# serves, warms views, reads its certificate anew, collects, scrubs and stops. unit.py applies it in systemd's place.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
[ "$(id -u)" = 0 ] || skip "only root can be shut in as a unit is"
python3 -c 'import ctypes; ctypes.CDLL("libseccomp.so.2")' 2>/dev/null || skip "there is no libseccomp, of which systemd's filters are made"
room=$TMP/room state=$TMP/room/state
mkdir -p "$room/bin" "$room/tls"
cp "$B/ingotd" "$B/ingot" "$room/bin"
cd "$TMP"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=here -addext subjectAltName=IP:127.0.0.1 -keyout "$room/tls/key.pem" -out "$room/tls/cert.pem" 2>/dev/null
cd - >/dev/null
chmod -R a+rX "$room"
export INGOT_CA=$room/tls/cert.pem INGOT_PLAIN_HTTP=none
sed 's,@PREFIX@,/usr,' registry/server/ingotd.service >"$TMP/ingotd.service"

serve() { # UNIT: ingotd as it has it; ends with the unit's status where it never is ready
    : >"$TMP/address"
    python3 tests/system/unit.py "$1" "$room" --notify ingotd --data '$STATE_DIRECTORY' --listen 127.0.0.1:0 \
        --tls-cert /run/room/tls/cert.pem --tls-key /run/room/tls/key.pem >"$TMP/address" 2>>"$TMP/unit.log" &
    SERVER=$!
    ENDING+=("$SERVER")
    until grep -q '^STATUS=Listening' "$TMP/address"; do
        kill -0 "$SERVER" 2>/dev/null || return 1
        sleep 0.1
    done
    REGISTRY=$(sed -n 's,^STATUS=.*https://,,p' "$TMP/address")
}
stop() {
    kill "$SERVER"
    wait "$SERVER" || fail "the server ends with $?: $(tail -5 "$TMP/unit.log")"
}

# What is applied is what the unit says: a filter that forbids what a server does, and gives no error for it, kills it.
sed '/SystemCallErrorNumber/d; s/^LimitNOFILE/SystemCallFilter=~listen\n&/' "$TMP/ingotd.service" >"$TMP/strict.service"
if serve "$TMP/strict.service"; then
    stop
    fail "a filter that forbids what ingotd does is not applied"
fi
wait "$SERVER" && fail "a killed server ends with 0" || status=$?
[ "$status" = $((128 + 31)) ] || fail "it ends with $status: $(tail -5 "$TMP/unit.log")"
sed 's/^ProcSubset=.*/&\nInventedKey=yes/' "$TMP/ingotd.service" >"$TMP/invented.service"
expect 1 python3 tests/system/unit.py "$TMP/invented.service" "$room" ingotd
grep -q InventedKey "$TMP/err" || fail "$(cat "$TMP/err")"
# And it is shut in.
cat >"$room/bin/probe" <<'PROBE'
#!/bin/sh
[ "$(id -u)" != 0 ] || echo "it is root"
for place in /etc /usr /var/lib /run /sys/fs; do ! touch "$place/probe" 2>/dev/null || echo "it writes to $place"; done
touch "$STATE_DIRECTORY/probe" && rm "$STATE_DIRECTORY/probe" || echo "it cannot write to its folder"
[ -z "$(ls /root /home 2>/dev/null)" ] || echo "it sees homes"
grep -q '^NoNewPrivs:.*1' /proc/self/status || echo "it may gain privileges"
grep -q '^CapBnd:.*[^0:[:space:]]' /proc/self/status && echo "it has capabilities"
! unshare -r true 2>/dev/null || echo "it makes namespaces"
PROBE
chmod +x "$room/bin/probe"
expect 0 python3 tests/system/unit.py "$TMP/ingotd.service" "$room" probe
[ ! -s "$TMP/out" ] || fail "$(cat "$TMP/out")"
ok "the unit is applied, and its service shut in"

serve "$TMP/ingotd.service" || fail "it does not start: $(cat "$TMP/unit.log")"
small_disk "$TMP/disk.raw"
digest=$(ingot pack -q "$TMP/disk.raw" web:1.0.0)
[ "$(ingot push -q web:1.0.0 "$REGISTRY/team/web")" = "$digest" ] || fail "push"
[ "$(ingot pull -q --store "$TMP/other" "$REGISTRY/team/web:1.0.0")" = "$digest" ] || fail "pull"
status=
for _ in $(seq 100); do # a view may be answered later, while it is worked out
    status=$(curl -s --cacert "$INGOT_CA" -o "$TMP/sum" -w '%{http_code}' "https://$REGISTRY/formats/team/web/1.0.0/raw/disk.raw.sha256")
    [ "$status" = 503 ] || break
    sleep 0.5
done
[ "$status" = 200 ] && grep -q "$(sha256sum <"$TMP/disk.raw" | cut -d' ' -f1)" "$TMP/sum" || fail "a view: $status"
curl -sf --cacert "$INGOT_CA" -o "$TMP/body" "https://$REGISTRY/readyz" || fail "it is not ready"
kill -HUP "$SERVER"
until grep -q 'read anew' "$TMP/unit.log"; do kill -0 "$SERVER" || fail "SIGHUP ends it: $(cat "$TMP/unit.log")"; sleep 0.1; done
ok "it starts, takes a push, gives it back, makes views and reads its certificate anew"

# Root's verbs, beside it and when it is stopped.
ingotd gc --data "$state" --grace 0s >/dev/null || fail "gc beside the service"
ingotd scrub --data "$state" >/dev/null || fail "scrub beside the service"
printf 'the word of alice\nthe word of alice\n' | ingotd user add --data "$state" alice || fail "a user"
stop
ingotd gc --data "$state" --grace 0s >/dev/null || fail "gc of a stopped service"
ingotd rebuild --data "$state" >/dev/null || fail "rebuild of a stopped service"
others=$(find "$state" ! -uid "$(stat -c %u "$state")")
[ -z "$others" ] || fail "what root's verbs leave is not the service's: $others"
serve "$TMP/ingotd.service" || fail "it does not start again: $(tail -5 "$TMP/unit.log")"
curl -sf --cacert "$INGOT_CA" -u 'alice:the word of alice' -o "$TMP/body" "https://$REGISTRY/v2/team/web/manifests/1.0.0" || fail "what was pushed is lost"
[ "sha256:$(sha256sum <"$TMP/body" | cut -d' ' -f1)" = "$digest" ] || fail "another manifest"
stop
! grep -q SIGSYS <(tail -20 "$TMP/unit.log") || fail "$(tail "$TMP/unit.log")"
ok "gc, scrub, users and rebuild by root leave the service's files to it"
