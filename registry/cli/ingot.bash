# Completion of ingot for bash: verbs, their options, images of the store, recipes.
_ingot() {
    local current=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}
    local verbs='approve build cache channels deprecate descendants disable export follow formats fsck gc help history images import key log login logout ls pack pipeline plan promote publish pull push recipe restore revoke rm rollback run shell show sign tag test vagrant validate verify version'
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$verbs --help --version" -- "$current")
        return
    fi
    case $current in
    -*)
        local options
        options=$(ingot "$verb" --help 2>/dev/null | grep -oE -- '(^|[ ,])-{1,2}[a-z][a-z0-9-]*' | tr -d ' ,' | sort -u)
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
        return
        ;;
    esac
    case $verb in
    build | plan | shell | validate) mapfile -t COMPREPLY < <(compgen -f -X '!*.y*ml' -- "$current") ;;
    help) mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$current") ;;
    cache) mapfile -t COMPREPLY < <(compgen -W 'ls du prune rm pin unpin' -- "$current") ;;
    import) mapfile -t COMPREPLY < <(compgen -W 'vagrant' -- "$current") ;;
    key) mapfile -t COMPREPLY < <(compgen -W 'generate show' -f -- "$current") ;;
    pack) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    export | publish | push | recipe | rm | run | show | sign | tag | test | verify)
        local images
        images=$(ingot images --json 2>/dev/null |
            sed -nE 's/^ *"(name|tag)": "([^"]*)",?$/\1 \2/p' |
            awk '$1 == "name" { n = $2 } $1 == "tag" { print n ":" $2 }')
        mapfile -t COMPREPLY < <(compgen -W "$images" -- "$current")
        # bash splits words at colons: give back only what follows the one that was typed.
        [ "$(type -t __ltrim_colon_completions)" = function ] && __ltrim_colon_completions "$current"
        ;;
    esac
}
complete -F _ingot ingot
