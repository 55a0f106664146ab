/* ingotd rebuild: makes a lost catalogue again. */
#include "server/storage/rebuild.h"

#include <ingot/error.h>
#include <stdio.h>

#include "base/text.h"
#include "server/cli/owner.h"
#include "server/cli/verbs.h"

static void print_line(const char *line, gpointer user)
{
    (void)user;
    fprintf(stderr, "ingotd rebuild: lost: %s\n", line);
}

/* Every ten seconds. */
static void print_progress(guint64 done, guint64 all, gpointer user)
{
    gint64 *last = user, now = g_get_monotonic_time();
    if (now - *last >= 10 * G_TIME_SPAN_SECOND) {
        g_autofree char *part = ingot_text_size(done), *whole = ingot_text_size(all);
        fprintf(stderr, "ingotd rebuild: %s of %s read\n", part, whole);
        *last = now;
    }
}

static gboolean rebuild_events(const char *data, gboolean force, GError **error)
{
    guint64 number;
    if (!storage_rebuild_events(data, force, &number, error)) {
        return FALSE;
    }
    printf("the log begins anew behind event %" G_GUINT64_FORMAT "; the former is kept beside it\n", number);
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_autofree char *data = NULL;
    gboolean events = FALSE;
    RebuildReport report;
    gint64 told = g_get_monotonic_time();
    RebuildOptions options = {.tell = print_line, .progress = print_progress, .user = &told};
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &data, "The registry's data folder", "DIR"},
        {"events", 0, 0, G_OPTION_ARG_NONE, &events, "Make the log of events again from the catalogue instead", NULL},
        {"force", 0, 0, G_OPTION_ARG_NONE, &options.force, "Though what is there knows more than what it is made of",
         NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!verb_options(&verb_rebuild, entries, 0, 0, &argc, &argv, error) || !verb_needs_data(data, error) ||
        !owner_assume(data, error)) {
        return FALSE;
    }
    if (events) {
        return rebuild_events(data, options.force, error);
    }
    if (!storage_rebuild(data, &options, &report, error)) {
        return FALSE;
    }
    printf("%" G_GUINT64_FORMAT " packs, %" G_GUINT64_FORMAT " pieces, %" G_GUINT64_FORMAT " blobs; %" G_GUINT64_FORMAT
           " repositories, %" G_GUINT64_FORMAT " manifests, %" G_GUINT64_FORMAT " tags; lost: %" G_GUINT64_FORMAT "\n",
           report.packs, report.pieces, report.blobs, report.repositories, report.manifests, report.tags, report.lost);
    if (report.lost > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: the catalogue is made, without %" G_GUINT64_FORMAT " things that are lost or damaged", data,
                    report.lost);
    }
    return report.lost == 0;
}

const Verb verb_rebuild = {
    "rebuild", "", "make a lost or damaged catalogue again",
    "From the packs and the log of events, while nobody serves the folder. Every piece is read and hashed.\n"
    "It goes on past whatever is damaged, names what is lost, and then ends with the status 1; blobs whose\n"
    "names may be lost stay for 30 days. The old catalogue is kept beside the new one, with the ending .old.\n\n"
    "With --events it is the other way round: where the log is damaged and the catalogue is whole, the log\n"
    "begins anew with a checkpoint of what the catalogue has.\n\n"
    "Neither is made of one that knows less than the other, unless --force says so.\n\n"
    "Example:\n  ingotd rebuild --data /srv/ingot\n",
    run};
