/* ingotd rebuild: makes a lost catalogue again. */
#include "server/storage/rebuild.h"

#include <stdio.h>

#include "server/cli/owner.h"
#include "server/cli/verbs.h"

static void print_line(const char *line, gpointer user)
{
    (void)user;
    fprintf(stderr, "ingotd rebuild: lost: %s\n", line);
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_autofree char *data = NULL;
    RebuildReport report;
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &data, "The registry's data folder", "DIR"},
        G_OPTION_ENTRY_NULL,
    };
    if (!verb_options(&verb_rebuild, entries, 0, 0, &argc, &argv, error) || !verb_needs_data(data, error) ||
        !owner_assume(data, error) || !storage_rebuild(data, print_line, NULL, &report, error)) {
        return FALSE;
    }
    printf("%" G_GUINT64_FORMAT " packs, %" G_GUINT64_FORMAT " pieces, %" G_GUINT64_FORMAT " blobs; %" G_GUINT64_FORMAT
           " repositories, %" G_GUINT64_FORMAT " manifests, %" G_GUINT64_FORMAT " tags; lost: %" G_GUINT64_FORMAT "\n",
           report.packs, report.pieces, report.blobs, report.repositories, report.manifests, report.tags, report.lost);
    return TRUE;
}

const Verb verb_rebuild = {
    "rebuild", "", "make a lost or damaged catalogue again",
    "From the packs and the log of events, while nobody serves the folder. The old catalogue is kept\n"
    "beside the new one, with the ending .old.\n\n"
    "Example:\n  ingotd rebuild --data /srv/ingot\n",
    run};
