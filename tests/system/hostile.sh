#!/bin/bash
# Memory under 4,090 hostile connections, of each kind in turn: never more than 300 MB, and health is answered meanwhile.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

[ "$(ulimit -H -n)" -ge 9000 ] || skip "this needs 9,000 descriptors; the limit is $(ulimit -H -n)"
# A sanitizer's own memory is not the server's.
if nm "$(command -v ingotd)" 2>/dev/null | grep -qE '__(asan|tsan)_init'; then skip "the program is made with a sanitizer"; fi
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$TMP/key.pem" -out "$TMP/cert.pem" -days 2 \
    -subj /CN=localhost -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' 2>/dev/null

# serve FLAGS...: BASE is its URL.
serve() {
    rm -rf "$TMP/data" "$LOG"
    start_server ingotd --data "$TMP/data" --listen 127.0.0.1:0 --head-timeout 5m "$@"
    BASE=$SERVED
}
memory() { awk '/^VmHWM/ { printf "%d", $2 * 1024 / 1000000 }' "/proc/$SERVER/status"; }
# under KIND COUNT MOST [PATH...]: at most MOST MB, also once the clients have gone; the server ends in order.
under() {
    local kind=$1 count=$2 most=$3 clients
    shift 3
    rm -f "$TMP/tell"
    mkfifo "$TMP/tell"
    python3 tests/system/hostile.py "$kind" "$count" "$BASE" "$@" <"$TMP/tell" >"$TMP/held" 2>"$TMP/err" &
    clients=$!
    ENDING+=("$clients")
    exec 9>"$TMP/tell"
    until grep -q held "$TMP/held"; do kill -0 "$clients" 2>/dev/null || fail "$kind: $(cat "$TMP/err")"; sleep 0.1; done
    [ "$(curl -sk -m 60 "$BASE/healthz")" = ok ] || fail "no health beside $kind"
    exec 9>&-
    wait "$clients" || fail "$kind: $(cat "$TMP/err")"
    [ "$(curl -sk -m 60 "$BASE/healthz")" = ok ] || fail "no health after $kind"
    [ "$(memory)" -le "$most" ] || fail "$count times $kind take $(memory) MB, more than $most"
    ok "$count times $kind: $(memory) MB"
    kill "$SERVER"
    wait "$SERVER" || fail "after $kind the server ends with $?: $(tail -3 "$LOG")"
}

for kind in head body upload; do
    serve
    under $kind 4090 300
done

serve
under offers 10 300

serve
head -c 20000000 /dev/zero >"$TMP/blob"
blob=sha256:$(sha256sum <"$TMP/blob" | cut -d' ' -f1)
curl -sf -o /dev/null -H 'Expect:' --data-binary "@$TMP/blob" "$BASE/v2/hostile/blobs/uploads/?digest=$blob" || fail "a push"
paths=("/v2/hostile/blobs/$blob#bytes=0-9999999,10000001-")
{ printf '{"schemaVersion":2,"layers":[],"x":"'; head -c 4000000 /dev/zero | tr '\0' x; } >"$TMP/manifest"
for n in $(seq 32); do
    { cat "$TMP/manifest"; printf '%s"}' "$n"; } |
        curl -sf -o /dev/null -X PUT -H 'Expect:' -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @- "$BASE/v2/hostile/manifests/$n" || fail "a manifest"
    paths+=("/v2/hostile/manifests/$n")
done
under answer 4090 300 "${paths[@]}"

serve --tls-cert "$TMP/cert.pem" --tls-key "$TMP/key.pem"
under hello 4090 300
serve --tls-cert "$TMP/cert.pem" --tls-key "$TMP/key.pem"
under record 500 80
serve --tls-cert "$TMP/cert.pem" --tls-key "$TMP/key.pem"
under flood 20 40
