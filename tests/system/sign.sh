#!/bin/bash
# Signatures: what `ingot sign` writes, the openssl command verifies by the published format, and what is put together with
# openssl alone, `ingot verify` takes. Forged, foreign, replayed and broken ones never count.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
start_ingotd
start_upstream "$REGISTRY"
keyless=$PWD/tests/system/keyless.py
cd "$TMP"
export INGOT_PASSPHRASE='open sesame'
BUNDLE=application/vnd.dev.sigstore.bundle.v0.3+json
SIGNED=https://sigstore.dev/cosign/sign/v1
head -c 300000 /dev/urandom >web.raw
truncate -s 1M web.raw
image=$(ingot pack -q web.raw web:1.0.0)
head -c 300000 /dev/urandom >db.raw
truncate -s 1M db.raw
other=$(ingot pack -q db.raw db:1.0.0)

# Keys.
ingot key generate my.key >/dev/null
[ "$(stat -c %a my.key)" = 600 ] || fail "the private key has mode $(stat -c %a my.key)"
[ "$(head -1 my.key)" = '-----BEGIN ENCRYPTED PRIVATE KEY-----' ] || fail "the private key: $(head -1 my.key)"
openssl pkey -in my.key -passin "pass:$INGOT_PASSPHRASE" -pubout | cmp - my.key.pub || fail "openssl reads another key"
openssl asn1parse -in my.key | grep -q 'scrypt' || fail "the private key is not encrypted by scrypt"
openssl asn1parse -in my.key | grep -q 'aes-256-cbc' || fail "the private key is not encrypted by AES-256"
print=$(openssl pkey -pubin -in my.key.pub -outform DER | sha256sum | cut -d' ' -f1)
[ "$(ingot key show -q my.key)" = "sha256:$print" ] || fail "another fingerprint: $(ingot key show -q my.key)"
sha256sum my.key my.key.pub >before
expect 1 ingot key generate my.key
grep -q -- '--force' err || fail "an existing key: $(cat err)"
sha256sum --quiet -c before || fail "a key was overwritten"
ingot key generate --force -q my.key >/dev/null
! sha256sum --quiet -c before >/dev/null 2>&1 || fail "--force keeps the key"
INGOT_PASSPHRASE='' expect 2 ingot key generate empty.key
grep -q -- '--no-passphrase' err || fail "an empty passphrase: $(cat err)"
[ ! -e empty.key ] || fail "a key that was refused leaves a file"
expect 2 env -u INGOT_PASSPHRASE ingot key generate empty.key </dev/null
env -u INGOT_PASSPHRASE ingot key generate -q --no-passphrase other.key </dev/null >/dev/null
INGOT_PASSPHRASE=wrong expect 1 ingot sign web:1.0.0 --key my.key
grep -q "my.key: the passphrase is not this key's" err || fail "a wrong passphrase: $(cat err)"
chmod 644 other.key
expect 1 ingot sign web:1.0.0 --key other.key
grep -q 'chmod 600' err || fail "a key that others can read: $(cat err)"
chmod 600 other.key
expect 2 ingot sign web:1.0.0 --key my.key.pub
printf -- '-----%s ENCRYPTED SIGSTORE PRIVATE KEY-----\n' BEGIN END | sed '1a eyJrZGYiOnt9fQ==' >cosign.key
chmod 600 cosign.key
expect 2 env -u INGOT_PASSPHRASE ingot sign web:1.0.0 --key cosign.key </dev/null
grep -q "cosign.key: a private key in cosign's own format" err || fail "a private key of cosign's: $(cat err)"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.key 2>/dev/null
openssl pkey -in p384.key -pubout -out p384.pub
chmod 600 p384.key
expect 2 ingot sign web:1.0.0 --key p384.key
expect 2 ingot verify web:1.0.0 --key p384.pub
grep -q P-256 err || fail "a key of P-384: $(cat err)"
ok "keys are made once, kept for their owner, and of one kind"

# Keys that a URI names: a file's, and a token's where this machine has what it takes.
ingot pack -q --store "$TMP/uris" web.raw web:1.0.0 >/dev/null
# by STATUS VERB... : with a store of its own, and nothing but OpenSSL's own providers.
: >none.cnf
by() {
    local wanted=$1
    shift
    OPENSSL_CONF=$TMP/none.cnf expect "$wanted" ingot "$@" --store "$TMP/uris"
}
by 0 sign web:1.0.0 --key "file:$TMP/my.key"
by 0 verify web:1.0.0 --key "file:$TMP/my.key.pub"
[ "$(ingot key show -q "file:$TMP/my.key.pub")" = "$(ingot key show -q my.key)" ] || fail "a URI's key has another fingerprint"
INGOT_PASSPHRASE=wrong by 1 sign web:1.0.0 --key "file:$TMP/my.key"
grep -q "file:$TMP/my.key: .*passphrase" err || fail "a wrong passphrase of a URI's key: $(cat err)"
chmod 644 my.key
by 1 sign web:1.0.0 --key "file://$TMP/my.key"
grep -q 'chmod 600' err || fail "a URI's key that others can read: $(cat err)"
chmod 600 my.key
by 2 sign web:1.0.0 --key "file:$TMP/p384.key"
grep -q P-256 err || fail "a URI's key of P-384: $(cat err)"
by 2 sign web:1.0.0 --key 'pkcs11:object=release?pin-value=1234'
grep -q 'install pkcs11-provider and name it in openssl.cnf' err || fail "no provider of PKCS#11: $(cat err)"
! grep -q 1234 err || fail "a PIN is shown: $(cat err)"
expect 2 ingot key generate "file:$TMP/token.key"
[ ! -e token.key ] && [ ! -e "file:$TMP" ] || fail "a key was made at a URI"
ok "a URI names a key, and what is missing for PKCS#11 is told"

# token: a SoftHSM token that has my.key.
token() {
    mkdir tokens
    echo "directories.tokendir = $TMP/tokens" >softhsm2.conf
    export SOFTHSM2_CONF=$TMP/softhsm2.conf
    openssl pkcs8 -topk8 -nocrypt -in my.key -passin "pass:$INGOT_PASSPHRASE" -out plain.key
    softhsm2-util --module "$1" --init-token --free --label ingot --pin 1234 --so-pin 12345678 >/dev/null
    softhsm2-util --module "$1" --import plain.key --token ingot --label release --id 01 --pin 1234 >/dev/null
    printf '%s\n' 'openssl_conf = openssl_init' '[openssl_init]' 'providers = provider_sect' '[provider_sect]' \
        'default = default_sect' 'pkcs11 = pkcs11_sect' '[default_sect]' 'activate = 1' '[pkcs11_sect]' "module = $2" \
        "pkcs11-module-path = $1" 'pkcs11-module-quirks = no-deinit' 'activate = 1' >token.cnf
}
module=${SOFTHSM2_MODULE:-/usr/lib/softhsm/libsofthsm2.so}
provider=${PKCS11_PROVIDER:-$(openssl version -m | sed 's/.*"\(.*\)"/\1/')/pkcs11.so}
if command -v softhsm2-util >/dev/null && [ -e "$module" ] && [ -e "$provider" ]; then
    token "$module" "$provider"
    key='pkcs11:token=ingot;object=release'
    ingot pack -q --store "$TMP/token" web.raw web:1.0.0 >/dev/null
    export OPENSSL_CONF=$TMP/token.cnf
    INGOT_PASSPHRASE=4321 expect 1 ingot sign --store "$TMP/token" web:1.0.0 --key "$key"
    INGOT_PASSPHRASE=1234 expect 0 ingot sign --store "$TMP/token" web:1.0.0 --key "$key"
    [ "$(ingot key show -q "$key")" = "$(ingot key show -q my.key.pub)" ] || fail "a token's key has another fingerprint"
    unset OPENSSL_CONF
    expect 0 ingot verify --store "$TMP/token" web:1.0.0 --key my.key.pub
    ok "a token signs by PKCS#11"
else
    echo "left out: softhsm2 or OpenSSL's pkcs11-provider is not installed"
fi

# What is signed verifies by openssl alone: the bundle as it lies in the store.
expect 3 ingot verify web:1.0.0 --key my.key.pub
grep -q 'nothing is signed' err || fail "an unsigned image: $(cat err)"
ingot sign web:1.0.0 --key my.key --json >signed.json
member() { python3 -c 'import json, sys
v = json.load(open(sys.argv[1]))
for k in sys.argv[2].split("/"): v = v[int(k)] if isinstance(v, list) else v[k]
print(v, end="")' "$1" "$2"; }
blob() { echo "$INGOT_STORE/blobs/sha256/${1#sha256:}"; }
manifest=$(blob "$(member signed.json signature)")
[ "$(member "$manifest" artifactType)" = $BUNDLE ] || fail "its manifest's type: $(cat "$manifest")"
[ "$(member "$manifest" config/mediaType)" = application/vnd.oci.empty.v1+json ] || fail "its config: $(cat "$manifest")"
[ "$(member "$manifest" layers/0/mediaType)" = $BUNDLE ] || fail "its layer: $(cat "$manifest")"
[ "$(member "$manifest" subject/digest)" = "$image" ] || fail "its subject: $(cat "$manifest")"
[ "$(member "$manifest" annotations/dev.sigstore.bundle.content)" = dsse-envelope ] || fail "its annotations: $(cat "$manifest")"
[ "$(member "$manifest" annotations/dev.sigstore.bundle.predicateType)" = $SIGNED ] || fail "its annotations: $(cat "$manifest")"
bundle=$(blob "$(member "$manifest" layers/0/digest)")
[ "$(member "$bundle" mediaType)" = $BUNDLE ] || fail "the bundle: $(cat "$bundle")"
[ "$(member "$bundle" verificationMaterial/publicKey/hint)" = "$(openssl pkey -pubin -in my.key.pub -outform DER | openssl dgst -sha256 -binary | base64)" ] ||
    fail "the hint: $(cat "$bundle")"
# pae TYPE FILE: DSSE's encoding.
pae() { printf 'DSSEv1 %d %s %d ' "${#1}" "$1" "$(stat -c %s "$2")" && cat "$2"; }
member "$bundle" dsseEnvelope/payload | base64 -d >statement
member "$bundle" dsseEnvelope/signatures/0/sig | base64 -d >sig
pae "$(member "$bundle" dsseEnvelope/payloadType)" statement >pae
openssl dgst -sha256 -verify my.key.pub -signature sig pae || fail "openssl does not verify the bundle"
printf '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"web:1.0.0","digest":{"sha256":"%s"}}],"predicateType":"%s","predicate":{}}' "${image#sha256:}" $SIGNED |
    cmp - statement || fail "the statement: $(cat statement)"
ingot verify web:1.0.0 --key other.key.pub --key my.key.pub | grep -q '^counts ' || fail "verify by two keys"
expect 3 ingot verify web:1.0.0 --key other.key.pub
grep -q '^does not count .*not signed by a key that was given' out || fail "another key: $(cat out)"
ok "openssl verifies what ingot has signed"

# What openssl has signed, ingot verifies: attached by plain requests, as any client might.
# statement DIGEST; envelope STATEMENT KEY [TYPE]: a bundle of the published format.
statement() { printf '{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"%s"}}],"predicateType":"%s","predicate":{}}' "${1#sha256:}" "${2:-$SIGNED}"; }
envelope() {
    local type=${3:-application/vnd.in-toto+json}
    pae "$type" "$1" | openssl dgst -sha256 -sign "$2" -passin "pass:$INGOT_PASSPHRASE" >sig
    printf '{"mediaType":"%s","verificationMaterial":{"publicKey":{"hint":"x"},"tlogEntries":[]},"dsseEnvelope":{"payload":"%s","payloadType":"%s","signatures":[{"sig":"%s"}]}}' \
        $BUNDLE "$(base64 -w0 <"$1")" "$type" "$(base64 -w0 <sig)"
}
# attach NAME SUBJECT FILE: as a referrer.
attach() {
    local size
    size=$(curl -sfI -H 'accept: application/vnd.oci.image.manifest.v1+json' "http://$REGISTRY/v2/$1/manifests/$2" | tr -d '\r' | awk 'tolower($1) == "content-length:" { print $2 }')
    printf '{}' >empty
    put_blob "$1" empty
    put_blob "$1" "$3"
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"%s","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:%s","size":2},"layers":[{"mediaType":"%s","digest":"sha256:%s","size":%d}],"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":%d}}' \
        $BUNDLE "$(sha256sum <empty | cut -d' ' -f1)" $BUNDLE "$(sha256sum <"$3" | cut -d' ' -f1)" "$(stat -c %s "$3")" "$2" "$size" >referrer
    curl -sf -o /dev/null -X PUT -H 'content-type: application/vnd.oci.image.manifest.v1+json' --data-binary @referrer \
        "http://$REGISTRY/v2/$1/manifests/sha256:$(sha256sum <referrer | cut -d' ' -f1)" || fail "the registry refuses $3"
}
# judged NAME STATUS WORDS FILE [OPTION...]: what verify says of one bundle that is attached to the image in a repository of its own.
judged() {
    local trust=("${@:5}")
    [ $# -gt 4 ] || trust=(--key my.key.pub)
    ingot push -q --store "$TMP/plain" web:1.0.0 "$REGISTRY/$1:1.0.0" >/dev/null
    attach "$1" "$image" "$4"
    expect "$2" ingot verify --pull=always "$REGISTRY/$1:1.0.0" "${trust[@]}"
    grep -q "$3" out || fail "$1: $(cat out err)"
    # The same offline, once it was pulled.
    ingot pull -q --store "$TMP/$1.store" "$REGISTRY/$1:1.0.0" >/dev/null
    expect "$2" ingot verify --store "$TMP/$1.store" --pull=never "$REGISTRY/$1:1.0.0" "${trust[@]}"
    grep -q "$3" out || fail "$1, in the store: $(cat out err)"
}
[ "$(ingot pack -q --store "$TMP/plain" web.raw web:1.0.0)" = "$image" ] || fail "the same disk is another image"
statement "$image" >s
envelope s my.key >good
judged good 0 '^counts ' good
openssl dgst -sha256 -sign my.key -passin "pass:$INGOT_PASSPHRASE" <"$(blob "$image")" >sig
printf '{"mediaType":"%s","verificationMaterial":{"publicKey":{"hint":""}},"messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"%s"},"signature":"%s"}}' \
    $BUNDLE "$(openssl dgst -sha256 -binary <"$(blob "$image")" | base64)" "$(base64 -w0 <sig)" >message
judged message 0 '^counts ' message
ok "ingot verifies what openssl has signed, in the registry and offline"

# What never counts.
envelope s other.key >foreign
judged foreign 3 'not signed by a key that was given' foreign
statement "$other" >s
envelope s my.key >replayed
judged replayed 3 'about another image' replayed
statement "$image" >s
envelope s my.key text/plain >typed
judged typed 3 payloadType typed
statement "$image" https://in-toto.io/attestation/test-result/v0.1 >s
envelope s my.key >report
judged report 3 'says something else' report
ingot verify -q --pull=always "$REGISTRY/report:1.0.0" --key my.key.pub --type https://in-toto.io/attestation/test-result/v0.1 >/dev/null ||
    fail "a signed report does not count as one"
statement "$image" >s
sed "s/\"payload\":\"[^\"]*/\"payload\":\"$(statement "$other" | base64 -w0 | sed 's,[/&],\\&,g')/" good >forged
judged forged 3 'not signed by a key that was given' forged
envelope s p384.key >curve
judged curve 3 'not signed by a key that was given' curve
head -c 300 good >short
judged short 3 'not a Sigstore bundle' short
head -c 10M /dev/zero | tr '\0' ' ' >large
judged large 3 'does not count' large
sed 's/"publicKey":{"hint":"x"}/"certificate":{"rawBytes":"AAAA"}/' good >certificate
judged certificate 3 Fulcio certificate
sed 's/bundle.v0.3+json/bundle.v0.9+json/' good >version
judged version 3 'another version' version
ok "what is forged, foreign, replayed, broken or of another kind never counts"

# An identity signs, with a key that is thrown away and a certificate that has long expired: a trusted root alone says whose
# signature it is, and openssl has made all of it.
keyless() { python3 "$keyless" "$@"; }
WHO=ci@example.com ISSUER=https://login.example
keyless world own
keyless world strange
by=(--identity "$WHO" --issuer "$ISSUER")
own=(--trusted-root own/root.json "${by[@]}")
keyless sign own "$image" $WHO $ISSUER >noted
judged noted 0 "^counts .*: $WHO, by $ISSUER" noted "${own[@]}"
judged noted-or-key 0 "^counts .*: $WHO" noted "${own[@]}" --key my.key.pub
judged good-or-noted 0 '^counts .*: sha256:' good "${own[@]}" --key my.key.pub
judged no-key 3 'not signed by a key that was given' good "${own[@]}"
judged who 3 "signed by $WHO, for whom $ISSUER has vouched" noted --trusted-root own/root.json --identity c@example.com --issuer $ISSUER
judged issuer 3 "signed by $WHO, for whom $ISSUER has vouched" noted --trusted-root own/root.json --identity $WHO --issuer https://other.example
judged pairs 3 'does not count' noted --trusted-root own/root.json --identity $WHO --identity x@y --issuer https://other.example --issuer $ISSUER
judged strange 3 'does not count' noted --trusted-root strange/root.json "${by[@]}"
judged unlogged 3 'nothing proves when it was signed' noted --trusted-root own/unlogged.json "${by[@]}"
keyless sign own "$other" $WHO $ISSUER >elsewhere
judged elsewhere 3 'about another image' elsewhere "${own[@]}"
sed 's/"integratedTime": "17/"integratedTime": "18/' noted >later
judged later 3 'signed entry timestamp' later "${own[@]}"
keyless sign own "$image" $WHO $ISSUER unproved >unproved
judged unproved 3 'no entry of a transparency log' unproved "${own[@]}"
keyless sign own "$image" https://git.example/a/b $ISSUER stamped >stamped
judged stamped 0 "^counts .*: https://git.example/a/b, by $ISSUER" stamped --trusted-root own/unlogged.json --identity https://git.example/a/b --issuer $ISSUER
judged stamp-only 3 'no entry of a transparency log' stamped --trusted-root own/root.json --identity https://git.example/a/b --issuer $ISSUER
keyless sign strange "$image" $WHO $ISSUER stamped >stamped
judged stamp 3 'time stamp is not one of an authority' stamped --trusted-root own/unlogged.json "${by[@]}"
[ "$(ingot verify --json --pull=always "$REGISTRY/noted:1.0.0" "${own[@]}" | python3 -c 'import json, sys; s = json.load(sys.stdin)["signatures"][0]; print(s["identity"], s["issuer"])')" = "$WHO $ISSUER" ] || fail "verify --json"
for wrong in "--trusted-root own/root.json" "--trusted-root own/root.json --identity $WHO" "--identity $WHO --issuer $ISSUER" \
    "--trusted-root good --identity $WHO --issuer $ISSUER" "--trusted-root own/root.json --identity a --identity b --identity c --issuer d --issuer e"; do
    read -ra options <<<"$wrong"
    expect 2 ingot verify "$REGISTRY/noted:1.0.0" "${options[@]}"
done
ok "a certificate counts by a trusted root, for its identity, at a time that is proved"

# To a registry at once; cosign's older ones by their tag.
ingot push -q --store "$TMP/plain" web:1.0.0 "$REGISTRY/web:1.0.0" >/dev/null
[ "$(ingot sign -q "$REGISTRY/web:1.0.0" --key my.key)" = "$image" ] || fail "sign tells another digest"
curl -sf "http://$REGISTRY/v2/web/referrers/$image" | grep -q "\"dev.sigstore.bundle.predicateType\": *\"$SIGNED\"" || fail "the referrer is not listed with its kind"
ingot verify -q --pull=always "$REGISTRY/web:1.0.0" --key my.key.pub >/dev/null || fail "what was signed in the registry"
printf '{"passed": true}' >predicate
ingot sign -q "$REGISTRY/web:1.0.0" --key my.key --attest predicate --type https://example.com/t/v1 >/dev/null
ingot verify -q --pull=always "$REGISTRY/web:1.0.0" --key my.key.pub --type https://example.com/t/v1 >/dev/null || fail "a signed statement"
expect 3 ingot verify --pull=always "$REGISTRY/web:1.0.0" --key my.key.pub --type https://example.com/t/v2
older() {
    printf '{"critical":{"identity":{"docker-reference":"x/y"},"image":{"docker-manifest-digest":"%s"},"type":"cosign container image signature"},"optional":null}' "$2" >payload
    openssl dgst -sha256 -sign my.key -passin "pass:$INGOT_PASSPHRASE" <payload >sig
    put_blob "$1" payload
    printf '{}' >empty
    put_blob "$1" empty
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":2},"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","digest":"sha256:%s","size":%d,"annotations":{"dev.cosignproject.cosign/signature":"%s"}}]}' \
        "$(sha256sum <empty | cut -d' ' -f1)" "$(sha256sum <payload | cut -d' ' -f1)" "$(stat -c %s payload)" "$(base64 -w0 <sig)" |
        curl -sf -X PUT -H 'content-type: application/vnd.oci.image.manifest.v1+json' --data-binary @- "http://$REGISTRY/v2/$1/manifests/${image/:/-}.sig"
    expect "$3" ingot verify --pull=always "$REGISTRY/$1:1.0.0" --key my.key.pub
    ingot pull -q --store "$TMP/$1.store" "$REGISTRY/$1:1.0.0" >/dev/null
    expect "$3" ingot verify --store "$TMP/$1.store" "$REGISTRY/$1:1.0.0" --key my.key.pub
}
for name in older elder; do ingot push -q --store "$TMP/plain" web:1.0.0 "$REGISTRY/$name:1.0.0" >/dev/null; done
older older "$image" 0
older elder "$other" 3
grep -q 'about another image' out || fail "an older one of another image: $(cat out)"
ok "a registry's image is signed there, and cosign's older signatures are read"

# Whoever may push can have that tag name something else: what a store has of it counts there all the same.
printf '{"default":[{"type":"sigstoreSigned","keyPath":"%s","signedIdentity":{"type":"exactRepository","dockerRepository":"x/y"}}]}' "$TMP/my.key.pub" >by-tag.json
ingot pull -q --policy by-tag.json --store "$TMP/older.store" "$REGISTRY/older:1.0.0" >/dev/null
for layers in '' "$(curl -sf -H 'Accept: */*' "http://$REGISTRY/v2/elder/manifests/${image/:/-}.sig" | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["layers"])[1:-1])')"; do
    printf '{}' >empty
    put_blob older payload # elder's
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":2},"layers":[%s]}' \
        "$(sha256sum <empty | cut -d' ' -f1)" "$layers" |
        curl -sf -X PUT -H 'content-type: application/vnd.oci.image.manifest.v1+json' --data-binary @- "http://$REGISTRY/v2/older/manifests/${image/:/-}.sig"
    for _ in 1 2; do
        expect 0 ingot pull -q --policy by-tag.json --store "$TMP/older.store" "$REGISTRY/older:1.0.0"
    done
    expect 0 ingot gc --store "$TMP/older.store"
    expect 0 ingot export -q --policy by-tag.json --store "$TMP/older.store" "$REGISTRY/older:1.0.0" -o older.raw
done
expect 3 ingot pull -q --policy by-tag.json --store "$TMP/nobody.store" "$REGISTRY/older:1.0.0"
expect 0 ingot push -q --store "$TMP/older.store" "$REGISTRY/older:1.0.0" "$REGISTRY/onward:1.0.0"
grep -q 'held other signatures before, which stay here' err || fail "the push says: $(cat err)"
ok "a pull takes no signature away by which the store has admitted the image"

# A gate goes by a report's recipe and date. The key is asked for before any machine boots.
REPORT=https://in-toto.io/attestation/test-result/v0.1
for wrong in '{"result":"FAILED"}' '{"result":"FAILED","configuration":[{"name":"a.yaml"}],"ingot":{"finished":"yesterday"}}' \
    '{"result":"PASSED","ingot":{"finished":"2026-11-30T05:00:00Z"}}'; do
    echo "$wrong" >report
    expect 2 ingot sign web:1.0.0 --key my.key --attest report --type $REPORT
    grep -q 'ingot test --key' err || fail "a report that no gate can place is signed: $(cat err)"
done
echo '{"result":"PASSED","configuration":[{"name":"a.yaml"}],"ingot":{"finished":"2026-11-30T05:00:00Z"}}' >report
ingot sign -q web:1.0.0 --key my.key --attest report --type $REPORT >/dev/null
ingot show web:1.0.0 >shown
grep -q '^tests  *PASSED .*2026-11-30T05:00:00Z.* a.yaml, not verified, key ' shown || fail "a signed report is not told: $(cat shown)"
INGOT_PASSPHRASE=wrong expect 1 ingot test web:1.0.0 --key my.key
grep -q "my.key: the passphrase is not this key's" err || fail "a wrong passphrase: $(cat err)"
ok "a test report is signed with its recipe and date"

# A registry that fails, or more signatures than are read, say nothing of those that were not.
curl -sf "http://$REGISTRY/v2/web/referrers/$image" | python3 -c 'import json, sys
for one in json.load(sys.stdin)["manifests"]: print("/manifests/%s status 403" % one["digest"])' >rules
expect 1 ingot verify --pull=always "$upstream/web:1.0.0" --key my.key.pub
grep -q '^not read ' out && grep -q 'not all could be read' err || fail "a registry that fails: $(cat out err)"
: >rules
ingot verify -q --pull=always "$upstream/web:1.0.0" --key my.key.pub >/dev/null || fail "a registry that works again"
ok "what could not be read is not taken for what does not count"

# What is attached already is signed word for word, about its own image alone.
cat >attach.py <<'PY'
"""attach.py URL NAME IMAGE SIZE KIND FILE: prints the digest of the manifest that attaches it."""
import hashlib, json, sys, urllib.request
url, name, image, size, kind, path = sys.argv[1:]
def put(method, path, data, kind):
    request = urllib.request.Request(url + path, data=data, method=method, headers={"Content-Type": kind})
    urllib.request.urlopen(request).read()
def blob(data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    put("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", data, "application/octet-stream")
    return {"digest": digest, "size": len(data)}
layer = blob(open(path, "rb").read()) | {"mediaType": kind}
config = blob(b"{}") | {"mediaType": "application/vnd.oci.empty.v1+json"}
oci = "application/vnd.oci.image.manifest.v1+json"
data = json.dumps({"schemaVersion": 2, "mediaType": oci, "artifactType": kind, "config": config, "layers": [layer],
                   "subject": {"mediaType": oci, "digest": image, "size": int(size)}}).encode()
digest = "sha256:" + hashlib.sha256(data).hexdigest()
put("PUT", f"/v2/{name}/manifests/{digest}", data, oci)
print(digest)
PY
SLSA=https://slsa.dev/provenance/v1
# attach KIND FILE: to web:1.0.0 in the registry.
attach() { python3 attach.py "http://$REGISTRY" web "$image" "$(stat -c %s "$(blob "$image")")" "$1" "$2"; }
statement "$image" $SLSA >said
attached=$(attach application/vnd.in-toto+json said)
ingot sign -q "$REGISTRY/web:1.0.0" --key my.key --statement "$attached" >/dev/null
ingot verify -q --pull=always "$REGISTRY/web:1.0.0" --key my.key.pub --type $SLSA >/dev/null || fail "an attached statement is not signed"
statement "$other" $SLSA >said
attached=$(attach application/vnd.in-toto+json said)
expect 1 ingot sign "$REGISTRY/web:1.0.0" --key my.key --statement "$attached"
grep -q "${attached}: it is about another image" err || fail "a statement about another image is signed: $(cat err)"
echo '{"spdxVersion":"SPDX-2.3","packages":[{"name":"bash"}]}' >said
attached=$(attach application/spdx+json said)
ingot pull -q "$REGISTRY/web:1.0.0" >/dev/null
ingot sign -q web:1.0.0 --key my.key --statement "$attached" >/dev/null
ingot verify -q web:1.0.0 --key my.key.pub --type https://spdx.dev/Document/v2.3 >/dev/null || fail "a package list is not signed"
ingot push -q db:1.0.0 "$REGISTRY/web:0.9.0" >/dev/null
expect 1 ingot sign "$REGISTRY/web:0.9.0" --key my.key --statement "$attached"
grep -q "${attached}: it is attached to another image" err || fail "another image's package list is signed: $(cat err)"
statement "$image" $SLSA | sed "s|\"subject\":\[|&{\"name\":\"team/db:1.0.0\",\"digest\":{\"sha256\":\"${other#*:}\"}},|" >said
attached=$(attach application/vnd.in-toto+json said)
expect 1 ingot sign "$REGISTRY/web:1.0.0" --key my.key --statement "$attached"
grep -q "$attached: it is about 2 things" err || fail "a statement about another image too is signed: $(cat err)"
ingot show --json --pull=always "$REGISTRY/web:1.0.0" | grep -q '"name": *"team/db:1.0.0"' || fail "show does not list the subjects"
statement "$image" >said
attached=$(attach application/vnd.in-toto+json said)
expect 1 ingot sign "$REGISTRY/web:1.0.0" --key my.key --statement "$attached"
grep -q "$attached: it says that the image is signed" err || fail "another one's name for the image is signed: $(cat err)"
expect 2 ingot sign web:1.0.0 --key my.key --statement "$attached" --attest report --type urn:x
expect 2 ingot sign web:1.0.0 --key my.key --statement "$(member signed.json signature)"
grep -q 'neither a statement nor a package list' err || fail "a signature is signed: $(cat err)"
ok "what is attached is signed as it is"

# By its digest alone an image is signed as what the store calls it, where that has one name for it.
tagged=$(ingot pack -q --store "$TMP/digests" db.raw team/db:2.0.0)
ingot sign --store "$TMP/digests" "${tagged:0:19}" --key my.key --json >by-digest.json
digests() { echo "$TMP/digests/blobs/sha256/${1#sha256:}"; }
made=$(digests "$(member by-digest.json signature)")
member "$(digests "$(member "$made" layers/0/digest)")" dsseEnvelope/payload | base64 -d | grep -q '"name":"team/db:2.0.0"' ||
    fail "signed by its digest, the image has another name"
ingot tag --store "$TMP/digests" team/db:2.0.0 team/db:dev >/dev/null
expect 2 ingot sign --store "$TMP/digests" "$tagged" --key my.key
grep -q 'say which name' err || fail "one of several names is signed: $(cat err)"
ok "an image is signed by its name, never as its digest"

# What is signed in the registry counts in the store too, which has the image; a tag that moves is looked up where a pull does it.
store=$TMP/pulled
ingot push -q --store "$TMP/plain" web:1.0.0 "$REGISTRY/moves:1.0.0" >/dev/null
ingot push -q --store "$TMP/plain" web:1.0.0 "$REGISTRY/moves:edge" >/dev/null
ingot pull -q --store "$store" "$REGISTRY/moves:1.0.0" >/dev/null
ingot pull -q --store "$store" "$REGISTRY/moves:edge" >/dev/null
expect 3 ingot verify --store "$store" "$REGISTRY/moves:1.0.0" --key my.key.pub
grep -q 'in the store: nothing is signed.*--pull=always' err || fail "where it was looked for: $(cat err)"
ingot sign -q --store "$store" "$REGISTRY/moves:1.0.0" --key my.key >/dev/null
ingot verify -q --store "$store" "$REGISTRY/moves:1.0.0" --key my.key.pub >/dev/null || fail "what was signed after the pull"
ingot verify -q --store "$store" --pull=never "$REGISTRY/moves:edge" --key my.key.pub >/dev/null || fail "the same by another tag"
ingot push -q --store "$store" "$REGISTRY/moves:1.0.0" >/dev/null
[ "$(curl -sf "http://$REGISTRY/v2/moves/referrers/$image" | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["manifests"]))')" = 1 ] ||
    fail "the store and the registry have two signatures of one"
ingot push -q db:1.0.0 "$REGISTRY/moves:edge" >/dev/null
expect 3 ingot verify --store "$store" "$REGISTRY/moves:edge" --key my.key.pub
grep -q "$other.*in the registry: nothing is signed" err || fail "a tag that has moved: $(cat err)"
[ "$(ingot verify -q --store "$store" --pull=missing "$REGISTRY/moves:edge" --key my.key.pub)" = "$image" ] || fail "--pull=missing"
ok "sign and verify look at one place, and a tag that moves is verified where it is pulled"
