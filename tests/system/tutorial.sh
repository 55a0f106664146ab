#!/bin/bash
# Every command of the README's tutorial, in its order, as one shell session.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/base.sh
. tests/system/base.sh
share_base warm
rm -rf /tmp/hello
script=$TMP/tutorial.sh
{
    echo 'set -eux'
    sed -n '/^```sh$/,/^```$/{/^```/d;p}' README.md | sed "s,PATH=\$PWD/build:,PATH=\$PWD/${B:-build}:,"
} >"$script"
[ "$(wc -l <"$script")" -gt 30 ] || fail "the README's tutorial was not found"
bash "$script" || fail "the tutorial stops there"
rm -rf /tmp/hello
ok "the tutorial runs from top to bottom"
