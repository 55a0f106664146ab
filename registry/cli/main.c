/* ingot: images between a store and registries. Builders' verbs are programs of their own: ingot-VERB in libexec. */
#include "cli/vagrant/curl.h"
#include "cli/verbs.h"

int main(int argc, char **argv)
{
    if (curl_is_called(argv[0])) {
        return curl_run(argc, argv);
    }
    const IngotVerb verbs[] = {
        verb_approve, verb_channels, verb_deprecate, verb_descendants, verb_disable, verb_export,   verb_follow,
        verb_formats, verb_fsck,     verb_gc,        verb_history,     verb_images,  verb_import,   verb_key,
        verb_log,     verb_login,    verb_logout,    verb_ls,          verb_pack,    verb_promote,  verb_publish,
        verb_pull,    verb_push,     verb_restore,   verb_revoke,      verb_rm,      verb_rollback, verb_show,
        verb_sign,    verb_tag,      verb_vagrant,   verb_verify,      {0},
    };
    return ingot_command_main("ingot", "bakes, stores, moves and boots golden machine images", verbs, argc, argv);
}
