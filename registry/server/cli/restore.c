/* ingotd restore: makes a data folder of a backup. */
#include "server/storage/backup.h"

#include <ingot/error.h>
#include <stdio.h>

#include "base/text.h"
#include "server/auth/users.h"
#include "server/cli/owner.h"
#include "server/cli/verbs.h"

/* The users of the backup, with another key: what was given out to somebody who has lost his rights since ends. */
static gboolean restore_users(const char *data, GError **error)
{
    g_autofree char *path = g_build_filename(data, "users.sqlite", NULL);
    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        return TRUE;
    }
    gboolean any;
    g_autoptr(Accounts) accounts = accounts_open(data, error);
    if (accounts == NULL || !accounts_renew_key(accounts, error) || !users_any(accounts, &any, error)) {
        return FALSE;
    }
    if (any) {
        fprintf(stderr, "ingotd: users, passwords and tokens are those of the backup, also those that were taken away "
                        "since: see `ingotd user ls` and `ingotd token ls`\n");
    }
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_autofree char *data = NULL;
    gboolean force = FALSE;
    BackupReport report;
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &data, "The registry's data folder", "DIR"},
        {"force", 0, 0, G_OPTION_ARG_NONE, &force, "Restore what can be had of a damaged backup", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!verb_options(&verb_restore, entries, 1, 1, &argc, &argv, error) || !verb_needs_data(data, error) ||
        !owner_assume(data, error) || !storage_restore(argv[1], data, force, verb_print_line, NULL, &report, error) ||
        !restore_users(data, error)) {
        return FALSE;
    }
    g_autofree char *bytes = ingot_text_size(report.bytes);
    printf("%" G_GUINT64_FORMAT " packs (%s), up to event %" G_GUINT64_FORMAT "\n", report.packs, bytes, report.event);
    if (report.damaged > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: %" G_GUINT64_FORMAT " things are damaged or do not agree", argv[1], report.damaged);
    }
    return report.damaged == 0;
}

const Verb verb_restore = {
    "restore", "DIR", "make a data folder of a backup",
    "The data folder must be empty or not there yet. Everything is copied from the backup in DIR, which\n"
    "stays as it is, and read again as a scrub reads it. Where a file of DIR is damaged, it is named and\n"
    "nothing is restored; with --force all the rest is, and the images that need what is lost are named.\n"
    "The status is 1 if anything is damaged.\n\n"
    "Example:\n  ingotd restore --data /srv/ingot /backup/ingot\n",
    run};
