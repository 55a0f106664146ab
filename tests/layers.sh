#!/bin/bash
# The picture of the house stays true: reads every #include and fails on an arrow that points the wrong way.
#
# A room may use itself and the rooms named beside it. Public headers of include/ingot/ belong to the room whose source
# has the same name.
set -eu
cd "$(dirname "$0")/.."

declare -A allowed=(
    [base]=""
    [image]="base"
    [bundle]="base image"
    [format]="base image"
    [store]="base image"
    [remote]="base image store"
    [cli]="base image bundle format store remote"
    [server]="base image format remote"
)
# The builder's rooms in their order: each may use those before it and the registry's lower rooms.
before="base image bundle format store remote"
for room in recipe ready source machine guest appliance step plan cache seal check emit bake; do
    allowed[$room]=$before
    before="$before $room"
done
allowed[builder-cli]=$before

room_of_header() {
    local name=${1#ingot/} found
    found=$(find registry -path "*/${name%.h}.c" | head -1)
    case $name in error.h | digest.h | file.h | json.h | text.h | progress.h | process.h | command.h) echo base; return ;; esac
    case $name in transfer.h) echo remote; return ;; store.h) echo store; return ;; esac
    [ -n "$found" ] || { echo unknown; return; }
    cut -d/ -f2 <<<"$found"
}

room_of_file() {
    case $1 in
    builder/cli/*) echo builder-cli ;;
    *) cut -d/ -f2 <<<"$1" ;;
    esac
}

wrong=0
while IFS=: read -r file line text; do
    header=$(sed -E 's/^#include ["<]([^">]*)[">].*/\1/' <<<"$text")
    from=$(room_of_file "$file")
    case $header in
    ingot/*) to=$(room_of_header "$header") ;;
    *) to=${header%%/*}
        [ "$from" = builder-cli ] && [ "$to" = cli ] && to=builder-cli ;;
    esac
    [ "$to" = "$from" ] && continue
    if [[ " ${allowed[$from]-none} " != *" $to "* ]]; then
        echo "$file:$line: room '$from' may not use '$header' of room '$to' (allowed: ${allowed[$from]-nothing})"
        wrong=1
    fi
done < <(grep -nE '^#include (<ingot/|"[a-z]+/)' -r registry builder --include='*.c' --include='*.h')
exit $wrong
