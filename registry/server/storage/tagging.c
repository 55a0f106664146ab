/* Manifests and tags: putting them, finding them, taking tags away. */
#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "base/digests.h"
#include "server/catalogue/aliasrows.h"
#include "server/catalogue/baserows.h"
#include "server/catalogue/cached.h"
#include "server/catalogue/links.h"
#include "server/catalogue/manifestrows.h"
#include "server/catalogue/repositories.h"
#include "server/catalogue/tags.h"
#include "server/storage/channels.h"
#include "server/storage/growth.h"
#include "server/storage/inside.h"
#include "server/storage/mentions.h"

#define MANIFEST_MAX (4u << 20) /* bytes */

/* The digests of mentions, one after another; free them. */
static IngotDigest *list_digests(const GArray *mentions)
{
    IngotDigest *digests = g_new(IngotDigest, mentions->len);
    for (guint i = 0; i < mentions->len; i++) {
        digests[i] = g_array_index(mentions, Mention, i).digest;
    }
    return digests;
}

/* A copy of what the manifest mentions, each by its SHA-256 where that is known by now. Free it. */
static GArray *resolve_mentions(Connection *connection, const GArray *mentions, GError **error)
{
    g_autoptr(GArray) resolved = g_array_sized_new(FALSE, FALSE, sizeof(Mention), mentions->len);
    for (guint i = 0; i < mentions->len; i++) {
        Mention mention = g_array_index(mentions, Mention, i);
        if (mention.named.is_sha512 && !alias_rows_resolve(connection, &mention.named, &mention.digest, error)) {
            return NULL;
        }
        g_array_append_val(resolved, mention);
    }
    return g_steal_pointer(&resolved);
}

static gboolean check_mention(const Mention *mention, gint64 size, GError **error)
{
    g_autofree char *text = mention_text(mention);
    if (size < 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "the manifest names %s, which is not here", text);
        return FALSE;
    }
    if (mention->sized && mention->size != (guint64)size) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "the manifest names %s with a size of %" G_GUINT64_FORMAT "; it has %" G_GINT64_FORMAT " bytes",
                    text, mention->size, size);
        return FALSE;
    }
    return TRUE;
}

static gboolean check_whole(Connection *reader, const IngotDigest *digest, GError **error)
{
    gboolean damaged;
    if (!blobmap_is_damaged(reader, digest, &damaged, error)) {
        return FALSE;
    }
    if (damaged) {
        g_autofree char *text = ingot_digest_to_text(digest);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                    "the manifest names %s, a part of which is damaged here: push it again", text);
    }
    return !damaged;
}

/* Each once of what the repository has. */
static gboolean check_all_whole(Connection *reader, gint64 repository, const GArray *mentions, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(ingot_digest_hash, ingot_digest_equal);
    g_autofree IngotDigest *digests = list_digests(mentions);
    g_autofree gint64 *sizes = g_new(gint64, mentions->len);
    gboolean ok = links_sizes(reader, repository, digests, mentions->len, sizes, error);
    for (guint i = 0; ok && i < mentions->len; i++) {
        gboolean counts = sizes[i] >= 0 && !g_array_index(mentions, Mention, i).elsewhere;
        ok = !counts || !g_hash_table_add(seen, &digests[i]) || check_whole(reader, &digests[i], error);
    }
    return ok;
}

/* Who pushes a manifest has the bytes that it mentions: what is damaged of them here is to come first, where the
 * manifest is new. A large blob takes long to look at, so nobody is kept from writing meanwhile. */
static gboolean check_mentions(Storage *storage, const char *name, const StorageManifest *manifest,
                               const IngotDigest *digest, GError **error)
{
    gboolean had;
    if (manifest->partial || manifest->mentions->len == 0) {
        return TRUE;
    }
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    gint64 repository = reader == NULL ? -1 : repositories_find(reader, name, error);
    gint64 blob = repository <= 0 ? 0 : names_blob(reader, digest, error);
    if (repository <= 0 || blob < 0) {
        return repository == 0;
    }
    if (!manifest_rows_has(reader, repository, blob, &had, error)) {
        return FALSE;
    }
    g_autoptr(GArray) mentions = had ? NULL : resolve_mentions(reader, manifest->mentions, error);
    return had || (mentions != NULL && check_all_whole(reader, repository, mentions, error));
}

gboolean names_has_mentioned(Storage *storage, Connection *connection, const char *name, gint64 repository,
                             const GArray *mentions, const Mention **wrong, GError **error)
{
    g_autofree IngotDigest *digests = list_digests(mentions);
    g_autofree gint64 *sizes = g_new(gint64, mentions->len);
    if (!links_sizes(connection, repository, digests, mentions->len, sizes, error)) {
        return FALSE;
    }
    for (guint i = 0; i < mentions->len; i++) {
        const Mention *mention = &g_array_index(mentions, Mention, i);
        gboolean may_lack = mention->elsewhere || (mention->manifest && storage_is_sparse(storage, name));
        if ((sizes[i] >= 0 || !may_lack) && !check_mention(mention, sizes[i], error)) {
            *wrong = mention;
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean add_mentions(Change *change, gint64 repository, gint64 manifest, const GArray *mentions, GError **error)
{
    for (guint i = 0; i < mentions->len; i++) {
        if (!manifest_rows_mention(change->writer, repository, manifest, &g_array_index(mentions, Mention, i).digest,
                                   error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean names_tag(Change *change, const char *name, const char *tag, gint64 repository, gint64 blob,
                   const IngotDigest *digest, gboolean cached, gboolean is_sha512, GError **error)
{
    Tag old;
    if (!tags_find(change->writer, name, tag, &old, error)) {
        return FALSE;
    }
    gboolean same = old.found && ingot_digest_equal(&old.digest, digest);
    if (cached && old.pushed) {
        return TRUE;
    }
    if (!cached && !cached_drop(change->writer, repository, digest, NULL, error)) {
        return FALSE;
    }
    if (same && old.pushed == !cached && old.is_sha512 == is_sha512) {
        return TRUE;
    }
    gboolean moves =
        !same || (!cached && !old.pushed); /* who keeps what an upstream's channel names stands in its log */
    g_autofree char *text = ingot_digest_to_text(digest);
    change_log(change, "tag", name, "tag", tag, "digest", text, "origin", cached ? "upstream" : NULL, "algorithm",
               is_sha512 ? "sha512" : NULL, NULL);
    return tags_set(change->writer, repository, tag, blob, cached, is_sha512, change_time(change), error) &&
           (!moves || change->redoes || !storage_is_channel(change->storage, name, tag) ||
            moves_note(change, name, tag, digest, cached, error));
}

/* Where it came from; *changed: otherwise than before. What was pushed is not cached any more, nor will be. */
static gboolean note_origin(Change *change, gint64 repository, const IngotDigest *digest, gboolean cached, gboolean had,
                            gboolean *changed, GError **error)
{
    gboolean dropped = FALSE;
    gboolean ok = cached ? had || cached_add(change->writer, repository, digest, error)
                         : cached_drop(change->writer, repository, digest, &dropped, error);
    *changed |= dropped;
    return ok;
}

/* A channel that a pipeline guards moves by promotion here alone, whatever another registry calls by its name. */
static gboolean tag_is_left(Storage *storage, const char *name, const StorageManifest *manifest, const char *tag)
{
    return manifest->copied && storage_is_guarded(storage, name, tag);
}

/* The tag that keeps the manifest's media type as it is: a version that never moves, or a channel that moves by
 * promotion alone. The type is not in the digest: what they name would be another thing. NULL: none. */
static const char *tag_that_keeps(Storage *storage, const char *name, const StorageManifest *manifest, char **tags)
{
    for (guint i = 0; tags[i] != NULL; i++) {
        if ((manifest->fixed && ingot_tag_is_version(tags[i])) ||
            (!manifest->promotes && storage_is_channel(storage, name, tags[i])) ||
            tag_is_left(storage, name, manifest, tags[i])) {
            return tags[i];
        }
    }
    return NULL;
}

/* The media type that the manifest is to have; what was pushed keeps its own, whatever an upstream says. NULL: an
 * error; free it. */
static char *choose_type(Change *change, const char *name, gint64 repository, gint64 blob, const IngotDigest *digest,
                         const StorageManifest *manifest, GError **error)
{
    g_autofree char *old = NULL;
    gboolean from_upstream;
    if (!manifest_rows_type(change->writer, name, digest, &old, error) ||
        !cached_has(change->writer, repository, digest, &from_upstream, error)) {
        return NULL;
    }
    if (old == NULL || strcmp(old, manifest->type) == 0) {
        return g_strdup(manifest->type);
    }
    if (manifest->cached && !manifest->promotes) {
        return from_upstream ? g_strdup(manifest->type) : g_steal_pointer(&old);
    }
    g_auto(GStrv) tags = tags_naming(change->writer, repository, blob, error);
    const char *keeps = tags == NULL ? NULL : tag_that_keeps(change->storage, name, manifest, tags);
    if (keeps != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS,
                    "%s:%s names this manifest as %s: what it names keeps its media type", name, keeps, old);
    }
    return tags == NULL || keeps != NULL ? NULL : g_strdup(manifest->type);
}

gboolean names_manifest(Change *change, const char *name, gint64 blob, const IngotDigest *digest,
                        const StorageManifest *manifest, GError **error)
{
    gboolean changed, had;
    const Mention *wrong;
    g_autoptr(GArray) mentions = resolve_mentions(change->writer, manifest->mentions, error);
    gint64 repository = mentions == NULL ? -1 : repositories_make(change->writer, name, error);
    g_autofree char *type =
        repository < 0 ? NULL : choose_type(change, name, repository, blob, digest, manifest, error);
    if (type == NULL || !manifest_rows_has(change->writer, repository, blob, &had, error) ||
        (!manifest->partial &&
         !names_has_mentioned(change->storage, change->writer, name, repository, mentions, &wrong, error)) ||
        !manifest_rows_put(change->writer, repository, blob, type, manifest->subject, manifest->artifact,
                           change_time(change), &changed, error) ||
        !note_origin(change, repository, digest, manifest->cached, had, &changed, error) ||
        !add_mentions(change, repository, blob, mentions, error) ||
        (manifest->base != NULL &&
         !base_rows_put(change->writer, digest, manifest->base, manifest->base_name, error))) {
        return FALSE;
    }
    if (changed) {
        g_autofree char *text = ingot_digest_to_text(digest);
        g_autofree char *subject = manifest->subject == NULL        ? NULL
                                   : manifest->subject_text == NULL ? ingot_digest_to_text(manifest->subject)
                                                                    : g_strdup(manifest->subject_text);
        change_log(change, "manifest", name, "digest", text, "type", type, "subject", subject, "origin",
                   manifest->cached ? "upstream" : NULL, NULL);
    }
    return !changed || manifest->cached || pushers_note(change, name, digest, error);
}

/* All of whose pieces are new. */
static Table *manifest_table(const StorageManifest *manifest, const IngotDigest *digest)
{
    Table *table = table_new();
    table->blob = *digest;
    table->size = manifest->size;
    for (gsize at = 0; at < manifest->size; at += PIECE_MAX) {
        IngotDigest piece;
        gsize length = MIN(PIECE_MAX, manifest->size - at);
        ingot_digest_of((const guint8 *)manifest->data + at, length, &piece);
        table_add(table, &piece, (guint32)length, TRUE);
    }
    return table;
}

static gboolean put_blob(Change *change, const StorageManifest *manifest, const Table *table, gint64 *blob,
                         GError **error)
{
    gboolean brings;
    const IngotDigest *digest = &table->blob;
    *blob = names_blob(change->writer, digest, error);
    return *blob >= 0 && publish_brings(change, table, *blob, &brings, NULL, error) &&
           (!brings || publish_small(change, table, manifest->data, blob, error));
}

/* EXISTS where it is a channel that a pipeline guards, which may have been applied a moment ago. */
static gboolean is_unguarded(Change *change, const char *name, const char *tag, GError **error)
{
    gboolean guarded = storage_is_guarded(change->storage, name, tag);
    if (guarded) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS,
                    "%s:%s is a channel of a pipeline, which only a promotion moves", name, tag);
    }
    return !guarded;
}

/* Whether the tag may be set: within the change, so that of two who expect the same only one moves it. grown: what
 * versions named a moment ago of which this is a growth. */
static gboolean may_tag(Change *change, const char *name, const char *tag, const StorageManifest *manifest,
                        const IngotDigest *digest, const GArray *grown, GError **error)
{
    Tag old;
    if (!tags_find(change->writer, name, tag, &old, error) ||
        (!manifest->copied && !manifest->cached && !is_unguarded(change, name, tag, error))) {
        return FALSE;
    }
    g_autofree char *text = old.found ? ingot_digest_to_text(&old.digest) : NULL;
    gboolean same = old.found && ingot_digest_equal(&old.digest, digest);
    if ((manifest->only_new && old.found) ||
        (manifest->expected != NULL && (!old.found || !ingot_digest_equal(&old.digest, manifest->expected)))) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s:%s %s%s", name, tag, old.found ? "is " : "is not there",
                    old.found ? text : "");
        return FALSE;
    }
    if (manifest->fixed && ingot_tag_is_version(tag) && old.found && !same && !digests_have(grown, &old.digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS,
                    "%s:%s is %s, and a version never moves, but to an index that has what it names as its first "
                    "entries, and nothing that could be taken for it: push under a new version",
                    name, tag, text);
        return FALSE;
    }
    return TRUE;
}

/* The tags that come with the manifest: NULL behind the last. */
static const char *nth_tag(const StorageManifest *manifest, guint index)
{
    return index == 0 ? manifest->tag : manifest->further == NULL ? NULL : manifest->further[index - 1];
}

static gboolean may_tags(Change *change, const char *name, const StorageManifest *manifest, const IngotDigest *digest,
                         const GArray *grown, GError **error)
{
    const char *tag;
    for (guint i = 0; (tag = nth_tag(manifest, i)) != NULL; i++) {
        if (!may_tag(change, name, tag, manifest, digest, grown, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* What the versions among the tags name now that the manifest is a growth of: GArray of IngotDigest. It is read before
 * the change, which then finds whether they name it still. */
static GArray *find_grown(Storage *storage, const char *name, const StorageManifest *manifest,
                          const IngotDigest *digest)
{
    GArray *grown = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    const char *tag;
    for (guint i = 0; manifest->fixed && (tag = nth_tag(manifest, i)) != NULL; i++) {
        IngotDigest named;
        if (ingot_tag_is_version(tag) && storage_find_tag(storage, name, tag, &named, NULL) &&
            !ingot_digest_equal(&named, digest) && !digests_have(grown, &named) &&
            growth_find(storage, name, manifest, &named)) {
            g_array_append_val(grown, named);
        }
    }
    return grown;
}

static gboolean set_tags(Change *change, const char *name, gint64 blob, const StorageManifest *manifest,
                         const IngotDigest *digest, GError **error)
{
    const char *tag;
    gboolean is_sha512 = manifest->named != NULL && manifest->named->is_sha512;
    gint64 repository = repositories_make(change->writer, name, error);
    for (guint i = 0; repository >= 0 && (tag = nth_tag(manifest, i)) != NULL; i++) {
        if (!tag_is_left(change->storage, name, manifest, tag) &&
            !names_tag(change, name, tag, repository, blob, digest, manifest->cached, is_sha512, error)) {
            return FALSE;
        }
    }
    return repository >= 0;
}

gboolean storage_put_manifest(Storage *storage, const char *name, const StorageManifest *manifest, IngotDigest *digest,
                              GError **error)
{
    Change change;
    gint64 blob;
    Proven proven = {0}; /* what does not hold is replaced by what has come */
    ingot_digest_of(manifest->data, manifest->size, digest);
    g_autoptr(Table) table = manifest_table(manifest, digest);
    g_autoptr(GArray) grown = find_grown(storage, name, manifest, digest);
    if (!check_mentions(storage, name, manifest, digest, error) ||
        !proof_table(storage, table, &proven, G_MAXINT64, NULL, NULL, error) || !publish_prove(storage, table, error) ||
        !change_begin(storage, &change, error)) {
        return FALSE;
    }
    change.actor = manifest->actor;
    gboolean ok = may_tags(&change, name, manifest, digest, grown, error) &&
                  put_blob(&change, manifest, table, &blob, error) && names_link(&change, name, blob, digest, error) &&
                  (manifest->named == NULL || names_alias(&change, name, manifest->named, digest, error)) &&
                  names_manifest(&change, name, blob, digest, manifest, error) &&
                  set_tags(&change, name, blob, manifest, digest, error);
    return change_end(&change, ok, error);
}

gboolean storage_is_pushed(Storage *storage, const char *name, const char *tag)
{
    Tag row;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    return reader != NULL && tags_find(reader, name, tag, &row, NULL) && row.pushed;
}

gboolean storage_find_tag(Storage *storage, const char *name, const char *tag, IngotDigest *digest, GError **error)
{
    Tag row;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL || !tags_find(reader, name, tag, &row, error)) {
        return FALSE;
    }
    *digest = row.digest;
    return row.found || blob_unknown(error, "the tag");
}

/* The media type of a manifest; NOT_FOUND. */
static char *type_of(Storage *storage, const char *name, const IngotDigest *digest, GError **error)
{
    char *type;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL || !manifest_rows_type(reader, name, digest, &type, error)) {
        return NULL;
    }
    if (type == NULL) {
        blob_unknown(error, "the manifest");
    }
    return type;
}

gboolean storage_has_manifest(Storage *storage, const char *name, const IngotDigest *digest)
{
    g_autofree char *type = type_of(storage, name, digest, NULL);
    return type != NULL;
}

gboolean storage_has_pushed(Storage *storage, const char *name, const IngotDigest *digest)
{
    gboolean cached;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    gint64 repository = reader == NULL ? -1 : repositories_find(reader, name, NULL);
    return repository > 0 && cached_has(reader, repository, digest, &cached, NULL) && !cached &&
           storage_has_manifest(storage, name, digest);
}

static GBytes *read_all(StorageBlob *blob, GError **error)
{
    gsize size = (gsize)storage_blob_size(blob);
    if (size > MANIFEST_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "a manifest is too long");
        return NULL;
    }
    g_autofree guint8 *data = g_malloc(size + 1);
    return storage_blob_read_all(blob, 0, data, size, error) ? g_bytes_new_take(g_steal_pointer(&data), size) : NULL;
}

GBytes *storage_manifest(Storage *storage, const char *name, const IngotDigest *digest, char **media_type,
                         GError **error)
{
    g_autofree char *type = type_of(storage, name, digest, error);
    g_autoptr(StorageBlob) blob = type == NULL ? NULL : blob_load(storage, digest, error);
    GBytes *bytes = blob == NULL ? NULL : read_all(blob, error);
    if (bytes != NULL) {
        *media_type = g_steal_pointer(&type);
    }
    return bytes;
}

gboolean names_untag(Change *change, const char *name, gint64 repository, const char *tag, GError **error)
{
    Tag old;
    gboolean found;
    if (!tags_find(change->writer, name, tag, &old, error) ||
        !tags_drop(change->writer, repository, tag, change_time(change), &found, error)) {
        return FALSE;
    }
    if (!found) {
        return blob_unknown(error, "the tag");
    }
    gboolean cached = old.found && !old.pushed;
    change_log(change, "untag", name, "tag", tag, "origin", cached ? "upstream" : NULL, NULL);
    return change->redoes || !storage_is_channel(change->storage, name, tag) ||
           moves_note(change, name, tag, NULL, cached, error);
}

static gboolean remove_tag(Storage *storage, const StorageActor *actor, const char *name, const char *tag,
                           gboolean if_cached, GError **error)
{
    Change change;
    Tag row;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    change.actor = actor;
    gint64 repository = names_repository(change.writer, name, FALSE, error);
    gboolean ok = repository >= 0 && (if_cached || is_unguarded(&change, name, tag, error)) &&
                  tags_find(change.writer, name, tag, &row, error);
    if (ok && !(if_cached && (row.pushed || storage_is_guarded(storage, name, tag)))) {
        ok = repository > 0 ? names_untag(&change, name, repository, tag, error) : blob_unknown(error, "the tag");
    }
    return change_end(&change, ok, error);
}

gboolean storage_remove_tag(Storage *storage, const StorageActor *actor, const char *name, const char *tag,
                            GError **error)
{
    return remove_tag(storage, actor, name, tag, FALSE, error);
}

gboolean storage_withdraw_tag(Storage *storage, const StorageActor *actor, const char *name, const char *tag,
                              GError **error)
{
    return remove_tag(storage, actor, name, tag, TRUE, error);
}
