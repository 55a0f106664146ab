#!/bin/bash
# Machines as those who export them write them: OVAs of every dialect, folders, boxes of every provider, several disks.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
export TMPDIR=$TMP/work
mkdir "$TMPDIR"
python3 tests/system/machines.py "$TMP"
