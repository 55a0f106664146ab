#!/bin/bash
# What the README tells operators, tried: users and TLS, a backup while it serves, its restoration, quotas.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
export REGISTRY_AUTH_FILE=$TMP/auth.json

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$TMP/key.pem" -out "$TMP/cert.pem" -days 2 \
    -subj /CN=localhost -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' 2>/dev/null
export INGOT_CA=$TMP/cert.pem INGOT_PLAIN_HTTP=none
data=$TMP/srv
install -d -m 700 "$data"
printf '%s\n' 'correct horse' 'correct horse' | ingotd user add --data "$data" alice >/dev/null
cat >"$TMP/ingotd.conf" <<CONF
[ingotd]
data=$data
listen=127.0.0.1:0
tls-cert=$TMP/cert.pem
tls-key=$TMP/key.pem
keep=team/*=10,30d
CONF
serve() {
    start_server ingotd --config "$TMP/ingotd.conf" "$@"
    registry=${SERVED#*//}
}
end() {
    kill "$SERVER"
    wait "$SERVER" || fail "ingotd ends with $?"
}
serve
log_in() { echo 'correct horse' | ingot login "$registry" -u alice --password-stdin >/dev/null 2>&1 || fail "login"; }
small_disk "$TMP/v1.raw"
digest=$(ingot pack -q "$TMP/v1.raw" web:1.0.0)
expect 1 ingot push web:1.0.0 "$registry/team/web"
log_in
ingot push -q web:1.0.0 "$registry/team/web" >/dev/null
skopeo copy -q --src-cert-dir "$(mkdir -p "$TMP/certs" && cp "$TMP/cert.pem" "$TMP/certs/ca.crt" && echo "$TMP/certs")" "docker://$registry/team/web:1.0.0" "oci:$TMP/oci:web" || fail "skopeo"
ok "five minutes: a user, TLS, a configuration file, a push, a pull by skopeo"

# The backup, while it serves and more comes in.
status() { curl -s --cacert "$TMP/cert.pem" -o /dev/null -w '%{http_code}' "$@" "https://$registry/v2/"; }
secret=$(ingotd token create --data "$data" --user alice --scope 'pull:*' 2>/dev/null)
access=$(curl -sf --cacert "$TMP/cert.pem" -u 'alice:correct horse' "https://$registry/token" | python3 -c 'import json,sys; print(json.load(sys.stdin)["token"])')
[ "$(status -H "Authorization: Bearer $access")" = 200 ] || fail "an access token: $(status -H "Authorization: Bearer $access")"
ingotd backup --data "$data" "$TMP/backup" >"$TMP/out" 2>&1 || fail "backup: $(cat "$TMP/out")"
head -c 3000000 /dev/urandom >"$TMP/new"
cp --sparse=always "$TMP/v1.raw" "$TMP/v2.raw"
echo "write $TMP/new new" | debugfs -w "$TMP/v2.raw" >/dev/null 2>&1
ingot pack -q "$TMP/v2.raw" web:2.0.0 >/dev/null
ingot push -q web:2.0.0 "$registry/team/web" >/dev/null
end
rm -rf "$data"
ingotd restore --data "$data" "$TMP/backup" >"$TMP/out" 2>&1 || fail "restore: $(cat "$TMP/out")"
grep -q 'tokens are those of the backup' "$TMP/out" || fail "whose users came back is not said: $(cat "$TMP/out")"
serve
[ "$(status -u "alice:correct horse")" = 200 ] || fail "a restored user can't log in"
[ "$(status -u "alice:$secret")" = 200 ] || fail "a restored token is not one"
[ "$(status -H "Authorization: Bearer $access")" = 401 ] || fail "an access token of before the restoration counts"
ingotd scrub --data "$data" >"$TMP/out" || fail "the restored folder: $(cat "$TMP/out")"
log_in
[ "$(ingot pull -q --store "$TMP/check" "$registry/team/web:1.0.0" -o "$TMP/check.raw")" = "$digest" ] && cmp "$TMP/check.raw" "$TMP/v1.raw" || fail "the restored image"
[ "$(ingot ls "$registry/team/web")" = 1.0.0 ] || fail "restored: $(ingot ls "$registry/team/web")"
ingot push -q web:2.0.0 "$registry/team/web" >/dev/null
ingotd scrub --data "$data" >"$TMP/out" || fail "after a push: $(cat "$TMP/out")"
ok "a backup that was made while it served is restored, and goes on"

end
serve --max-storage 1K
log_in
ingot push -q web:2.0.0 "$registry/team/web" >/dev/null # all of it is there
head -c 3000000 /dev/urandom >"$TMP/newer"
echo "write $TMP/newer newer" | debugfs -w "$TMP/v2.raw" >/dev/null 2>&1
ingot pack -q "$TMP/v2.raw" web:3.0.0 >/dev/null
expect 1 ingot push web:3.0.0 "$registry/team/web"
grep -q 'status 507' "$TMP/err" || fail "over the limit: $(cat "$TMP/err")"
end
serve --max-repository 1M
log_in
expect 1 ingot push web:3.0.0 "$registry/team/web"
grep -q 'status 403.*quota' "$TMP/err" || fail "over the quota: $(cat "$TMP/err")"
ingotd scrub --data "$data" >"$TMP/out" || fail "after refusals: $(cat "$TMP/out")"
ok "a limit of storage and a quota are kept to, with 507 and 403"
