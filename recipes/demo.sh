#!/bin/bash
# The whole way in one run: recipe -> image -> registry -> dev, test and prod -> a host that follows prod; then a second version:
# a gate that refuses it, its tests, its way to prod, its booted machine and page, and the way back.
# Everything that it makes lies in one folder: $INGOT_DEMO, or ingot-demo in the XDG data folder.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath "${B:-build}")
demo=${INGOT_DEMO:-${XDG_DATA_HOME:-$HOME/.local/share}/ingot-demo}
mkdir -p "$demo"
export INGOT_STORE=$demo/store INGOT_CACHE=$demo/cache
PATH=$bin:$PATH
started=$(date +%s%N)
processes=()

finish() {
    status=$?
    for pid in "${processes[@]}"; do
        kill "$pid" 2>/dev/null || continue
        wait "$pid" 2>/dev/null || true
    done
    [ $status = 0 ] || echo "demo: failed with status $status; what was made, and its logs, are in $demo" >&2
    exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

elapsed() { awk "BEGIN { printf \"%5.1f\", ($(date +%s%N) - $started) / 1e9 }"; }
# stage WORDS COMMAND…: one line when the command is done: its time, the words, the last that it printed. Its messages are in
# demo.log, and shown if it fails. In a function that it runs nothing ends by itself what fails (`set -e` does not count there):
# each step says so.
stage() {
    local words=$1 said
    shift
    printf '\n== %s\n' "$words" >>"$demo/demo.log"
    said=$("$@" 2>"$demo/messages") || { cat "$demo/messages" >&2; echo "demo: '$words' failed: $*" >&2; exit 1; }
    { printf '%s\n' "$said"; cat "$demo/messages"; } >>"$demo/demo.log"
    printf '[%s s] %-58s %s\n' "$(elapsed)" "$words" "$(sed 's/\(sha256:[0-9a-f]\{12\}\)[0-9a-f]*/\1/' <<<"${said##*$'\n'}")"
}
# await FILE PID WORDS LOG: waits until a program in the background has written the words into the file; else shows its log.
await() {
    until grep -qs "$3" "$1"; do
        kill -0 "$2" 2>/dev/null || { cat "$4" >&2; exit 1; }
        sleep 0.1
    done
}

serve() {
    rm -f "$demo/ingotd.address"
    ingotd --data "$demo/registry" --listen 127.0.0.1:0 >"$demo/ingotd.address" 2>"$demo/ingotd.log" &
    processes+=("$!")
    await "$demo/ingotd.address" "$!" http:// "$demo/ingotd.log"
    registry=$(sed 's,.*http://,,' "$demo/ingotd.address")
}
# What runs on the host is the disk that `ingot follow` gives its command; here the command only writes down what it was given.
follow() {
    : >"$demo/deployed"
    ingot follow "$registry/web:prod" --folder "$demo/host" --store "$demo/host-store" \
        --exec "echo \"\$INGOT_VERSION \$INGOT_DIGEST\" >>'$demo/deployed'" >"$demo/follow.log" 2>&1 &
    processes+=("$!")
    follower=$!
}
# The host's next deployment is of that version.
deployed() {
    local count said expected
    count=$(wc -l <"$demo/seen")
    until [ "$(wc -l <"$demo/deployed")" -gt "$count" ]; do
        kill -0 "$follower" 2>/dev/null || { cat "$demo/follow.log" >&2; return 1; }
        sleep 0.1
    done
    cp "$demo/deployed" "$demo/seen" && said=$(tail -n 1 "$demo/seen") && expected=$(digest "$registry/web:$1") || return
    echo "$said"
    [ "$said" = "$1 $expected" ]
}
# A refusal is what is wanted: status 3. It prints what refuses, and what would do.
refused() {
    local status=0
    "$@" >"$demo/refusal" 2>&1 || status=$?
    cat "$demo/refusal"
    [ "$status" = 3 ]
}
# digest REF: the first that is told of it.
digest() { ingot show --pull=always --json "$1" | sed -n '0,/^ *"digest": "\(sha256:[0-9a-f]*\)".*/s//\1/p' | grep .; }
one_digest() {
    local tag one first=''
    for tag in "$@"; do
        one=$(digest "$registry/web:$tag") || { echo "$tag has no digest" >&2; return 1; }
        [ "${first:=$one}" = "$one" ] || { echo "$tag differs" >&2; return 1; }
    done
    echo "$first"
}
# show_page WORDS: boots what prod is now, and prints what its page says, which is to be that.
show_page() {
    local port page
    rm -f "$demo/run.json"
    ingot run --pull=always --port 80 --wait --json "$registry/web:prod" >"$demo/run.json" 2>"$demo/run.log" &
    machine=$!
    trap 'kill $machine; wait $machine || true' EXIT
    await "$demo/run.json" $machine '"80":' "$demo/run.log"
    port=$(sed -n 's/.*"80": *\([0-9]*\).*/\1/p' "$demo/run.json" | grep .) || return
    page=$(curl --silent --show-error --fail --retry 20 --retry-all-errors --retry-delay 1 "http://127.0.0.1:$port/" |
        sed -n 's/.*<p>\(.*\)<\/p>.*/\1/p') || return
    echo "\"$page\""
    [ "$page" = "$1" ] || { echo "the page says '$page', not '$1'" >&2; return 1; }
}
second='The second version: the very same bytes, from dev to prod.'
second_version() {
    cp -r recipes/debian-12.yaml recipes/web.yaml recipes/site "$demo/recipes/"
    sed -i 's/^version: .*/version: 1.1.0/' "$demo/recipes/web.yaml"
    sed -i "s|<p>.*</p>|<p>$second</p>|" "$demo/recipes/site/index.html"
}

: >"$demo/demo.log"
: >"$demo/seen"
rm -rf "$demo/registry" "$demo/host" "$demo/host-store" "$demo/recipes"
mkdir "$demo/recipes"
cat >"$demo/pipeline.yaml" <<'PIPELINE'
pipelines:
  web:
    channels:
      - name: dev
      - {name: test, from: dev, gates: [tested]}
      - {name: prod, from: test}
PIPELINE

stage "bake the base (recipes/debian-12.yaml)" ingot build recipes/debian-12.yaml
stage "bake and test the web server (recipes/web.yaml)" ingot build recipes/web.yaml
serve
stage "a registry, with a pipeline: dev, test (tested), prod" ingot pipeline apply "$registry" "$demo/pipeline.yaml"
stage "push 1.0.0, with its evidence" ingot push web:1.0.0 "$registry/web:1.0.0"
stage "promote 1.0.0 to dev" ingot promote "$registry/web" 1.0.0 dev
stage "promote dev to test: its tests have passed" ingot promote "$registry/web" dev test
stage "promote test to prod" ingot promote "$registry/web" test prod
stage "1.0.0, dev, test and prod are one digest" one_digest 1.0.0 dev test prod
follow
stage "a host follows prod: it has pulled and deployed 1.0.0" deployed 1.0.0
second_version
stage "change the site, bake 1.1.0: only what changed; no test" ingot build --no-test "$demo/recipes/web.yaml"
stage "push 1.1.0" ingot push web:1.1.0 "$registry/web:1.1.0"
stage "promote 1.1.0 to dev" ingot promote "$registry/web" 1.1.0 dev
stage "promote dev to test: refused" refused ingot promote "$registry/web" dev test
stage "boot and test the image that the registry has" ingot test "$registry/web:1.1.0"
stage "promote dev to test: it has a report now" ingot promote "$registry/web" dev test
stage "promote test to prod" ingot promote "$registry/web" test prod --reason "the new site"
stage "the host has fetched what differs, and deployed 1.1.0" deployed 1.1.0
stage "boot what prod is, fetch its page" show_page "$second"
stage "roll prod back" ingot rollback "$registry/web" prod --reason "the old one was nicer"
stage "the host has 1.0.0 again" deployed 1.0.0
printf '\nThe log of prod:\n'
ingot log "$registry/web" prod
printf '\n[%s s] done; everything is in %s (remove it with: rm -rf %s)\n' "$(elapsed)" "$demo" "$demo"
