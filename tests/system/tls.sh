#!/bin/bash
# ingotd by TLS: who is trusted, what is refused, certificates that are renewed while it serves.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
export MALLOC_PERTURB_=165 # freed memory keeps none of its bytes: what uses it fails
cd "$TMP"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem 2>/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=another -keyout other.key -out other.pem 2>/dev/null
certificate() { # NAME ADDRESS [DAYS]
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days "${3:-2}" -extfile <(echo "subjectAltName=$2") -out "$1.crt" 2>/dev/null
}
certificate first IP:127.0.0.1
certificate second IP:127.0.0.1
certificate elsewhere DNS:elsewhere.example
certificate old IP:127.0.0.1 -1
certificate long IP:127.0.0.1 365
cp first.crt now.crt
cp first.key now.key
cd - >/dev/null

expect 2 ingotd --data "$TMP/data" --tls-cert "$TMP/now.crt"
grep -q 'go together' "$TMP/err" || fail "$(cat "$TMP/err")"
expect 2 ingotd --data "$TMP/data" --listen 127.0.0.1:0 --tls-cert "$TMP/first.crt" --tls-key "$TMP/second.key"
grep -q 'first.crt' "$TMP/err" || fail "a pair that is none: $(cat "$TMP/err")"
ingotd --data "$TMP/data" --listen 127.0.0.1:0 --tls-cert "$TMP/now.crt" --tls-key "$TMP/now.key" >"$TMP/address" 2>"$TMP/ingotd.log" &
SERVER=$!
ENDING+=("$SERVER")
until grep -q https "$TMP/address"; do kill -0 $SERVER || fail "$(cat "$TMP/ingotd.log")"; sleep 0.05; done
TLS=$(sed 's,.*https://,,' "$TMP/address")
ok "a certificate and a key that do not fit are refused"

# One of this machine is asked by TLS where an authority is named and it speaks TLS, or else by plain HTTP.
by_tls=$SERVER
start_ingotd "$TMP/plain"
[ "$(INGOT_CA=$TMP/ca.pem ingot ls "$TLS")" = "$(INGOT_CA=$TMP/ca.pem ingot ls "$REGISTRY")" ] || fail "by TLS and by plain HTTP"
expect 1 env INGOT_CA="$TMP/other.pem" ingot ls "$TLS"
grep -qi 'certificate' "$TMP/err" || fail "another authority: $(cat "$TMP/err")"
REGISTRY=$TLS SERVER=$by_tls
ok "an authority makes nobody speak TLS who does not"

export INGOT_PLAIN_HTTP=none # this machine's, but by HTTPS
# Meanwhile, one that takes connections and never says a word, asked with more patience than is standard.
python3 -c 'import signal, socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True); signal.pause()' >"$TMP/silent" &
ENDING+=($!)
until [ -s "$TMP/silent" ]; do sleep 0.05; done
{
    since=$SECONDS
    INGOT_TIMEOUT=14s ingot ls "127.0.0.1:$(cat "$TMP/silent")" 2>"$TMP/silent.err" || echo $((SECONDS - since)) >"$TMP/silent.seconds"
} &
silent=$!
small_disk "$TMP/disk.raw"
digest=$(ingot pack -q "$TMP/disk.raw" web:1.0.0)
[ "$(ingot push -q --ca "$TMP/ca.pem" web:1.0.0 "$REGISTRY/team/web")" = "$digest" ] || fail "push"
[ "$(INGOT_CA=$TMP/ca.pem ingot pull -q --store "$TMP/other" "$REGISTRY/team/web:1.0.0")" = "$digest" ] || fail "pull"
expect 1 ingot ls --ca "$TMP/other.pem" "$REGISTRY"
grep -qi 'certificate' "$TMP/err" || fail "another authority: $(cat "$TMP/err")"
expect 1 ingot ls "$REGISTRY"
expect 2 ingot ls --ca "$TMP/none.pem" "$REGISTRY"
grep -q 'none.pem' "$TMP/err" || fail "$(cat "$TMP/err")"
mkdir "$TMP/certs"
cp "$TMP/ca.pem" "$TMP/certs/ca.crt"
skopeo copy -q --src-cert-dir "$TMP/certs" "docker://$REGISTRY/team/web:1.0.0" "oci:$TMP/folder:web" || fail "skopeo by TLS"
ok "ingot and skopeo push and pull by TLS; another authority is not believed"

# The system's authorities are a folder here, to which the one that has signed is added.
mkdir "$TMP/system"
cp "$TMP/ca.pem" "$TMP/system/$(openssl x509 -noout -hash -in "$TMP/ca.pem").0"
system=("$TMP/system" /etc/ssl/certs)
mounted "${system[@]}" ingot ls "$REGISTRY" >/dev/null || fail "the system's authorities are not believed"
expect 1 mounted "${system[@]}" ingot ls --ca "$TMP/other.pem" "$REGISTRY"
grep -qi 'certificate' "$TMP/err" || fail "another authority beside the system's: $(cat "$TMP/err")"
ok "--ca stands for the system's authorities"

hello() { openssl s_client -connect "$REGISTRY" -CAfile "$TMP/ca.pem" "$@" </dev/null 2>&1; }
for version in 1_2 1_3; do hello -tls$version | grep -q 'Verify return code: 0' || fail "TLS $version"; done
! hello -tls1_1 -cipher 'DEFAULT@SECLEVEL=0' | grep -q 'Cipher is [A-Z]' || fail "TLS 1.1 is taken"
ok "TLS 1.2 and 1.3 alone"

serial() { hello | openssl x509 -noout -serial 2>/dev/null; }
[ "$(serial)" = "$(openssl x509 -noout -serial -in "$TMP/first.crt")" ] || fail "the first certificate"
head -c 30000000 /dev/urandom >"$TMP/long"
long=sha256:$(sha256sum <"$TMP/long" | cut -d' ' -f1)
curl -sf --cacert "$TMP/ca.pem" -H 'Expect:' -X POST --data-binary "@$TMP/long" "https://$REGISTRY/v2/a/blobs/uploads/?digest=$long" || fail "upload"
curl -sf --cacert "$TMP/ca.pem" --limit-rate 15M -o "$TMP/got" "https://$REGISTRY/v2/a/blobs/$long" &
download=$!
until [ -s "$TMP/got" ]; do sleep 0.02; done
cp "$TMP/second.crt" "$TMP/now.crt"
cp "$TMP/second.key" "$TMP/now.key"
kill -HUP "$SERVER"
until grep -q 'read anew' "$TMP/ingotd.log"; do kill -0 $SERVER || fail "SIGHUP ends it"; sleep 0.05; done
[ "$(serial)" = "$(openssl x509 -noout -serial -in "$TMP/second.crt")" ] || fail "the renewed certificate is not served"
wait $download || fail "a running download was broken off"
cmp "$TMP/got" "$TMP/long"
echo nonsense >"$TMP/now.crt"
kill -HUP "$SERVER"
until grep -q 'stays what it was' "$TMP/ingotd.log"; do kill -0 $SERVER || fail "a broken certificate ends it"; sleep 0.05; done
[ "$(serial)" = "$(openssl x509 -noout -serial -in "$TMP/second.crt")" ] || fail "a broken certificate is served"
ok "SIGHUP reads the certificate anew, running downloads go on; a broken one changes nothing"

# One that has run out is served, and said.
expires() { curl -skf "https://$REGISTRY/metrics" | sed -n 's/^ingot_certificate_expires_seconds //p'; }
ends() { date -d "$(openssl x509 -noout -enddate -in "$1" | cut -d= -f2)" +%s; }
[ "$(printf %.0f "$(expires)")" = "$(ends "$TMP/second.crt")" ] || fail "when the certificate runs out: $(expires)"
renewed() { # NAME: it is read
    cp "$TMP/$1.crt" "$TMP/now.crt"
    cp "$TMP/$1.key" "$TMP/now.key"
    kill -HUP "$SERVER"
    until [ "$(serial)" = "$(openssl x509 -noout -serial -in "$TMP/$1.crt")" ]; do sleep 0.05; done
}
! grep -q 'ran out' "$TMP/ingotd.log" || fail "a good certificate: $(cat "$TMP/ingotd.log")"
renewed old
grep -q 'now.crt: the certificate ran out on ' "$TMP/ingotd.log" || fail "no word of a certificate that ran out: $(cat "$TMP/ingotd.log")"
[ "$(printf %.0f "$(expires)")" = "$(ends "$TMP/old.crt")" ] || fail "when the old certificate ran out: $(expires)"
warnings=$(grep -c 'certificate r[ua]ns* out' "$TMP/ingotd.log")
renewed long
[ "$(grep -c 'certificate r[ua]ns* out' "$TMP/ingotd.log")" = "$warnings" ] || fail "a warning of a certificate for a year: $(cat "$TMP/ingotd.log")"
ok "a certificate that has run out is a warning and a figure"

cp "$TMP/elsewhere.crt" "$TMP/now.crt"
cp "$TMP/elsewhere.key" "$TMP/now.key"
kill -HUP "$SERVER"
until [ "$(serial)" = "$(openssl x509 -noout -serial -in "$TMP/elsewhere.crt")" ]; do sleep 0.05; done
expect 1 ingot ls --ca "$TMP/ca.pem" "$REGISTRY"
ok "a certificate for another host is not believed"
kill "$SERVER"
wait "$SERVER" || fail "the server ends with $?"
wait $silent
grep -q 'no connection came about in time' "$TMP/silent.err" && [ "$(cat "$TMP/silent.seconds")" -gt 12 ] || fail "after $(cat "$TMP/silent.seconds") s: $(cat "$TMP/silent.err")"
INGOT_TIMEOUT=5x expect 2 ingot ls "$REGISTRY"
grep -qF '$INGOT_TIMEOUT' "$TMP/err" || fail "$(cat "$TMP/err")"
ok "\$INGOT_TIMEOUT bounds connecting too"
