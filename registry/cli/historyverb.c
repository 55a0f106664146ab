#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/deployed.h"
#include "cli/history.h"
#include "cli/show.h"
#include "cli/signers.h"
#include "cli/verbs.h"
#include "trust/keyfile.h"

/* The moves that made a channel name that digest. */
static json_t *moves_to(const IngotReference *reference, GError **error)
{
    g_autofree char *where = g_strdup_printf("%s/%s", reference->host, reference->name);
    g_autoptr(json_t) moves = history_moves(where, NULL, 0, error);
    if (moves == NULL) {
        return NULL;
    }
    g_autoptr(json_t) own = json_array();
    for (size_t i = 0; i < json_array_size(moves); i++) {
        json_t *move = json_array_get(moves, i);
        if (g_strcmp0(json_string_value(json_object_get(move, "digest")), reference->digest) == 0) {
            json_array_append(own, move);
        }
    }
    return g_steal_pointer(&own);
}

/* "from, soak, signed passed; tested refused: no test report about it counts" */
static char *describe_gates(const json_t *gates)
{
    g_autoptr(GString) passed = g_string_new(NULL), refused = g_string_new(NULL);
    for (size_t i = 0; i < json_array_size(gates); i++) {
        const json_t *gate = json_array_get(gates, i);
        const char *name = json_string_value(json_object_get(gate, "gate"));
        if (json_is_true(json_object_get(gate, "passed"))) {
            g_string_append_printf(passed, "%s%s", passed->len == 0 ? "" : ", ", name);
        } else {
            const char *why = json_string_value(json_object_get(gate, "why"));
            g_string_append_printf(refused, "; %s refused: %s", name, why == NULL ? "?" : why);
        }
    }
    g_autofree char *line = g_strconcat(passed->len == 0 ? "none" : passed->str, " passed", refused->str, NULL);
    return ingot_text_line(line);
}

static void print_gates(const json_t *moves)
{
    for (size_t i = 0; i < json_array_size(moves); i++) {
        const json_t *move = json_array_get(moves, i), *gates = json_object_get(move, "gates");
        if (json_array_size(gates) > 0) {
            g_autofree char *line = describe_gates(gates);
            g_autofree char *channel = ingot_text_line(json_string_value(json_object_get(move, "channel")));
            printf("gates of %s, %s: %s\n", channel, json_string_value(json_object_get(move, "since")), line);
        }
    }
}

static void print_all(const json_t *all)
{
    static const char *const columns[] = {"since", "channel", "how", "by", "reason", NULL};
    const json_t *moves = json_object_get(all, "moves");
    show_print(all);
    if (json_array_size(moves) > 0) {
        puts("");
        history_print(moves, columns);
        print_gates(moves);
    }
    const json_t *signatures = json_object_get(all, "signatures");
    if (json_array_size(signatures) > 0) {
        puts("");
        signers_print(signatures);
    }
}

/* Adds who has signed it. FALSE: none of the keys has, or it can't be told. */
static gboolean add_signers(json_t *all, IngotReference *reference, const GPtrArray *keys, GError **error)
{
    g_auto(Signers) signers = {0};
    if (!signers_of_registry(reference, TRUE, &signers, error)) { /* a revoked image has its story above all */
        return FALSE;
    }
    gboolean verified;
    const TrustSigners trusted = {.keys = (TrustKey *const *)keys->pdata, .count = keys->len};
    json_object_set_new(all, "signatures", signers_judge(&signers, &trusted, NULL, &verified));
    json_object_set_new(all, "verified", json_boolean(verified));
    if (!verified) {
        signers_refuse(&signers, error);
    }
    return verified;
}

/* The image of now alone, whatever its tag names next. */
static void pin(IngotReference *reference, const char *digest)
{
    g_clear_pointer(&reference->tag, g_free);
    g_free(reference->digest);
    reference->digest = g_strdup(digest);
}

static gboolean tell(IngotReference *reference, const GPtrArray *keys, GError **error)
{
    g_autoptr(json_t) all = show_of_registry(reference, error);
    if (all == NULL) {
        return FALSE;
    }
    pin(reference, json_string_value(json_object_get(all, "digest")));
    json_t *moves = moves_to(reference, error);
    if (moves == NULL) {
        return FALSE;
    }
    json_object_set_new(all, "moves", moves);
    /* What is known is told, whatever becomes of the signatures. */
    gboolean ok = keys == NULL || add_signers(all, reference, keys, error);
    if (ingot_command_common()->json) {
        cli_print_json(all);
    } else {
        print_all(all);
    }
    return ok;
}

/* The image that a follower of that channel has deployed last, on this host. */
static gboolean take_deployed(IngotReference *reference, const char *folder, GError **error)
{
    g_autofree char *own = folder == NULL ? deployed_folder(reference) : g_strdup(folder);
    IngotDigest digest;
    if (!deployed_last(own, &digest, error)) {
        return FALSE;
    }
    g_autofree char *text = ingot_digest_to_text(&digest);
    pin(reference, text);
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(GStrv) paths = NULL;
    g_autofree char *folder = NULL;
    gboolean here = FALSE;
    const GOptionEntry entries[] = {
        {"key", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &paths,
         "a public key, or its URI: one of those that are given must have signed the image", "FILE|URI"},
        {"here", 0, 0, G_OPTION_ARG_NONE, &here, "the image that `ingot follow` of that channel has deployed here last",
         NULL},
        {"folder", 0, 0, G_OPTION_ARG_FILENAME, &folder, "with --here: that follower's folder", "DIR"},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_history, entries, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    if (folder != NULL && !here) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--folder is for --here alone");
        return FALSE;
    }
    g_autoptr(IngotReference) reference = cli_remote_reference(argv[1], error);
    g_autoptr(GPtrArray) keys = reference == NULL || paths == NULL ? NULL : trust_keyfile_read_all(paths, error);
    return reference != NULL && (paths == NULL || keys != NULL) && (!here || take_deployed(reference, folder, error)) &&
           tell(reference, keys, error);
}

const IngotVerb verb_history = {
    "history", "HOST/NAME[:TAG|@DIGEST]", "tell where an image comes from, and where it has stood",
    "What `ingot show` tells (recipe, commit, packages, tests), which channels have named this very image, since "
    "when,\n"
    "by whom and why, with the gates that were asked, and with --key who has signed it. The keys decide alone, no "
    "other\n"
    "service is asked. The exit status is 3 where --key is given and none of the keys has signed it.\n\n"
    "Examples:\n  ingot history registry.example/team/web:prod --key release.key.pub\n"
    "  ingot history --here registry.example/team/web:prod --key release.key.pub\n",
    run};
