/* Redo: what each event of the log changed is done again, in order, at the time that the event has. */
#include <ingot/error.h>
#include <string.h>

#include "server/catalogue/cached.h"
#include "server/catalogue/links.h"
#include "server/catalogue/logmark.h"
#include "server/catalogue/manifestrows.h"
#include "server/catalogue/tags.h"
#include "server/storage/bases.h"
#include "server/storage/condense.h"
#include "server/storage/mentions.h"
#include "server/storage/recovery.h"

#define MANIFEST_MAX (4u << 20) /* bytes */

/* --- events --- */

typedef struct {
    const char *op, *name, *tag, *type, *digest_text, *subject_text;
    gboolean cached, mirrored, is_sha512;
    IngotDigest digest;
    OciDigest subject, alias;
    gint64 at; /* seconds; 0: not told */
    gboolean has_digest, has_subject, has_alias;
    gboolean attached; /* to the subject that its bytes name: a checkpoint does not repeat it */
} Line;

static Line read_line(const json_t *object)
{
    Line line = {.op = json_string_value(json_object_get(object, "op")),
                 .name = json_string_value(json_object_get(object, "name")),
                 .tag = json_string_value(json_object_get(object, "tag")),
                 .type = json_string_value(json_object_get(object, "type")),
                 .at = json_integer_value(json_object_get(object, "at")),
                 .cached = g_strcmp0(json_string_value(json_object_get(object, "origin")), "upstream") == 0,
                 .mirrored = g_strcmp0(json_string_value(json_object_get(object, "by")), "mirror") == 0,
                 .is_sha512 = g_strcmp0(json_string_value(json_object_get(object, "algorithm")), "sha512") == 0,
                 .digest_text = json_string_value(json_object_get(object, "digest")),
                 .subject_text = json_string_value(json_object_get(object, "subject"))};
    const char *alias = json_string_value(json_object_get(object, "alias"));
    line.attached = json_object_get(object, "attached") != NULL;
    line.has_alias = alias != NULL && oci_digest_parse(alias, &line.alias, NULL);
    line.has_digest = line.digest_text != NULL && ingot_digest_parse(line.digest_text, &line.digest, NULL);
    line.has_subject = line.subject_text != NULL && oci_digest_parse(line.subject_text, &line.subject, NULL);
    return line;
}

static gboolean append_pieces(Rebuild *rebuild, const PiecePlace *places, guint count, GByteArray *bytes)
{
    for (guint i = 0; i < count; i++) {
        guint at = bytes->len;
        g_autoptr(Pack) pack = packs_get(rebuild->storage->packs, places[i].pack, NULL);
        if (pack == NULL || places[i].length > MANIFEST_MAX - at) {
            return FALSE;
        }
        g_byte_array_set_size(bytes, at + places[i].length);
        if (!pack_read(pack, places[i].offset, bytes->data + at, places[i].length, NULL)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* A manifest's bytes, straight from its pieces: nothing is committed yet that a reader would see. NULL: they are not
 * those of its digest. */
static GByteArray *read_manifest(Rebuild *rebuild, const IngotDigest *digest)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autofree PiecePlace *places = g_new(PiecePlace, BLOBMAP_WINDOW);
    g_autoptr(BlobMap) map = blobmap_read(rebuild->change.writer, digest, NULL);
    for (guint i = 0; map != NULL && i < map->windows; i++) {
        guint count;
        if (!blobmap_places(rebuild->change.writer, map, i, FALSE, places, &count, NULL) ||
            !append_pieces(rebuild, places, count, bytes)) {
            return NULL;
        }
    }
    IngotDigest found;
    ingot_digest_of(bytes->data, bytes->len, &found);
    return map != NULL && ingot_digest_equal(&found, digest) ? g_steal_pointer(&bytes) : NULL;
}

/* What the manifest mentions, its base, and its kind, its subject and the base's repository (free them; NULL where it
 * can't be read, or has none). */
static GArray *find_mentions(Rebuild *rebuild, const Line *line, char **artifact, char **subject, IngotDigest *base,
                             gboolean *has_base, char **base_name)
{
    g_autoptr(GByteArray) bytes = read_manifest(rebuild, &line->digest);
    g_autoptr(json_t) root = bytes == NULL ? NULL : ingot_json_parse(bytes->data, bytes->len, "manifest", NULL);
    const char *kind = root == NULL ? NULL : manifest_artifact(root);
    *artifact = root == NULL ? NULL : g_strdup(kind == NULL ? "" : kind);
    *subject = g_strdup(json_string_value(json_object_get(json_object_get(root, "subject"), "digest")));
    *has_base = manifest_base(root, base);
    *base_name = manifest_base_name(root);
    GArray *mentions = root == NULL ? NULL : mentions_read(root);
    if (mentions == NULL) {
        rebuild_lost(rebuild, "%s: the manifest %s can't be read", line->name, line->digest_text);
        return g_array_new(FALSE, FALSE, sizeof(Mention));
    }
    return mentions;
}

/* A manifest's link comes before it; that event may be damaged. One that is there keeps its time. */
static gboolean redo_missing_link(Change *change, const Line *line, gint64 blob, GError **error)
{
    gint64 repository, linked;
    return links_find(change->writer, line->name, &line->digest, &repository, &linked, error) &&
           (linked > 0 || names_link(change, line->name, blob, &line->digest, error));
}

static gboolean redo_manifest(Rebuild *rebuild, const Line *line, gint64 blob, GError **error)
{
    g_autofree char *artifact = NULL, *named = NULL, *base_name = NULL;
    IngotDigest base;
    gboolean has_base;
    g_autoptr(GArray) mentions = find_mentions(rebuild, line, &artifact, &named, &base, &has_base, &base_name);
    OciDigest subject = line->subject;
    gboolean found = line->attached && named != NULL && oci_digest_parse(named, &subject, NULL);
    const StorageManifest manifest = {.type = line->type == NULL ? "" : line->type,
                                      .subject = line->has_subject || found ? &subject.key : NULL,
                                      .subject_text = found ? named : line->subject_text,
                                      .artifact = artifact,
                                      .base = has_base ? &base : NULL,
                                      .base_name = base_name,
                                      .mentions = mentions,
                                      .partial = TRUE,
                                      .promotes = TRUE,
                                      .cached = line->cached};
    return redo_missing_link(&rebuild->change, line, blob, error) &&
           names_manifest(&rebuild->change, line->name, blob, &line->digest, &manifest, error);
}

/* A tag whose manifest is lost, or whose manifest's own event is damaged, names nothing: what it named before is not
 * what it was last. Older versions did not write where a tag comes from. */
static gboolean redo_tag(Change *change, const Line *line, gint64 repository, gint64 blob, GError **error)
{
    gboolean known = FALSE, cached = FALSE;
    if (blob > 0 && (!manifest_rows_has(change->writer, repository, blob, &known, error) ||
                     !cached_has(change->writer, repository, &line->digest, &cached, error))) {
        return FALSE;
    }
    if (!known) {
        return tags_drop(change->writer, repository, line->tag, change_time(change), &known, error);
    }
    return names_tag(change, line->name, line->tag, repository, blob, &line->digest,
                     line->cached || (line->mirrored && cached), line->is_sha512, error);
}

/* What comes to a repository. The blob may be gone: deleted later on, or lost. */
static gboolean redo_add(Rebuild *rebuild, const Line *line, GError **error)
{
    Change *change = &rebuild->change;
    gint64 blob = names_blob(change->writer, &line->digest, error);
    gint64 repository = names_repository(change->writer, line->name, TRUE, error);
    if (blob < 0 || repository < 0) {
        return FALSE;
    }
    if (strcmp(line->op, "tag") == 0) {
        return line->tag == NULL || redo_tag(change, line, repository, blob, error);
    }
    if (blob == 0) {
        return TRUE;
    }
    if (strcmp(line->op, "alias") == 0) {
        return !line->has_alias || names_alias(change, line->name, &line->alias, &line->digest, error);
    }
    if (strcmp(line->op, "link") == 0) {
        return names_link(change, line->name, blob, &line->digest, error);
    }
    return redo_manifest(rebuild, line, blob, error);
}

/* A checkpoint tells what a tag named before, and until when. */
static gboolean redo_past(Change *change, const Line *line, GError **error)
{
    gint64 repository = names_repository(change->writer, line->name, TRUE, error);
    return repository > 0 && (line->tag == NULL || !line->has_digest ||
                              tags_add_past(change->writer, repository, line->tag, &line->digest, line->at, error));
}

static gboolean redo_remove(Rebuild *rebuild, const Line *line, GError **error)
{
    Change *change = &rebuild->change;
    gint64 repository = names_repository(change->writer, line->name, FALSE, error);
    if (repository <= 0) {
        return repository == 0;
    }
    if (line->tag != NULL) {
        gboolean found;
        return tags_drop(change->writer, repository, line->tag, change_time(change), &found, error);
    }
    gint64 blob = line->has_digest ? names_blob(change->writer, &line->digest, error) : 0;
    return blob == 0 || (blob > 0 && names_remove(change, line->name, repository, blob, &line->digest, error));
}

/* What was damaged behind the last whole event is lost. */
static void lose_tail(Rebuild *rebuild)
{
    for (guint i = 0; i < rebuild->tail->len; i++) {
        rebuild_lost(rebuild, "%s", (const char *)g_ptr_array_index(rebuild->tail, i));
    }
    g_ptr_array_set_size(rebuild->tail, 0);
}

static gboolean redo(const Event *event, gpointer user, GError **error)
{
    Rebuild *rebuild = user;
    if (!replay_take(event, rebuild->replay, error)) {
        return FALSE;
    }
    if (event->object == NULL) {
        rebuild->no_picture |= event->gap != EVENT_GAP;
        if (event->gap != EVENT_GAP_REPLACED) {
            g_ptr_array_add(rebuild->tail, g_strdup(event->trouble));
        }
        return TRUE;
    }
    lose_tail(rebuild);
    Line line = read_line(event->object);
    if (!replay_knows(line.op)) {
        rebuild_lost(rebuild, "an event of the kind '%s' at %s, which this version does not know, is skipped",
                     line.op == NULL ? "" : line.op, line.name == NULL ? "no name" : line.name);
        return TRUE;
    }
    if (line.name == NULL || replay_gives_up(event->object)) {
        return TRUE;
    }
    rebuild->change.at = line.at;
    rebuild->change.redoes = TRUE;
    if (g_str_equal(line.op, "link") || g_str_equal(line.op, "manifest") || g_str_equal(line.op, "alias") ||
        g_str_equal(line.op, "tag")) {
        return !line.has_digest || redo_add(rebuild, &line, error);
    }
    if (g_str_equal(line.op, "record")) {
        return record_redo(&rebuild->change, event->object, error);
    }
    if (g_str_equal(line.op, "past")) {
        return redo_past(&rebuild->change, &line, error);
    }
    /* What an earlier rebuild had given up and found again was never left out here. */
    return g_str_equal(line.op, "found") || redo_remove(rebuild, &line, error);
}

/* What the log says and the catalogue can't have: lost, by name. The log hears of it, so that both agree again; and of
 * what was lost before and is here again. */
static void name_lost(const ReplayDifference *difference, gpointer user)
{
    Rebuild *rebuild = user;
    Change *change = &rebuild->change;
    gboolean is_tag = strcmp(difference->kind, "tag") == 0;
    gboolean lacks = !difference->back && !difference->catalogue;
    rebuild->lacks |= lacks;
    if (lacks) {
        replay_give_up(rebuild->replay, difference);
    }
    if (lacks && strcmp(difference->kind, "manifest") == 0) {
        g_hash_table_add(rebuild->bereft, g_strdup(difference->name));
    }
    if (difference->back) {
        change_log(change, "found", difference->name, "kind", difference->kind, "digest", difference->digest, "tag",
                   is_tag ? difference->what : NULL, "by", "rebuild", NULL);
    } else if (difference->given_up) {
        return; /* it was told, and noted, before */
    } else if (difference->catalogue) {
        change_log(change, "link", difference->name, "digest", difference->digest, "by", "rebuild", NULL);
    } else if (is_tag) {
        rebuild_lost(rebuild, "%s:%s, which named %s", difference->name, difference->what, difference->digest);
        change_log(change, "untag", difference->name, "tag", difference->what, "by", "rebuild", "why", "lost", NULL);
    } else {
        rebuild_lost(rebuild, "%s@%s, a %s", difference->name, difference->what, difference->kind);
        change_log(change, "unlink", difference->name, "digest", difference->digest, "by", "rebuild", "why", "lost",
                   NULL);
    }
}

/* The last event of a rebuild: what scrubs need not complain of again. */
static void log_rebuilt(Rebuild *rebuild)
{
    json_t *event = ingot_json_pack("{s:s, s:s, s:I, s:I}", "op", "rebuilt", "by", "rebuild", "at",
                                    (json_int_t)storage_now(), "gaps", (json_int_t)rebuild->replay->gaps->len);
    g_ptr_array_add(rebuild->change.events, event);
}

/* Where the log ends that has happened. A transaction behind the last event that the catalogue knows which is replaced
 * was acknowledged to nobody if it is torn: of its events all count, or none. */
static guint64 find_end(const Rebuild *rebuild)
{
    EventMark mark = rebuild->witness;
    gboolean moved;
    return rebuild->witnessed && eventlog_locate(rebuild->storage->events, &mark, &moved, NULL) &&
                   eventlog_is_torn(rebuild->storage->events, &mark)
               ? mark.end
               : G_MAXUINT64;
}

gboolean redo_events(Rebuild *rebuild, GError **error)
{
    const char *log = rebuild->storage->events;
    Change *change = &rebuild->change;
    EventMark mark;
    rebuild->no_log = !g_file_test(log, G_FILE_TEST_EXISTS);
    if (rebuild->no_log && rebuild->report->packs > 0) {
        rebuild_lost(rebuild, "%s: not there, and with it all names", log);
    }
    if (!eventlog_read_whole(log, find_end(rebuild), redo, rebuild, &mark, error) ||
        !logmark_set(change->writer, &mark, error)) {
        return FALSE;
    }
    lose_tail(rebuild);
    change->at = 0;
    g_ptr_array_set_size(change->events, 0); /* they have happened long ago */
    if (!replay_compare(rebuild->replay, change->writer, name_lost, rebuild, error)) {
        return FALSE;
    }
    log_rebuilt(rebuild);
    /* A damaged checkpoint is replaced by one of what there is now; the log that has it is kept. */
    return !rebuild->no_picture || condense_now(change, &mark, rebuild->replay, error);
}
