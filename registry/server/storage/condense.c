#include "server/storage/condense.h"

#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>

#include "server/catalogue/aliasrows.h"
#include "server/catalogue/holdings.h"
#include "server/catalogue/logmark.h"
#include "server/catalogue/namerows.h"
#include "server/catalogue/recordrows.h"
#include "server/events/checkpoint.h"
#include "server/storage/givenup.h"

#define GROWTH 4 /* times the picture that a log begins with: before that it is not worth another one */

/* --- the picture --- */

typedef struct {
    Connection *connection;
    Checkpoint *checkpoint;
    const char *repository;
} Picturing;

/* Pairs of key and text ended by NULL; a NULL text is left out. */
static gboolean picture_line(const Picturing *picturing, GError **error, gint64 at, const char *op,
                             ...) G_GNUC_NULL_TERMINATED;
static gboolean picture_line(const Picturing *picturing, GError **error, gint64 at, const char *op, ...)
{
    g_autoptr(json_t) object =
        ingot_json_pack("{s:s, s:s, s:I}", "op", op, "name", picturing->repository, "at", (json_int_t)at);
    va_list texts;
    va_start(texts, op);
    const char *key;
    while ((key = va_arg(texts, const char *)) != NULL) {
        ingot_json_set_string(object, key, va_arg(texts, const char *));
    }
    va_end(texts);
    return checkpoint_add(picturing->checkpoint, object, error);
}

static gboolean picture_alias(const Picturing *picturing, const NameLink *link, const char *digest, GError **error)
{
    OciDigest alias;
    gboolean found;
    if (!alias_rows_find(picturing->connection, &link->digest, &alias, &found, error)) {
        return FALSE;
    }
    g_autofree char *text = found ? oci_digest_to_text(&alias) : NULL;
    return !found || picture_line(picturing, error, link->made, "alias", "digest", digest, "alias", text, NULL);
}

static gboolean picture_link(const NameLink *link, gpointer user, GError **error)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&link->digest, digest);
    return picture_line(user, error, link->made, "link", "digest", digest, NULL) &&
           picture_alias(user, link, digest, error) &&
           (link->type == NULL ||
            picture_line(user, error, link->made, "manifest", "digest", digest, "type", link->type, "attached",
                         link->attached ? "yes" : NULL, "origin", link->cached ? "upstream" : NULL, NULL));
}

static gboolean picture_tag(const NameTag *tag, gpointer user, GError **error)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&tag->digest, digest);
    return picture_line(user, error, tag->made, "tag", "tag", tag->tag, "digest", digest, "origin",
                        tag->cached ? "upstream" : NULL, "algorithm", tag->is_sha512 ? "sha512" : NULL, NULL);
}

static gboolean picture_past(const HoldingPast *past, const Picturing *picturing, GError **error)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&past->digest, digest);
    return picture_line(picturing, error, past->until, "past", "tag", past->tag, "digest", digest, NULL);
}

static gboolean picture_repository(Connection *connection, const HoldingRepository *one, Checkpoint *checkpoint,
                                   GError **error)
{
    Picturing picturing = {.connection = connection, .checkpoint = checkpoint, .repository = one->name};
    g_autoptr(GArray) history = holdings_history(connection, one->id, error);
    if (history == NULL || !namerows_links(connection, one->id, picture_link, &picturing, error)) {
        return FALSE;
    }
    for (guint i = 0; i < history->len; i++) {
        if (!picture_past(&g_array_index(history, HoldingPast, i), &picturing, error)) {
            return FALSE;
        }
    }
    return namerows_tags(connection, one->id, picture_tag, &picturing, error);
}

typedef struct {
    Checkpoint *checkpoint;
    GError **error;
    gboolean ok;
} RecordPicturing;

static gboolean picture_record(const RecordRow *row, gpointer user)
{
    RecordPicturing *picturing = user;
    g_autoptr(json_t) object =
        ingot_json_pack("{s:s, s:s, s:I, s:s, s:s, s:O}", "op", "record", "name", row->name, "at", (json_int_t)row->at,
                        "kind", row->kind, "key", row->key, "body", row->body);
    ingot_json_set_string(object, "by", row->by);
    ingot_json_set_string(object, "why", row->reason);
    picturing->ok = checkpoint_add(picturing->checkpoint, object, picturing->error);
    return picturing->ok;
}

static gboolean picture_records(Connection *connection, Checkpoint *checkpoint, GError **error)
{
    RecordPicturing picturing = {.checkpoint = checkpoint, .error = error, .ok = TRUE};
    return record_rows_each(connection, NULL, NULL, NULL, picture_record, &picturing, error) && picturing.ok;
}

/* end: bytes of the log that tell of what is lost. */
static Checkpoint *picture_all(const Storage *storage, Connection *connection, const EventMark *last,
                               const Replay *lost, guint64 end, GError **error)
{
    g_autoptr(Checkpoint) checkpoint = checkpoint_begin(storage->events, last, error);
    g_autoptr(GArray) repositories = checkpoint == NULL ? NULL : holdings_repositories(connection, error);
    if (repositories == NULL || !givenup_picture(storage->events, end, lost, checkpoint, error)) {
        return NULL;
    }
    for (guint i = 0; i < repositories->len; i++) {
        if (!picture_repository(connection, &g_array_index(repositories, HoldingRepository, i), checkpoint, error)) {
            return NULL;
        }
    }
    return picture_records(connection, checkpoint, error) && checkpoint_finish(checkpoint, error)
               ? g_steal_pointer(&checkpoint)
               : NULL;
}

/* --- whether it may be made --- */

/* What was given up is in neither, and both agree. */
static void count_difference(const ReplayDifference *difference, gpointer user)
{
    guint *count = user;
    *count += difference->given_up && !difference->back ? 0 : 1;
}

/* What is lost in the catalogue, and only told by the log, is not to be lost with the log. NULL: they do not agree.
 * Else what was given up. */
static Replay *condense_agrees(const Storage *storage, Connection *reader, const EventMark *mark, GError **error)
{
    g_autoptr(Replay) replay = replay_new();
    EventMark found;
    guint count = 0;
    replay->anew = TRUE;
    if (!eventlog_read(storage->events, mark->end, replay_take, replay, &found, error) ||
        !replay_compare(replay, reader, count_difference, &count, error)) {
        return NULL;
    }
    if (count > 0 || found.number != mark->number || replay->gaps->len > replay->acknowledged ||
        g_hash_table_size(replay->unknown) > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: no checkpoint is made: it does not agree with the catalogue, or holds what is damaged or not"
                    " known here; `ingotd scrub` tells more",
                    storage->events);
        return NULL;
    }
    return g_steal_pointer(&replay);
}

static gboolean condense_is_due(const Storage *storage, const EventMark *mark)
{
    CheckpointHead head = {0};
    if (storage->limits.log == 0 || mark->end < storage->limits.log) {
        return FALSE;
    }
    g_autoptr(GMappedFile) file = eventlog_map(storage->events, NULL);
    return file != NULL && (!checkpoint_head(g_mapped_file_get_contents(file), g_mapped_file_get_length(file), &head) ||
                            mark->end / GROWTH >= head.size);
}

/* --- the switch --- */

static gboolean condense_switch(Change *change, Checkpoint *checkpoint, const EventMark *last, GError **error)
{
    EventMark mark;
    LogMarkKind kind;
    gboolean moved;
    const char *log = change->storage->events;
    if (!logmark_get(change->writer, &mark, &kind, error) || !eventlog_locate(log, &mark, &moved, error)) {
        return FALSE;
    }
    if (!eventlog_has(log, last) || mark.end < last->end) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s: has begun anew meanwhile", log);
        return FALSE;
    }
    return checkpoint_switch(checkpoint, &mark, error) && logmark_set(change->writer, &mark, error);
}

static gboolean condense_held(Storage *storage, Connection *reader, gboolean *done, GError **error)
{
    EventMark last;
    LogMarkKind kind;
    gboolean moved;
    if (!logmark_get(reader, &last, &kind, error) || !eventlog_locate(storage->events, &last, &moved, error)) {
        return FALSE;
    }
    if (kind != LOGMARK_KNOWN || !condense_is_due(storage, &last)) {
        return TRUE;
    }
    g_autoptr(Replay) lost = condense_agrees(storage, reader, &last, error);
    g_autoptr(Checkpoint) checkpoint = lost == NULL ? NULL : picture_all(storage, reader, &last, lost, last.end, error);
    Change change;
    if (checkpoint == NULL || !change_begin(storage, &change, error)) {
        return FALSE;
    }
    *done = change_end(&change, condense_switch(&change, checkpoint, &last, error), error);
    return *done;
}

gboolean condense_when_due(Storage *storage, gboolean *done, GError **error)
{
    guint64 keep = storage->limits.keep_events;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    *done = FALSE;
    return reader != NULL && database_hold(reader, error) && condense_held(storage, reader, done, error) &&
           (keep == 0 ||
            checkpoint_forget(storage->events, storage_now() - (gint64)MIN(keep, (guint64)G_MAXINT), error));
}

/* What the log that is there tells of as given up, as far as it can be read; NULL: it can't. */
static Replay *condense_lost(Change *change, GError **error)
{
    g_autoptr(Replay) replay = replay_new();
    guint count = 0;
    replay->anew = TRUE;
    return eventlog_read_whole(change->storage->events, G_MAXUINT64, replay_take, replay, NULL, error) &&
                   replay_compare(replay, change->writer, count_difference, &count, error)
               ? g_steal_pointer(&replay)
               : NULL;
}

gboolean condense_now(Change *change, const EventMark *last, const Replay *lost, GError **error)
{
    EventMark mark = *last;
    g_autoptr(Replay) told = lost == NULL ? condense_lost(change, error) : NULL;
    const Replay *all = lost == NULL ? told : lost;
    g_autoptr(Checkpoint) checkpoint =
        all == NULL ? NULL : picture_all(change->storage, change->writer, last, all, G_MAXUINT64, error);
    return checkpoint != NULL && checkpoint_switch(checkpoint, &mark, error) &&
           logmark_set(change->writer, &mark, error);
}
