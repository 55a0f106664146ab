/* ingotd backup: copies a data folder as it is at one moment. */
#include "server/storage/backup.h"

#include <ingot/error.h>
#include <stdio.h>

#include "base/text.h"
#include "server/cli/verbs.h"

static gboolean run(int argc, char **argv, GError **error)
{
    g_autofree char *data = NULL;
    gboolean quick = FALSE;
    BackupReport report;
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &data, "The registry's data folder", "DIR"},
        {"quick", 0, 0, G_OPTION_ARG_NONE, &quick,
         "Do not read packs of earlier backups whose size and time are unchanged", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!verb_options(&verb_backup, entries, 1, 1, &argc, &argv, error) || !verb_needs_data(data, error) ||
        !storage_backup(data, argv[1], quick, verb_print_line, NULL, &report, error)) {
        return FALSE;
    }
    g_autofree char *bytes = ingot_text_size(report.bytes);
    printf("%" G_GUINT64_FORMAT " packs, %" G_GUINT64_FORMAT " of them new (%s), up to event %" G_GUINT64_FORMAT "\n",
           report.packs, report.copied, bytes, report.event);
    if (report.damaged > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: %" G_GUINT64_FORMAT
                    " damaged things came along: `ingotd scrub` names the images that need them",
                    data, report.damaged);
    }
    return report.damaged == 0;
}

const Verb verb_backup = {
    "backup", "DIR", "copy the data folder, while serving or not",
    "DIR receives all that the registry holds at one moment: packs (as links where DIR is on the same\n"
    "file system), catalogue, log of events, users. What an earlier backup brought to DIR stays, so\n"
    "only new packs are copied; all are read and hashed, and what is damaged in DIR is brought again.\n"
    "With --quick, packs of earlier backups are read only if their size or time is another than then.\n"
    "The backup that DIR holds already is whole until the new one is.\n\n"
    "Example:\n  ingotd backup --data /srv/ingot /backup/ingot\n",
    run};
