#!/bin/bash
# The whole way in one run: recipe -> image -> registry -> promotion -> pull -> booted machine -> its web page.
# Everything that it makes lies in one folder: $INGOT_DEMO, or ingot-demo in the XDG data folder.
set -eu
cd "$(dirname "$0")/.."
bin=$(realpath "${B:-build}")
demo=${INGOT_DEMO:-${XDG_DATA_HOME:-$HOME/.local/share}/ingot-demo}
mkdir -p "$demo"
export INGOT_STORE=$demo/store INGOT_CACHE=$demo/cache
PATH=$bin:$PATH
started=$(date +%s%N)
server='' machine=''

finish() {
    status=$?
    for pid in $machine $server; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
    [ $status = 0 ] || echo "demo: failed with status $status; what was made is in $demo" >&2
    exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

stage() { printf '\n[%6.1f s] %s\n' "$(awk "BEGIN{print ($(date +%s%N) - $started) / 1e9}")" "$*"; }
# Waits until a program in the background ($2) has written what matches $3 into the file $1; else shows its log, $4.
await() {
    until grep -q "$3" "$1"; do
        kill -0 "$2" 2>/dev/null || { cat "$4" >&2; exit 1; }
        sleep 0.1
    done
}

stage "bake the base (recipes/debian-12.yaml)"
ingot build recipes/debian-12.yaml

stage "bake the web server on top of it (recipes/web.yaml)"
ingot build recipes/web.yaml

stage "start a registry"
ingotd --data "$demo/registry" --listen 127.0.0.1:0 >"$demo/ingotd.address" 2>"$demo/ingotd.log" &
server=$!
await "$demo/ingotd.address" $server http:// "$demo/ingotd.log"
cat "$demo/ingotd.address"
registry=$(sed 's,.*http://,,' "$demo/ingotd.address")

stage "push version 1.0.0 as dev, promote it to test and prod"
ingot push web:1.0.0 "$registry/web:1.0.0"
ingot promote "$registry/web" 1.0.0 dev
ingot promote "$registry/web" dev test
ingot promote "$registry/web" test prod

stage "pull prod into an empty store"
rm -rf "$demo/other-store"
ingot pull --store "$demo/other-store" "$registry/web:prod"

stage "all of them are one digest"
for tag in 1.0.0 dev test prod; do
    digest=$(ingot show --json "$registry/web:$tag" | sed -n 's/^ *"digest": "\(sha256:[0-9a-f]*\)".*/\1/p' | head -n 1)
    printf '%-6s %s\n' "$tag" "$digest"
    [ "${first:=$digest}" = "$digest" ] || { echo "demo: $tag differs" >&2; exit 1; }
done

stage "boot the pulled image and fetch its page"
ingot run --store "$demo/other-store" --port 80 --wait --json "$registry/web:prod" >"$demo/run.json" 2>"$demo/run.log" &
machine=$!
await "$demo/run.json" $machine '"80":' "$demo/run.log"
port=$(sed -n 's/.*"80": *\([0-9]*\).*/\1/p' "$demo/run.json")
curl --silent --show-error --fail --retry 20 --retry-all-errors --retry-delay 1 "http://127.0.0.1:$port/" |
    sed -e 's/<[^>]*>//g' -e '/^[[:space:]]*$/d'

stage "done; everything is in $demo (remove it with: rm -rf $demo)"
