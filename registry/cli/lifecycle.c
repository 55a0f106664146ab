/* What is said of an image of a registry: revoke, deprecate, disable, restore. */
#include "image/lifecycle.h"

#include <ingot/error.h>
#include <ingot/transfer.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/common.h"
#include "cli/verbs.h"
#include "remote/api.h"
#include "remote/ours.h"

/* NULL: INVALID. */
static json_t *read_wish(Lifecycle state, const char *reason, const char *at, GError **error)
{
    gint64 from = 0;
    if (state == LIFECYCLE_REVOKED && (reason == NULL || *reason == '\0')) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--reason TEXT is missing: who is refused a revoked image is told why");
        return NULL;
    }
    if ((reason != NULL && !lifecycle_check_reason(reason, error)) ||
        (at != NULL && !lifecycle_date(at, &from, error))) {
        return NULL;
    }
    g_autofree char *date = at == NULL ? NULL : ingot_text_time(from);
    json_t *wish = ingot_json_pack("{s:s}", "state", lifecycle_word(state));
    ingot_json_set_string(wish, "reason", reason);
    ingot_json_set_string(wish, "at", date);
    return wish;
}

/* The digest of what the reference names, whatever was said of it; free it. NULL: an error. */
static char *find_digest(IngotRemote *remote, IngotReference *reference, GError **error)
{
    IngotDescriptor found;
    if (reference->digest != NULL) {
        return g_strdup(reference->digest);
    }
    ingot_remote_allow(remote);
    g_autoptr(GBytes) bytes = ingot_transfer_manifest(remote, reference, &found, NULL, error);
    return bytes == NULL ? NULL : ingot_digest_to_text(&found.digest);
}

static void print_state(const IngotReference *reference, const json_t *answer)
{
    const char *digest = json_string_value(json_object_get(answer, "digest"));
    const json_t *next = json_object_get(answer, "next");
    g_autofree char *now = lifecycle_tell(json_object_get(answer, "said"));
    g_autofree char *later = next == NULL ? NULL : lifecycle_tell(next);
    const json_t *said = json_object_get(answer, "said");
    const char *where = json_string_value(json_object_get(said, "where"));
    g_autofree char *source =
        json_is_true(json_object_get(said, "mirrored")) ? g_strdup(" (as the registry says that this one copies from)")
        : where != NULL ? g_strdup_printf(" (as was said of it in %s for all repositories)", where)
                        : g_strdup("");
    printf("%s/%s@%s %s%s\n", reference->host, reference->name, digest == NULL ? "?" : digest, now, source);
    if (later != NULL) {
        printf("%s/%s@%s will be %s\n", reference->host, reference->name, digest == NULL ? "?" : digest, later);
    }
}

static gboolean say(Lifecycle state, const IngotVerb *verb, int argc, char **argv, GError **error)
{
    g_autofree char *reason = NULL, *at = NULL;
    const GOptionEntry entries[] = {
        {"reason", 0, 0, G_OPTION_ARG_STRING, &reason, "why: whoever asks for the image is told", "TEXT"},
        {"at", 0, 0, G_OPTION_ARG_STRING, &at, "from when on: YYYY-MM-DD or RFC 3339, in UTC by the registry's clock",
         "DATE"},
        G_OPTION_ENTRY_NULL};
    if (!ingot_command_options(verb, entries, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    guint status;
    g_autoptr(IngotReference) reference = cli_remote_reference(argv[1], error);
    g_autoptr(json_t) wish = reference == NULL ? NULL : read_wish(state, reason, at, error);
    g_autoptr(IngotRemoteOptions) options = wish == NULL ? NULL : cli_remote_options(FALSE);
    g_autoptr(IngotRemote) remote = options == NULL ? NULL : ingot_remote_new(reference->host, options, error);
    g_autofree char *digest = remote == NULL ? NULL : find_digest(remote, reference, error);
    g_autofree char *path = digest == NULL ? NULL : g_strdup_printf("%s/lifecycle/%s", reference->name, digest);
    g_autoptr(json_t) answer = path == NULL ? NULL : remote_api(remote, "PUT", path, wish, &status, error);
    if (answer == NULL) {
        return FALSE;
    }
    if (ingot_command_common()->json) {
        cli_print_json(answer);
    } else if (ingot_command_common()->quiet) {
        printf("%s\n", digest);
    } else {
        print_state(reference, answer);
    }
    return TRUE;
}

static gboolean run_revoke(int argc, char **argv, GError **error)
{
    return say(LIFECYCLE_REVOKED, &verb_revoke, argc, argv, error);
}

static gboolean run_deprecate(int argc, char **argv, GError **error)
{
    return say(LIFECYCLE_DEPRECATED, &verb_deprecate, argc, argv, error);
}

static gboolean run_disable(int argc, char **argv, GError **error)
{
    return say(LIFECYCLE_DISABLED, &verb_disable, argc, argv, error);
}

static gboolean run_restore(int argc, char **argv, GError **error)
{
    return say(LIFECYCLE_ACTIVE, &verb_restore, argc, argv, error);
}

#define HOW                                                                                                            \
    "REF is HOST/NAME:TAG or HOST/NAME@DIGEST; of a tag it is the image that the tag names now, and the digest is\n"   \
    "printed. It takes the right delete or admin. A later word replaces an earlier one, also one that has not "        \
    "begun;\n"                                                                                                         \
    "all of them stay in the registry's log, and `ingot show REF` shows the one that counts. Of whoever has that "     \
    "right\n"                                                                                                          \
    "on all repositories it counts for the same image in each of them, and is taken back where it was said.\n\n"

const IngotVerb verb_revoke = {
    "revoke", "REF", "withdraw an image of a registry for good reason",
    "A revoked image is not pulled, run, exported, built on or promoted any more (exit status "
    "3), by nobody who\n"
    "does not say --allow-revoked; Vagrant's catalogue and formats leave "
    "it out; channels that name it and all\n"
    "images that stand on it are marked. --reason is "
    "needed.\n" HOW "Examples:\n  ingot revoke registry.example/team/web:1.0.0 --reason 'CVE-2026-1234'\n"
    "  ingot revoke registry.example/team/base@sha256:… --reason 'end of life' --at "
    "2027-06-30\n",
    run_revoke};
const IngotVerb verb_deprecate = {"deprecate", "REF", "warn of an image of a registry",
                                  "Whoever pulls it is warned with the reason, and gets it.\n" HOW
                                  "Example:\n  ingot deprecate registry.example/team/web:1.0.0 --reason 'use 1.1.0'\n",
                                  run_deprecate};
const IngotVerb verb_disable = {"disable", "REF", "withhold an image of a registry until it is restored",
                                "As revoke does, but for a time: until `ingot restore`.\n" HOW
                                "Example:\n  ingot disable registry.example/team/web:1.0.0 --reason 'under test'\n",
                                run_disable};
const IngotVerb verb_restore = {"restore", "REF", "give an image of a registry out again",
                                "Takes back what revoke, disable or deprecate has said. That it was said stays in the "
                                "registry's log.\n"
                                "What a mirror or a cache has taken over from another registry is restored there.\n" HOW
                                "Example:\n  ingot restore registry.example/team/web:1.0.0 --reason 'false alarm'\n",
                                run_restore};
