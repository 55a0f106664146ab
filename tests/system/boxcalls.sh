# shellcheck shell=bash
# shellcheck disable=SC2154 # what the test that sources this has set
# Requests to Vagrant Cloud's API of a registry, and what they answer. Sourced behind lib.sh; $at is its URL, $alice her token.

kind=() # what curl says of a body; its own word where that is empty

twice() { printf '%s\n%s\n' "$1" "$1"; }
token() { ingotd token create --data "$TMP/registry" --expires 1h "$@" 2>/dev/null; }

# call METHOD PATH [JSON]: as alice, or with the token AS; its status is left in STATUS, its body in $TMP/body.
call() {
    local body=()
    [ $# -lt 3 ] || body=("${kind[@]}" -d "$3")
    STATUS=$(curl -s -o "$TMP/body" -w '%{http_code}' -X "$1" -H "Authorization: Bearer ${AS-$alice}" "${body[@]}" "$at$2")
}
# expect STATUS METHOD PATH [JSON]
expect() {
    call "${@:2}"
    [ "$STATUS" = "$1" ] || fail "$2 $3: $STATUS, not $1: $(cat "$TMP/body")"
}
# has EXPRESSION: of the last answer, `a` in Python.
has() {
    python3 -c 'import json, sys; a = json.load(open(sys.argv[1])); assert eval(sys.argv[2]), a' "$TMP/body" "$1" || fail "not so: $1"
}
