#include "step/resolver.h"

#include "appliance/appliance.h"

#define RESOLVER "/etc/resolv.conf"
#define CARRIED "/etc/.ingot-resolv.conf" /* a folder in its place: the step has removed the file */

/* ingot_resolver FILE: what is there, as a text. */
#define TELL                                                                                                           \
    "ingot_resolver() { if [ -L \"$1\" ]; then echo \"link $(readlink \"$1\")\"; "                                     \
    "elif [ -f \"$1\" ]; then echo file; cat \"$1\"; elif [ -e \"$1\" ]; then echo other; else echo none; fi; }\n"

const char resolver_before[] = TELL "ingot_resolver " RESOLVER " >\"$ingot_place/resolver\"\n";

/* A file that has still got the appliance's name server was added to, not written: the system's own lines are not in
 * it, and they are not known here. */
const char resolver_behind[] = TELL
    "ingot_now=$(ingot_resolver " RESOLVER ")\n"
    "[ \"$ingot_now\" != \"$(cat \"$ingot_place/resolver\")\" ] || exit 0\n"
    "[ \"$ingot_now\" != none ] || exec mkdir " CARRIED "\n"
    "while IFS= read -r ingot_line; do\n"
    "    case $ingot_line in nameserver*) ;; *) continue ;; esac\n"
    "    case $ingot_now$ingot_nl in *\"$ingot_nl$ingot_line$ingot_nl\"*)\n"
    "        echo \"" RESOLVER ": an offline step finds the appliance's own name server in it, and may write it \\\n"
    "anew or remove it, but not add to it; a step in the machine can\"\n"
    "        exit 1 ;;\n"
    "    esac\n"
    "done <\"$ingot_place/resolver\"\n"
    "exec mv " RESOLVER " " CARRIED "\n";

gboolean resolver_finish(guestfs_h *g, GError **error)
{
    int removed = guestfs_is_dir(g, CARRIED);
    int carried = removed == 0 ? guestfs_exists(g, CARRIED) : 0;
    int link = removed == 0 && carried == 0 ? guestfs_is_symlink(g, CARRIED) : 0;
    gboolean ok = removed >= 0 && carried >= 0 && link >= 0;
    if (ok && removed == 1) {
        ok = guestfs_rmdir(g, CARRIED) == 0 && guestfs_rm_f(g, RESOLVER) == 0;
    } else if (ok && (carried == 1 || link == 1)) {
        ok = guestfs_rename(g, CARRIED, RESOLVER) == 0;
    }
    return ok || appliance_failed(g, RESOLVER, error);
}
