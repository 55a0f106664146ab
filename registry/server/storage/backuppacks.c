#include "server/storage/backuppacks.h"

#include <ingot/error.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/catalogue/pieces.h"
#include "server/packs/splitter.h"

typedef struct {
    Backup *backup;
    const Pack *pack; /* NULL: it is lost */
    guint8 *buffer;
    guint64 *quietly; /* counts damaged pieces, which are not told; NULL: they are */
} Checking;

static gboolean piece_check(const PieceRow *row, const IngotDigest *digest, gpointer user, GError **error)
{
    const Checking *checking = user;
    IngotDigest found;
    (void)error;
    if (checking->pack != NULL && row->length <= PIECE_MAX &&
        pack_read(checking->pack, row->offset, checking->buffer, row->length, NULL)) {
        ingot_digest_of(checking->buffer, row->length, &found);
        if (ingot_digest_equal(&found, digest)) {
            return TRUE;
        }
    }
    if (checking->quietly != NULL) {
        ++*checking->quietly;
        return TRUE;
    }
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    g_autofree char *line =
        g_strdup_printf("damaged: piece %s in %s", text,
                        checking->pack == NULL ? "a pack that is not there" : pack_path(checking->pack));
    backup_tell_damage(checking->backup, line);
    return TRUE;
}

/* Looks at each piece that the catalogue knows of the pack, and tells those that are damaged, or (quietly) adds to
 * their count. */
static gboolean pack_check(Backup *backup, Connection *catalogue, gint64 number, guint64 *quietly, GError **error)
{
    g_autoptr(Pack) pack = packs_get(backup->to, number, error);
    g_autofree guint8 *buffer = g_malloc(PIECE_MAX);
    Checking checking = {.backup = backup, .pack = pack, .buffer = buffer, .quietly = quietly};
    return pack != NULL && pieces_each_of(catalogue, number, piece_check, &checking, error);
}

/* Each piece of a pack that can't be had is damaged. */
static gboolean pack_tell_lost(Backup *backup, Connection *catalogue, gint64 number, GError **error)
{
    Checking checking = {.backup = backup};
    return pieces_each_of(catalogue, number, piece_check, &checking, error);
}

/* A pack that is not there: known as lost, or taken away by a collection since the catalogue was copied (*gone). */
static gboolean pack_missing(Backup *backup, Connection *catalogue, gint64 number, gboolean *gone, GError *problem,
                             GError **error)
{
    guint64 whole;
    if (!pieces_whole_of(catalogue, number, &whole, NULL) || whole > 0) {
        *gone = TRUE;
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_error_free(problem);
    return pack_tell_lost(backup, catalogue, number, error);
}

/* What the backup's list calls a pack; free it. */
static char *pack_name(const Backup *backup, gint64 number)
{
    g_autofree char *path = packs_path(backup->to, number), *base = g_path_get_basename(path);
    return g_build_filename("packs", base, NULL);
}

static gboolean same_size(const char *one, const char *other)
{
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_size == b.st_size;
}

/* Whether this run has copied the pack for an earlier catalogue: it counts for this one, and is not read again. One
 * that is damaged stays out of the list. */
static gboolean pack_was_copied(Backup *backup, const char *name)
{
    const BackupPack *pack = g_hash_table_lookup(backup->copied, name);
    if (pack != NULL) {
        backup_has_seen(backup, name);
        backup->report->copied++;
        backup->report->bytes += pack->bytes;
        backup->report->damaged += pack->damaged;
    }
    return pack != NULL;
}

/* Whether a pack that is there is the one that this run brought, or a whole one of an earlier backup: by the list (a
 * quick backup trusts it where size and time are those of then); or, where it is not in the list, which that one was
 * broken off before, by all the pieces in it. Another one goes, to be brought again. */
static gboolean pack_was_brought(Backup *backup, Connection *catalogue, gint64 number, gboolean *there, GError **error)
{
    g_autofree char *from = packs_path(backup->from, number), *to = packs_path(backup->to, number);
    g_autofree char *name = pack_name(backup, number);
    g_autoptr(GError) problem = NULL;
    *there = FALSE;
    if (!g_file_test(to, G_FILE_TEST_EXISTS)) {
        return TRUE;
    }
    if (pack_was_copied(backup, name) || backup_has_seen(backup, name)) {
        *there = TRUE;
        return TRUE;
    }
    if (backup_list_has(backup->before, name)) {
        if (backup->quick && backup_list_is_same(backup->before, backup->target, name)) {
            backup_list_take(backup->list, backup->before, name);
            *there = TRUE;
            return TRUE;
        }
        if (backup_list_take_read(backup->list, backup->before, backup->target, name, &problem)) {
            *there = TRUE;
            return TRUE;
        }
        g_autofree char *line = g_strdup_printf("brought again: %s", problem->message);
        backup->tell(line, backup->user);
    } else if (same_size(from, to)) {
        guint64 damaged = 0;
        if (!pack_check(backup, catalogue, number, &damaged, error)) {
            return FALSE;
        }
        *there = damaged == 0;
        if (*there) {
            return backup_list_note(backup->list, backup->target, name, error);
        }
    }
    /* Where the source has gone meanwhile, what is there is better than nothing. */
    return !g_file_test(from, G_FILE_TEST_EXISTS) || packs_remove(backup->to, number, error);
}

/* A link to the pack, or a copy of what can be read of it: one bad sector costs the pieces in it, not the backup. Only
 * a whole one gets into the list, so that another run brings it again. */
static gboolean pack_copy(Backup *backup, Connection *catalogue, gint64 number, const char *to, GError **error)
{
    g_autofree char *from = packs_path(backup->from, number), *name = pack_name(backup, number), *trouble = NULL;
    g_autoptr(GError) problem = NULL;
    guint64 before = backup->report->damaged;
    struct stat st;
    if (link(from, to) != 0 && !backup_copy(from, to, &trouble, error)) {
        return FALSE;
    }
    if (trouble != NULL) {
        backup_tell_damage(backup, trouble);
    }
    if (stat(to, &st) != 0) {
        return pack_tell_lost(backup, catalogue, number, error);
    }
    if (!pack_check(backup, catalogue, number, NULL, error)) {
        return FALSE;
    }
    if (backup->report->damaged == before && !backup_list_note(backup->list, backup->target, name, &problem)) {
        backup_tell_damage(backup, problem->message);
    }
    BackupPack *pack = g_new(BackupPack, 1);
    *pack = (BackupPack){.bytes = (guint64)st.st_size, .damaged = backup->report->damaged - before};
    g_hash_table_insert(backup->copied, g_steal_pointer(&name), pack);
    backup->report->copied++;
    backup->report->bytes += pack->bytes;
    return TRUE;
}

static gboolean pack_bring(Backup *backup, Connection *catalogue, gint64 number, gboolean *gone, GError **error)
{
    g_autofree char *to = packs_path(backup->to, number);
    GError *problem = NULL;
    gboolean there;
    *gone = FALSE;
    if (!pack_was_brought(backup, catalogue, number, &there, error)) {
        return FALSE;
    }
    if (there || pack_copy(backup, catalogue, number, to, &problem)) {
        return TRUE;
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        return pack_missing(backup, catalogue, number, gone, problem, error);
    }
    g_propagate_error(error, problem);
    return FALSE;
}

gboolean backup_packs_bring(Backup *backup, Connection *catalogue, gboolean *gone, GError **error)
{
    g_autoptr(GArray) list = pieces_list_packs(catalogue, error);
    *gone = FALSE;
    for (guint i = 0; list != NULL && i < list->len; i++) {
        if (!pack_bring(backup, catalogue, g_array_index(list, gint64, i), gone, error)) {
            return FALSE;
        }
    }
    backup->report->packs = list == NULL ? 0 : list->len;
    return list != NULL;
}

gboolean backup_packs_drop(Backup *backup, Connection *catalogue, GError **error)
{
    g_autoptr(GArray) there = packs_list(backup->to, error);
    for (guint i = 0; there != NULL && i < there->len; i++) {
        gint64 number = g_array_index(there, gint64, i);
        gboolean known;
        if (!pieces_has_pack(catalogue, number, &known, error) ||
            (!known && !packs_remove(backup->to, number, error))) {
            return FALSE;
        }
    }
    return there != NULL;
}
