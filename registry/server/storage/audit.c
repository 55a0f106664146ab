#include "server/storage/audit.h"

#include <ingot/error.h>

#include "server/catalogue/aliasrows.h"
#include "server/catalogue/logmark.h"
#include "server/catalogue/pieces.h"
#include "server/catalogue/pieceusers.h"
#include "server/catalogue/rowcheck.h"
#include "server/packs/walk.h"
#include "server/storage/replay.h"

#define TRIES 5 /* of a comparison, while the log begins anew meanwhile */

static void differs(Scrub *scrub, const char *what)
{
    scrub->report->inconsistencies++;
    scrub_tell(scrub, "inconsistent: %s", what);
}

/* --- the catalogue and itself --- */

static void row_differs(const char *complaint, gpointer user)
{
    differs(user, complaint);
}

/* --- the catalogue and the log of events --- */

static void name_differs(const ReplayDifference *difference, gpointer user)
{
    g_autofree char *what =
        g_strdup_printf(difference->catalogue ? "%s %s %s: in the catalogue, not in the log of events"
                                              : "%s %s %s: in the log of events, not in the catalogue",
                        difference->name, difference->kind, difference->what);
    differs(user, what);
}

/* Gaps that a rebuild has found are known: it has said what was lost. */
static void tell_log(Scrub *scrub, const Replay *replay)
{
    for (guint i = 0; replay->gaps->len > replay->acknowledged && i < replay->gaps->len; i++) {
        differs(scrub, g_ptr_array_index(replay->gaps, i));
    }
    GHashTableIter iterator;
    gpointer kind, count;
    g_hash_table_iter_init(&iterator, replay->unknown);
    while (g_hash_table_iter_next(&iterator, &kind, &count)) {
        scrub_tell(scrub, "skipped: %u events of the kind '%s', which this version does not know",
                   GPOINTER_TO_UINT(count), (const char *)kind);
    }
}

typedef struct {
    Scrub *scrub;
    const Replay *replay;
} AliasCheck;

/* The log may know more: what a blob was known by that is gone. */
static void check_alias(const OciDigest *alias, const IngotDigest *digest, gpointer user)
{
    const AliasCheck *check = user;
    g_autofree char *text = oci_digest_to_text(alias), *other = ingot_digest_to_text(digest);
    if (g_strcmp0(g_hash_table_lookup(check->replay->aliases, text), other) != 0) {
        g_autofree char *what = g_strdup_printf("%s: in the catalogue, not in the log of events", text);
        differs(check->scrub, what);
    }
}

/* *other: may be tried again, and is to be: the log has begun anew since the snapshot. Both as of one transaction: the
 * reader's snapshot, and the log up to the event that it knows as the last. */
static gboolean compare_names(Scrub *scrub, Connection *reader, gboolean *other, GError **error)
{
    g_autoptr(Replay) replay = replay_new();
    EventMark mark, found;
    LogMarkKind kind;
    gboolean moved;
    GError *problem = NULL;
    if (!logmark_get(reader, &mark, &kind, &problem)) {
        differs(scrub, problem->message);
        g_error_free(problem);
        return TRUE;
    }
    if (!eventlog_locate(scrub->storage->events, &mark, &moved, error) ||
        !eventlog_read(scrub->storage->events, mark.end, replay_take, replay, &found, error)) {
        return FALSE;
    }
    if (*other && !eventlog_has(scrub->storage->events, &mark)) {
        return TRUE;
    }
    *other = FALSE;
    if (found.number != mark.number || found.end != mark.end || !ingot_digest_equal(&found.hash, &mark.hash)) {
        differs(scrub, "the log of events does not end with the event that the catalogue knows as the last");
    }
    tell_log(scrub, replay);
    AliasCheck check = {.scrub = scrub, .replay = replay};
    if (!alias_rows_each(reader, check_alias, &check, error)) {
        return FALSE;
    }
    if (replay_compare(replay, reader, name_differs, scrub, &problem)) {
        return TRUE;
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        differs(scrub, problem->message);
        g_error_free(problem);
        return TRUE;
    }
    g_propagate_error(error, problem);
    return FALSE;
}

gboolean audit_catalogue(Scrub *scrub, Connection *reader, GError **error)
{
    row_check(reader, row_differs, scrub);
    gboolean ok = TRUE, other = TRUE;
    for (guint i = 1; ok && other; i++) {
        other = i < TRIES;
        ok = database_snapshot(reader, error);
        if (ok) {
            ok = compare_names(scrub, reader, &other, error);
            database_snapshot_end(reader);
        }
    }
    return ok;
}

/* --- the catalogue and the packs --- */

typedef struct {
    Scrub *scrub;
    Connection *reader;
} PackAudit;

/* Whether the catalogue has a blob's pieces as the table does. One that it has no more is garbage, not damage. */
static gboolean compare_table(const Table *table, const WalkPlace *place, gpointer user, GError **error)
{
    PackAudit *audit = user;
    guint count = table->pieces->len;
    gboolean same = TRUE;
    /* A loose one is no word of ours. */
    if (table_has_blob(table) && !place->loose) {
        g_autofree IngotDigest *digests = g_new(IngotDigest, count + 1);
        for (guint i = 0; i < count; i++) {
            digests[i] = table_piece(table, i)->digest;
        }
        if (!pieceusers_same(audit->reader, &table->blob, place->pack, table->size, digests, count, &same, error)) {
            return FALSE;
        }
    }
    if (!same) {
        g_autofree char *text = ingot_digest_to_text(&table->blob);
        g_autofree char *what = g_strdup_printf("the catalogue and the packs differ in the pieces of %s", text);
        differs(audit->scrub, what);
    }
    return scrub_goes_on(audit->scrub, SEGMENT_HEAD + (guint64)count * sizeof(Piece), error);
}

/* One that garbage was collected from meanwhile may be gone. */
static void pack_differs(Scrub *scrub, Connection *reader, gint64 number, const char *what)
{
    gboolean known;
    if (!pieces_has_pack(reader, number, &known, NULL) || known) {
        differs(scrub, what);
    }
}

static void miss_segment(const Pack *pack, guint64 from, guint64 to, const char *why, gpointer user)
{
    PackAudit *audit = user;
    (void)from, (void)to;
    pack_differs(audit->scrub, audit->reader, pack_number(pack), why);
}

gboolean audit_pack(Scrub *scrub, Connection *reader, gint64 number, GError **error)
{
    guint64 size;
    if (!pieces_pack_size(reader, number, &size, error)) {
        return FALSE;
    }
    GError *problem = NULL;
    PackAudit audit = {.scrub = scrub, .reader = reader};
    g_autoptr(Pack) pack = packs_get(scrub->storage->packs, number, &problem);
    if (pack == NULL) {
        if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
            pack_differs(scrub, reader, number, problem->message);
        }
        g_error_free(problem);
        return TRUE;
    }
    return pack_walk(pack, size, compare_table, miss_segment, &audit, NULL, error);
}
