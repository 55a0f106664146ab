#!/bin/bash
# The picture of the house stays true: the arrows between its rooms are those listed here, one line a room. An arrow is an
# #include, or a file that is built in (.incbin); ~ROOM is a comment that names another room's file, as for words that both know.
# Fails on an arrow that is not listed, and on one that is listed but not there.
#
# Public headers of include/ingot/ belong to the room whose source has the same name.
set -eu
cd "$(dirname "$0")/.."

declare -A allowed=(
    [base]=""
    [image]="base"
    [bundle]="base image remote"
    [format]="base image"
    [store]="base image"
    [remote]="base image"
    [evidence]="base"
    [vagrant]="base"
    [import]="base bundle image remote vagrant"
    [trust]="base image"
    [transfer]="base image store remote trust"
    [yaml]="base"
    [cli]="base image bundle evidence format import store remote transfer trust cli/vagrant"
    [pipeline]="base image remote yaml"
    [cli/follow]="base format image remote store transfer cli"
    [cli/publish]="base format image remote store transfer vagrant cli"
    [cli/vagrant]="base format store remote transfer cli"
    [server]="base server/auth server/cli server/http server/storage server/upkeep server/views server/webhook"
    [server/auth]="base image server server/catalogue server/http"
    [server/boxes]="base format image import server server/auth server/channel server/http server/mirror server/storage server/views vagrant"
    [server/catalogue]="base server/events"
    [server/channel]="base evidence image server server/auth server/follow server/http server/mirror server/storage server/webhook trust"
    [server/cli]="base image import server server/auth server/boxes server/channel server/events server/follow server/http server/oci server/storage server/upkeep server/views server/webhook"
    [server/events]="base"
    [server/follow]="base image server server/auth server/catalogue server/http server/storage"
    [server/http]="base"
    [server/mirror]="base image remote server/channel server/http server/storage"
    [server/oci]="base image server server/auth server/channel server/http server/mirror server/storage server/views"
    [server/packs]="base"
    [server/pipeline]="base image"
    [server/storage]="base image server/catalogue server/events server/packs server/pipeline"
    [server/upkeep]="base remote server/boxes server/http server/mirror server/storage"
    [server/views]="base format image server server/auth server/channel server/http server/mirror server/storage vagrant"
    [server/webhook]="base image server/catalogue server/http server/storage"
    # The builder's.
    [recipe]="base image format yaml ~seal"
    [appliance]="base machine"
    [system]="base image appliance"
    [ready]="base"
    [source]="base image bundle format store remote transfer recipe system ready"
    [machine]="base"
    [guest]="base system machine"
    [step]="base store recipe appliance ready guest"
    [plan]="base recipe step ~cache ~source ~walk"
    [cache]="base image bundle format store remote transfer machine plan"
    [walk]="base store recipe ready source machine guest step plan cache"
    [seal]="base system ~machine"
    [check]="base recipe guest"
    [emit]="base store evidence trust"
    [graph]="base image recipe walk"
    [bake]="base recipe source machine guest step plan cache walk seal check emit evidence"
    [prospect]="base cache graph bake"
    [builder-cli]="base format store remote transfer trust evidence recipe guest cache walk check emit graph bake prospect"
)

declare -A room_of
for header in include/ingot/*.h; do
    name=$(basename "$header" .h)
    case $name in
    transfer) room=transfer ;;
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
declare -A there
# arrow FILE:LINE FROM WORD: an arrow that was found.
arrow() {
    [ "${3#\~}" != "$2" ] || return 0
    there["$2 $3"]=1
    if [[ " ${allowed[$2]-} " != *" $3 "* ]]; then
        echo "$1: an arrow from room '$2' to '$3', which tests/layers.sh does not list (listed: ${allowed[$2]-nothing})"
        wrong=1
    fi
}
while IFS=: read -r file line text; do
    from=${file#*/}
    from=${from%/*}
    [[ $file != builder/cli/* ]] || from=builder-cli
    case $text in
    '#include <ingot/'* | '#include "'*)
        path=${text#*[\"<]}
        path=${path%%[\">]*}
        to=${room_of[$path]-${path%/*}}
        [[ $from != builder-cli || $to != cli ]] || to=builder-cli
        arrow "$file:$line" "$from" "$to"
        ;;
    '#include'*) ;;
    *.incbin*)
        path=${text#*incbin \\\"*/}
        arrow "$file:$line" "$from" "${path%/*}"
        ;;
    *)
        while read -r path; do
            # An #include says more.
            if [[ " ${allowed[$from]-} " != *" ${path%/*} "* ]] && { [ -e "builder/$path" ] || [ -e "registry/$path" ]; }; then
                arrow "$file:$line" "$from" "~${path%/*}"
            fi
        done < <(grep -oE '[a-z]+(/[a-z0-9]+)+\.[ch]' <<<"$text")
        ;;
    esac
done < <(grep -nE '^#include (<ingot/|"[a-z]+/)|\.incbin|[a-z]/[a-z0-9]+\.[ch]\b' -r registry builder --include='*.c' --include='*.h')
for room in "${!allowed[@]}"; do
    for to in ${allowed[$room]}; do
        [ -n "${there["$room $to"]-}" ] || {
            echo "tests/layers.sh lists an arrow from room '$room' to '$to' that is not there"
            wrong=1
        }
    done
done

# The registry's catalogue is asked questions: no statement is written outside its room. Accounts are a database of their own, and so are what followers report and webhooks.
while IFS=: read -r file line text; do
    case $file in
    registry/server/catalogue/* | registry/server/auth/accounts.c | registry/server/auth/tokens.c | registry/server/auth/users.c | registry/server/follow/hosts.c | registry/server/follow/ledger.c | registry/server/webhook/hooks.c | registry/server/webhook/hooksecrets.c) ;;
    *)
        echo "$file:$line: a statement outside of catalogue/: $text"
        wrong=1
        ;;
    esac
done < <(grep -nE '\b(sqlite3_[a-z]|database_(query|step|run|number|change|changes|added|text|digest|done)\b)' -r registry/server --include='*.c' --include='*.h')
exit $wrong
