#!/bin/bash
# Images of several architectures under one tag: an OCI index that `ingot push` makes, and adds to, in ingotd and in docker-registry; which of
# them is pulled, shown and exported; what is refused.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
unset INGOT_ARCH

serve() { # DATA...
    ingotd --data "$TMP/$1" --listen 127.0.0.1:0 "${@:2}" >"$TMP/$1.address" 2>"$TMP/$1.log" &
    ENDING+=("$!")
    until grep -q http "$TMP/$1.address"; do sleep 0.1; kill -0 $!; done
    registry=$(sed 's,.*http://,,' "$TMP/$1.address")
}
# refused WORDS COMMAND...: fails with them on its standard error.
refused() {
    local words=$1
    shift
    ! "$@" >"$TMP/out" 2>"$TMP/err" || fail "$* did not fail"
    grep -q -- "$words" "$TMP/err" || fail "$*: '$words' expected: $(cat "$TMP/err")"
}
digest_of() { ingot show -q "$@"; }
# list HOST/NAME TAG: the architectures that the tag's index has, in order.
list() {
    curl -sf -H 'Accept: application/vnd.oci.image.index.v1+json' "http://${1%%/*}/v2/${1#*/}/manifests/$2" |
        python3 -c 'import json, sys; print(*[m["platform"]["architecture"] for m in json.load(sys.stdin)["manifests"]])'
}

host=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
other=$([ "$host" = amd64 ] && echo arm64 || echo amd64)
for word in "$host" "$other" riscv64; do
    head -c 3000000 /dev/urandom >"$TMP/$word.raw"
    truncate -s 3M "$TMP/$word.raw"
    ingot pack -q --arch "$word" "$TMP/$word.raw" "web-$word:1.0.0" >"$TMP/$word.digest"
done
refused "no architecture that is known" ingot pack --arch z80 "$TMP/$host.raw" z:1
[ "$(ingot show --json "web-$other:1.0.0" | python3 -c 'import json, sys; print(json.load(sys.stdin)["config"]["architecture"])')" = "$other" ]
for format in ova vmx vagrant-libvirt vagrant-qemu vagrant-virtualbox vagrant-vmware; do
    refused "describes no machine of that kind" ingot export -F $format -o "$TMP/machine" web-riscv64:1.0.0
    [ ! -e "$TMP/machine" ] || fail "$format: something is left"
done
ingot export -q -F qcow2 -o "$TMP/riscv64.qcow2" web-riscv64:1.0.0
ok "a packed disk is for the architecture that is said, and no machine of another kind is made of it"

serve registry
web=$registry/team/web
ingot push -q "web-$host:1.0.0" "web-$other:1.0.0" "$web" >"$TMP/index"
[ "$(list "$web" 1.0.0)" = "$host $other" ] || fail "the index has $(list "$web" 1.0.0)"
[ "$(digest_of "$web:1.0.0")" = "$(cat "$TMP/$host.digest")" ] || fail "this machine's is not shown"
[ "$(digest_of --arch "$other" "$web:1.0.0")" = "$(cat "$TMP/$other.digest")" ] || fail "the other one is not shown"
[ "$(INGOT_ARCH=$other digest_of "$web:1.0.0")" = "$(cat "$TMP/$other.digest")" ] || fail "\$INGOT_ARCH does not count"
refused "without an image for linux/riscv64" ingot pull --arch riscv64 "$web:1.0.0"
refused "no architecture that is known" ingot pull --arch z80 "$web:1.0.0"
ok "one tag is pushed for two architectures, and each is found"

export INGOT_STORE=$TMP/puller
ingot pull -q "$web:1.0.0" -o "$TMP/own.raw" >/dev/null
cmp "$TMP/own.raw" "$TMP/$host.raw"
refused "an image for $host, not for $other" ingot export --pull=never --arch "$other" "$web:1.0.0" -o "$TMP/no.raw"
[ ! -e "$TMP/no.raw" ]
ingot export -q --arch "$other" "$web:1.0.0" -o "$TMP/other.raw" 2>/dev/null
cmp "$TMP/other.raw" "$TMP/$other.raw"
# By the index's digest it is the same choice.
ingot pull -q --arch "$other" "$web@$(cat "$TMP/index")" -o "$TMP/pinned.raw" >/dev/null
cmp "$TMP/pinned.raw" "$TMP/$other.raw"
ingot export "$web:1.0.0" -o "$TMP/stored.raw" 2>"$TMP/err"
cmp "$TMP/stored.raw" "$TMP/$other.raw"
grep -q "is an image for $other in the store" "$TMP/err" || fail "nothing is said of another machine's image: $(cat "$TMP/err")"
export INGOT_STORE=$TMP/store
refused "no architecture that is known" ingot export --arch z80 "web-$host:1.0.0" -o "$TMP/no.raw"
refused "an image for $host, not for $other" ingot export --arch "$other" "web-$host:1.0.0" -o "$TMP/no.raw"
[ ! -e "$TMP/no.raw" ]
ok "pull and export take the one that is asked for, else this machine's"

# A single image of another architecture is taken, unless another is asked for.
ingot push -q "web-$other:1.0.0" "$registry/single:1.0.0" >/dev/null
INGOT_STORE=$TMP/puller ingot pull -q "$registry/single:1.0.0" >/dev/null
INGOT_STORE=$TMP/puller refused "an image for $other, not for $host" ingot pull --arch "$host" "$registry/single:1.0.0"
ok "a single image is taken as it is, but not for one of another architecture"

# An image becomes an index of it and what joins it.
ingot push -q "web-$other:1.0.0" "$web:edge" >/dev/null
for word in "$host" riscv64 riscv64; do ingot push -q --add "web-$word:1.0.0" "$web:edge" >/dev/null; done
[ "$(list "$web" edge)" = "$other $host riscv64" ] || fail "after --add the index has $(list "$web" edge)"
head -c 3000000 /dev/urandom >"$TMP/again.raw"
truncate -s 3M "$TMP/again.raw"
ingot pack -q --arch "$host" "$TMP/again.raw" again:1.0.0 >"$TMP/again.digest"
ingot push -q --add again:1.0.0 "$web:edge" >/dev/null
[ "$(list "$web" edge)" = "$other $host riscv64" ] || fail "the index has now $(list "$web" edge)"
[ "$(digest_of --pull=always "$web:edge")" = "$(cat "$TMP/again.digest")" ] || fail "the image of one architecture is not replaced"
ok "--add joins what is there, once, and takes the place of the one for the same architecture"

# What a version has named stays what it is, and more may come behind it.
ingot push -q --add "web-riscv64:1.0.0" "$web:1.0.0" >/dev/null
refused "a version never moves" ingot push --add again:1.0.0 "$web:1.0.0"
refused "a version never moves" ingot push again:1.0.0 "web-$other:1.0.0" "$web:1.0.0"
[ "$(list "$web" 1.0.0)" = "$host $other riscv64" ] || fail "the version has now $(list "$web" 1.0.0)"
[ "$(digest_of --pull=always "$web:1.0.0")" = "$(cat "$TMP/$host.digest")" ]
ok "a version's images are not replaced, but others join them"

# A channel that only promotions move takes nothing, though it names nothing yet.
printf 'pipelines:\n  guarded:\n    channels: [{name: prod}]\n' >"$TMP/pipeline.yaml"
ingot pipeline apply "$registry" "$TMP/pipeline.yaml" >/dev/null
refused "is a channel of a pipeline, which only a promotion moves" ingot push --add "web-$host:1.0.0" "$registry/guarded:prod"
ok "why a channel of a pipeline takes nothing is said"

refused "two of the images are for $host" ingot push "web-$host:1.0.0" again:1.0.0 "$web:2.0.0"
refused "DESTINATION is missing" ingot push --add "web-$host:1.0.0"
refused "has no host" ingot push "web-$host:1.0.0" "web-$other:1.0.0" web:2.0.0
ingot tag "web-$other:1.0.0" "web-$other:1.0.1" >/dev/null
refused "the tag is missing" ingot push "web-$host:1.0.0" "web-$other:1.0.1" "$web"
ok "what can't be one index is refused, and why"

# Each of several jobs that add at once is in it.
for try in 1 2 3 4 5; do
    pids=()
    for word in "$host" "$other" riscv64; do
        ingot push -q --add "web-$word:1.0.0" "$registry/many:$try.0.0" >/dev/null &
        pids+=("$!")
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
    [ "$(list "$registry/many" "$try.0.0" | tr ' ' '\n' | sort | tr '\n' ' ')" = "amd64 arm64 riscv64 " ] ||
        fail "after three at once: $(list "$registry/many" "$try.0.0")"
done
ok "those that add at once are all in it"

if command -v docker-registry >/dev/null; then
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    cat >"$TMP/docker.yml" <<EOF
version: 0.1
storage: {filesystem: {rootdirectory: $TMP/docker}}
http: {addr: "127.0.0.1:$port"}
EOF
    docker-registry serve "$TMP/docker.yml" >"$TMP/docker.log" 2>&1 &
    ENDING+=("$!")
    until curl -sf "http://127.0.0.1:$port/v2/" >/dev/null; do sleep 0.1; done
    ingot push -q "web-$host:1.0.0" "web-$other:1.0.0" "127.0.0.1:$port/web:1.0.0" >/dev/null
    ingot push -q --add "web-riscv64:1.0.0" "127.0.0.1:$port/web:1.0.0" >/dev/null
    [ "$(digest_of --arch riscv64 "127.0.0.1:$port/web:1.0.0")" = "$(cat "$TMP/riscv64.digest")" ]
    # Here a tag may be moved, and the image of an architecture replaced.
    ingot push -q --add again:1.0.0 "127.0.0.1:$port/web:1.0.0" >/dev/null
    [ "$(list "127.0.0.1:$port/web" 1.0.0)" = "$host $other riscv64" ]
    ok "docker-registry takes such an index as well"
fi
