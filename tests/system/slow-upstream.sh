#!/bin/bash
# A cache whose upstream is slow or wrong in one thing answers everything else: nobody waits in a thread for a copy, look-ups never queue
# behind copies, and what one image does is no word about another.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

start_ingotd "$TMP/first"
first=$REGISTRY
start_upstream "$first"
# blob SIZE: one of random bytes in team/blob at the upstream; its digest is printed.
blob() {
    local digest
    head -c "$1" /dev/urandom >"$TMP/blob"
    digest=sha256:$(sha256sum <"$TMP/blob" | cut -d' ' -f1)
    [ "$(curl -s -o "$TMP/pushed" -w '%{http_code}' -X POST --data-binary "@$TMP/blob" "http://$first/v2/team/blob/blobs/uploads/?digest=$digest")" = 201 ] || fail "push: $(cat "$TMP/pushed")"
    echo "$digest"
}
# tag HOST NAME TAG: an index that names nothing.
tag() {
    curl -sf -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' \
        -d '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{"of":"'"$3"'"}}' "http://$1/v2/$2/manifests/$3" || fail "PUT $3"
}
end_readers() {
    kill "${readers[@]}" 2>/dev/null || true
    wait "${readers[@]}" 2>/dev/null || true
    readers=()
}
head -c 600000 /dev/urandom >"$TMP/v1.raw"
truncate -s 1M "$TMP/v1.raw"
ingot pack -q "$TMP/v1.raw" web:1.0.0 >/dev/null
for name in web cold; do ingot push -q web:1.0.0 "$first/team/$name" >/dev/null; done
for n in 1 2 3 4 5; do tag "$first" team/tags "$n"; done
cold=$(blob 20000000)
start_cache one "http://$upstream" --upstream-absent 1s
[ "$(code /v2/team/tags/manifests/1)" = 200 ] && [ "$(code /formats/team/web/1.0.0/raw/disk.raw)" = 200 ] || fail "$(cat "$TMP/answer")"

# More who wait for one copy than there are threads of any kind.
echo '^GET.*/(team/blob|team/cold)/blobs slow 20000' >"$TMP/rules"
readers=()
for n in $(seq 150); do
    curl -s -m 300 -o /dev/null "http://$cache/v2/team/blob/blobs/$cold$([ $((n % 3)) = 0 ] || echo '?frames=1')" &
    readers+=($!)
done
for _ in $(seq 20); do
    curl -s -m 300 -o /dev/null "http://$cache/formats/team/cold/1.0.0/raw/disk.raw" &
    readers+=($!)
done
sleep 3
[ "$(code /v2/team/tags/manifests/1 -m 15)" = 200 ] || fail "a tag that is cached, while others wait for a copy"
[ "$(code /v2/team/tags/manifests/2 -m 15)" = 200 ] || fail "a tag that is not cached, while others wait for a copy"
[ "$(code /formats/team/web/1.0.0/raw/disk.raw -m 15)" = 200 ] && cmp "$TMP/answer" "$TMP/v1.raw" || fail "a format of what is here, while others wait for a copy"
[ "$(code "/v2/team/blob/blobs/$cold?frames=1" -m 40)" = 503 ] && grep -qi '^retry-after:' "$TMP/head" || fail "frames of a blob that comes: $(cat "$TMP/head")"
[ "$(code "/formats/team/cold/1.0.0/raw/disk.raw" -m 40)" = 503 ] && grep -qi '^retry-after:' "$TMP/head" || fail "a format of an image that comes: $(cat "$TMP/head")"
end_readers
[ "$(code /v2/team/tags/manifests/3 -m 15)" = 200 ] || fail "a tag, after those who waited have left"
ok "nobody waits in a thread for a copy, and look-ups go on"

# All who wait for one cold image get it when it is here, however many there are: no thread waits with them.
ingot push -q web:1.0.0 "$first/team/later" >/dev/null
echo '^GET.*/team/later/blobs slow 150000' >"$TMP/rules"
: >"$TMP/asked"
for n in $(seq 60); do
    curl -s -m 100 -o /dev/null -w '%{http_code}\n' -r 0-9 "http://$cache/formats/team/later/1.0.0/raw/disk.raw" >>"$TMP/later.$n" &
    readers+=($!)
done
for reader in "${readers[@]}"; do wait "$reader" || true; done
readers=()
[ "$(cat "$TMP"/later.* | sort | uniq -c | tr -s ' ')" = ' 60 206' ] || fail "60 who waited for a cold image: $(cat "$TMP"/later.* | sort | uniq -c)"
looked=$(grep -c '/team/later/manifests/1.0.0' "$TMP/asked")
[ "$looked" -le 60 ] || fail "60 requests for a format looked its tag up $looked times"
ok "60 wait for a cold image, and get it; each looks the tag up once at most"

# More copies than run at once; nobody reads them any more.
many=()
for n in $(seq 40); do many+=("$(blob $((3000000 + n)))"); done
wanted=$(blob 3000100)
printf '^GET.*/team/blob/blobs slow 20000\n^HEAD.*/team/blob/blobs plain\n' >"$TMP/rules"
for digest in "${many[@]}"; do
    curl -s -m 300 -o /dev/null "http://$cache/v2/team/blob/blobs/$digest" &
    readers+=($!)
done
sleep 2
[ "$(code /v2/team/tags/manifests/4 -m 15)" = 200 ] || fail "a tag that is not cached, while 40 blobs come"
[ "$(code "/v2/team/blob/blobs/$wanted" -m 15 -r 0-9999)" = 206 ] && cmp "$TMP/answer" <(head -c 10000 "$TMP/blob") || fail "the start of a blob whose copy waits for its turn"
sed -i "1i ^GET.*/team/blob/blobs/$wanted plain" "$TMP/rules"
: >"$TMP/asked"
[ "$(code "/v2/team/blob/blobs/$wanted" -m 30)" = 200 ] && cmp "$TMP/answer" "$TMP/blob" || fail "the whole of a blob whose copy waits for its turn"
[ "$(grep -c "^GET.*/$wanted" "$TMP/asked")" -le 12 ] || fail "$(grep -c "^GET.*/$wanted" "$TMP/asked") requests for 3 MB"
end_readers
left=$SECONDS
until grep -q 'given up, as nobody waits for it' "$TMP/ingotd.log"; do
    code "/v2/team/blob/blobs/$wanted" -r 0-99 >"$TMP/out"
    sleep 1
    [ $((SECONDS - left)) -lt 100 ] || fail "copies that nobody reads go on"
done
: >"$TMP/rules"
until [ "$(code "/v2/team/blob/blobs/$wanted")" = 200 ] && cmp -s "$TMP/answer" "$TMP/blob"; do sleep 0.5; done
ok "copies are bounded, and one that nobody reads makes room for others"

# An upstream that gives wrong bytes once; whoever reads them is still there when the right ones come.
wrong=$(blob 6000000)
printf '^GET.*/team/blob/blobs/%s$ flipslow 1500000\n' "$wrong" >"$TMP/rules"
curl -s -m 300 --limit-rate 50k -o "$TMP/slow-reader" "http://$cache/v2/team/blob/blobs/$wrong" &
slow=$!
readers+=($!)
status=0
curl -s -m 60 -o "$TMP/answer" "http://$cache/v2/team/blob/blobs/$wrong" || status=$?
[ $status != 0 ] || cmp "$TMP/answer" "$TMP/blob" || fail "a wrong blob looks whole"
kill -0 $slow || fail "the slow reader has gone: $(stat -c %s "$TMP/slow-reader")"
: >"$TMP/rules"
# An answer that joins the copy just before it fails is broken off: only a whole one counts.
until curl -sf -m 60 -o "$TMP/answer" "http://$cache/v2/team/blob/blobs/$wrong"; do sleep 0.2; done
cmp "$TMP/answer" "$TMP/blob" || fail "the bytes of a copy that was wrong"
kill $slow
readers=()
ok "the bytes of a copy that failed are given to nobody later"
end_cache

# One thing that the upstream does wrong stops nothing else that is asked of it.
tag "$first" team/tags sick
while IFS='|' read -r rule what; do
    echo "$rule" >"$TMP/rules"
    start_cache "sick$RANDOM" "http://$upstream" --upstream-absent 1s
    : >"$TMP/asked"
    curl -s -m 60 -o /dev/null "http://$cache$what" &
    readers=($!)
    until grep -q "$what" "$TMP/asked"; do sleep 0.1; done
    [ "${rule##* }" = hang ] || wait "${readers[@]}" || true
    for n in 1 2 3; do
        [ "$(code "/v2/team/tags/manifests/$n")" = 200 ] || fail "$rule: $(cat "$TMP/answer")"
    done
    end_readers
    kill "$cache_pid"
    wait "$cache_pid" || true
done <<ROWS
/manifests/sick hang|/v2/team/tags/manifests/sick
/manifests/sick cut 0|/v2/team/tags/manifests/sick
/manifests/sick big 5000000|/v2/team/tags/manifests/sick
/manifests/sick status 500|/v2/team/tags/manifests/sick
GET.*/blobs/$cold\$ cut 1000|/v2/team/blob/blobs/$cold
ROWS
ok "what an upstream does wrong in one thing stops nothing else"
