#!/bin/bash
# Bad input: a table (badinput.py) of what is sent, the answer, and what must hold afterwards. Each row runs against a real server.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

for one in 'root admin:*' 'pusher push:mine/*'; do
    printf '%s\n%s\n' "the word of ${one% *}" "the word of ${one% *}" | ingotd user add --data "$TMP/users" --scope "${one#* }" --scope "delete:mine/*" "${one% *}" >/dev/null
done
INGOTD_MAX_UPLOAD=64M start_ingotd "$TMP/open"
open=$REGISTRY
start_ingotd "$TMP/users"
users=$REGISTRY
start_cache cache "http://$open"
python3 tests/system/badinput.py "$open" "$users" "$cache" >"$TMP/rows" || fail "$(grep -v '^ok' "$TMP/rows"); $(tail -3 "$TMP/ingotd.log")"
ok "$(grep -c '^ok' "$TMP/rows") rows of bad input get the answers that they should"
for data in open users cache; do
    ingotd scrub --data "$TMP/$data" >"$TMP/out" || fail "afterwards $data is damaged: $(cat "$TMP/out")"
done
ok "nothing is damaged by it"
