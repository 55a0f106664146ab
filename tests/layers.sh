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
for room in recipe appliance system ready source machine guest step plan cache walk seal check emit graph bake prospect; do
    allowed[$room]=$before
    before="$before $room"
done
allowed[builder-cli]=$before

declare -A room_of
for header in include/ingot/*.h; do
    name=$(basename "$header" .h)
    case $name in
    transfer) room=remote ;;
    store) room=store ;;
    digest) room=base ;;
    layout) room=format ;;
    *)
        room=$(echo registry/*/"$name.c")
        room=${room#registry/}
        room=${room%%/*}
        ;;
    esac
    room_of[ingot/$name.h]=$room
done

wrong=0
while IFS=: read -r file line text; do
    header=${text#*[\"<]}
    header=${header%%[\">]*}
    from=${file#*/}
    from=${from%%/*}
    to=${room_of[$header]-${header%%/*}}
    [[ $file != builder/cli/* ]] || from=builder-cli
    [[ $from != builder-cli || $to != cli ]] || to=builder-cli
    [ "$to" = "$from" ] && continue
    if [[ " ${allowed[$from]-none} " != *" $to "* ]]; then
        echo "$file:$line: room '$from' may not use '$header' of room '$to' (allowed: ${allowed[$from]-nothing})"
        wrong=1
    fi
done < <(grep -nE '^#include (<ingot/|"[a-z]+/)' -r registry builder --include='*.c' --include='*.h')
exit $wrong
