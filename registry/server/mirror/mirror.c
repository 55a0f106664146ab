#include "server/mirror/mirror.h"

#include <ingot/error.h>
#include <string.h>

#include "remote/environment.h"
#include "remote/ours.h"
#include "remote/relay.h"
#include "server/mirror/copy.h"

typedef struct {
    Copy copy;
    MirrorReport *report;
    const MirrorOptions *options;
} Mirror;

static void mirror_tell(const Mirror *mirror, const char *line)
{
    mirror->options->tell(line, mirror->options->user);
}

static gboolean mirror_goes_on(const Mirror *mirror, GError **error)
{
    return mirror->options->goes_on(mirror->options->user, error);
}

/* The tag under which a registry without the referrers API keeps a list of them: here they have the API. */
static gboolean is_fallback(const char *tag)
{
    return (g_str_has_prefix(tag, "sha256-") || g_str_has_prefix(tag, "sha512-")) &&
           strlen(tag) == strlen("sha256-") + 64;
}

static gboolean copy_tag(Mirror *mirror, const char *name, const char *tag, GError **error)
{
    gboolean changed = FALSE;
    g_autoptr(GError) problem = NULL;
    if (!mirror_goes_on(mirror, error)) {
        return FALSE;
    }
    if (copy_manifest(&mirror->copy, name, tag, tag, FALSE, &changed, &problem)) {
        mirror->report->tags += changed;
        g_autofree char *line = changed ? g_strdup_printf("%s:%s", name, tag) : NULL;
        if (changed) {
            mirror_tell(mirror, line);
        }
        return TRUE;
    }
    if (!mirror_goes_on(mirror, error)) {
        return FALSE;
    }
    g_autofree char *line = g_strdup_printf("failed: %s:%s: %s", name, tag, problem->message);
    mirror_tell(mirror, line);
    mirror->report->failed++;
    return TRUE;
}

static gboolean copy_tags(Mirror *mirror, const char *name, GError **error)
{
    g_auto(GStrv) tags = ingot_remote_list_tags(mirror->copy.remote, name, error);
    for (guint i = 0; tags != NULL && tags[i] != NULL; i++) {
        if (ingot_tag_check(tags[i], NULL) && !is_fallback(tags[i]) && !copy_tag(mirror, name, tags[i], error)) {
            return FALSE;
        }
    }
    return tags != NULL;
}

/* A repository whose tags can't be listed does not end the others. FALSE: it is given up. */
static gboolean copy_repository(Mirror *mirror, const char *name, GError **error)
{
    g_autoptr(GError) problem = NULL;
    if (!mirror_goes_on(mirror, error)) {
        return FALSE;
    }
    mirror->report->repositories++;
    if (copy_tags(mirror, name, &problem)) {
        return TRUE;
    }
    if (!mirror_goes_on(mirror, error)) {
        return FALSE;
    }
    g_autofree char *line = g_strdup_printf("failed: %s: %s", name, problem->message);
    mirror_tell(mirror, line);
    mirror->report->failed++;
    return TRUE;
}

/* Many registries list nobody's names: one that is named needs no list. */
static char **find_names(IngotRemote *remote, const char *pattern, GError **error)
{
    const char *const one[] = {pattern, NULL};
    return strpbrk(pattern, "*?") == NULL ? g_strdupv((char **)one) : ingot_remote_list_names(remote, error);
}

gboolean mirror_run(Storage *storage, const MirrorOptions *options, MirrorReport *report, GError **error)
{
    memset(report, 0, sizeof *report);
    g_autoptr(IngotRemote) remote = environment_remote(options->from, error);
    if (remote == NULL) {
        return FALSE;
    }
    ingot_remote_while(remote, options->goes_on, options->user);
    ingot_remote_allow(remote); /* what is withheld there is withheld here: copy.c */
    g_auto(GStrv) names = find_names(remote, options->pattern, error);
    g_autoptr(GHashTable) fetched = copy_fetched_new();
    Mirror mirror = {.copy = {.storage = storage,
                              .remote = remote,
                              .fetched = fetched,
                              .tell = options->tell,
                              .user = options->user},
                     .report = report,
                     .options = options};
    for (guint i = 0; names != NULL && names[i] != NULL; i++) {
        if (g_pattern_match_simple(options->pattern, names[i]) && ingot_name_check(names[i], NULL) &&
            !copy_repository(&mirror, names[i], error)) {
            return FALSE;
        }
    }
    report->manifests = mirror.copy.manifests;
    report->blobs = mirror.copy.blobs;
    report->received = mirror.copy.received;
    report->left = mirror.copy.left;
    report->kept = mirror.copy.kept;
    return names != NULL;
}
