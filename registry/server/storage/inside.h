/* What the files of this room share of a Storage. Nobody else includes this.
 *
 * Who changes what: a Change is the one way to write to the catalogue. It holds the writer, so changes come one after
 * another; the pack that it puts and what it adds to the log of events are flushed before the catalogue commits, and
 * count only from then on. Locks are taken in this order: an upload, a change, all uploads, blobs. */
#pragma once

#include "base/file.h"
#include "base/json.h"

#include "server/catalogue/database.h"
#include "server/catalogue/pieces.h"
#include "server/events/eventlog.h"
#include "server/packs/packs.h"
#include "server/packs/segment.h"
#include "server/packs/splitter.h"
#include "server/pipeline/pipeline.h"
#include "server/storage/blobcache.h"
#include "server/storage/keptmanifests.h"
#include "server/storage/mentions.h"
#include "server/storage/notes.h"
#include "server/storage/proof.h"
#include "server/storage/storage.h"
#include "server/storage/versionnames.h"

struct Storage {
    char *path;
    IngotLock *lock;
    gboolean shared; /* with other processes that serve the folder */
    Database *catalogue;
    Packs *packs;
    char *events; /* path of the log of events; changes alone write to it */
    StorageLimits limits;

    char *self; /* what uploads are owned by: another one at each opening */
    GMutex uploads_lock;
    GHashTable *uploads;        /* id -> Upload: those that are at hand (session.h) */
    guint brief;                /* of them, that have no row */
    guint64 incoming;           /* bytes that have come of them and are in no pack */
    GThreadPool *hashers;       /* of Offer: offer_hash */
    GThreadPool *frame_readers; /* framesum.h's */
    gint turns;                 /* atomic: of requests that have begun to add to an upload */

    GMutex flush_lock; /* of who writes pulls down; before the writer's */
    GMutex pulls_lock;
    GHashTable *pulls; /* "NAME@DIGEST" -> Pull (pulls.c), not yet in the catalogue */

    GMutex links_lock;
    GHashTable *links;   /* "NAME@DIGEST" of what repositories have, as of links_epoch */
    guint64 links_epoch; /* the catalogue's sequence */

    KeptManifests *manifests;    /* what is kept of manifests */
    VersionNames *version_names; /* and of the versions that name them */

    GMutex readers_lock;  /* of who moves the lease of readers (readers.h) */
    gint64 readers_epoch; /* of that lease */
    gint64 readers_until; /* when it lapses (seconds), under stats_lock; 0: there is none */

    GMutex aliases_lock;
    GHashTable *aliases;   /* key of a SHA-512 -> SHA-256 (IngotDigest), as of aliases_epoch */
    guint64 aliases_epoch; /* the catalogue's sequence */

    GMutex pipelines_load; /* of who reads them from the catalogue; before the other */
    GMutex pipelines_lock;
    GPtrArray *pipelines;       /* of Pipeline *: those that were applied (channels.h) */
    gint64 pipelines_changes;   /* the catalogue's number (counters.h) as they were read; negative: never yet */
    guint64 pipelines_sequence; /* the catalogue's sequence, as of which it was that */
    guint pipelines_put;        /* how often this process has put some */
    guint pipelines_read;       /* how often it had when they were read */
    Pipeline *usual_pipeline;   /* of names that none of them fits */

    BlobCache *cache; /* what is kept of blobs */
    Notes *notes;
    Proof *proof; /* of the pieces that pushes count on */

    GMutex stats_lock;
    StorageStats stats;
};

/* --- opening (storage.c) --- */

/* shared: with others that take it so. EXISTS if another process has it otherwise. */
IngotLock *storage_lock(const char *path, gboolean shared, GError **error);
/* The folder as it is, without a look at whether catalogue and log agree. Takes no lock. */
Storage *storage_open_bare(const char *path, GError **error);
/* An empty catalogue, whose name has that suffix, over the packs and the log that are there. Takes no lock. */
Storage *storage_open_beside(const char *path, const char *suffix, GError **error);

/* --- changes (storage.c) --- */

typedef struct {
    Storage *storage;
    Connection *writer;
    const StorageActor *actor; /* who changes names; NULL: not known. Set behind change_begin */
    gint64 at;                 /* when it happens, seconds; 0: now */
    GPtrArray *events;         /* of json_t, for the log */
    gint64 own_pack;           /* that it put; 0: none */
    gboolean redoes;           /* what the log tells: its events are known, those of moves among them */
    gboolean moved;            /* pieces have other places now, or none */
} Change;

/* FALSE: no change has begun. */
gboolean change_begin(Storage *storage, Change *change, GError **error);
/* Commits where ok is TRUE; else, or if that fails, nothing of it has happened. */
gboolean change_end(Change *change, gboolean ok, GError **error);
/* An event {op, name, …}: pairs of key and text ended by NULL; a NULL text is left out. */
void change_log(Change *change, const char *op, const char *name, ...) G_GNUC_NULL_TERMINATED;
gint64 storage_now(void); /* seconds */
/* When the change happens: what an event tells again has happened before. */
gint64 change_time(const Change *change);

/* --- publishing: new pieces and the blob they make (publish.c) --- */

/* Before a change with publish_brings. A blob that is there, cut in another way than the table is, is read: whether it
 * is whole is known from then on. (Of what is cut alike, the pieces have been read on their way into the table.) */
gboolean publish_prove(Storage *storage, const Table *table, GError **error);
/* Whether a table is of use: the blob is not there (0), it can't be read as it is cut there, or the table's new pieces
 * replace damaged ones. CORRUPT: a piece that the table counts on, and does not bring, has been found damaged
 * meanwhile. *found (may be NULL): what the catalogue has of each piece; free it. */
gboolean publish_brings(Change *change, const Table *table, gint64 blob, gboolean *brings, PieceRow **found,
                        GError **error);
/* The rows of a segment that stands in a pack at `at`. *blob is the id of its blob if that is there already, else 0; it
 * receives the new one's. One that is there is cut as the table is from now on where it can't be read as it was. */
gboolean publish_rows(Change *change, const Table *table, gint64 pack, guint64 at, gint64 *blob, GError **error);
/* Puts a pack of one segment whose new pieces' bytes are `data`. Compaction merges the small packs that this leaves. */
gboolean publish_small(Change *change, const Table *table, const void *data, gint64 *blob, GError **error);
/* Puts a file of segments as a pack, of which nothing is known yet but its size. The file's own name stays. */
gboolean publish_pack(Change *change, const char *path, guint64 size, gint64 *number, GError **error);
/* The same with a file of one segment, and the rows of all that it tells. found: as publish_brings found them in the
 * same change. */
gboolean publish_file(Change *change, const Table *table, const PieceRow *found, const char *path, guint64 size,
                      gint64 *blob, GError **error);

/* --- names (names.c) --- */

/* Its id; 0 where it is not there (and make is FALSE), -1 on failure. */
gint64 names_repository(Connection *connection, const char *name, gboolean make, GError **error);
gint64 names_blob(Connection *connection, const IngotDigest *digest, GError **error); /* likewise */
gboolean names_link(Change *change, const char *name, gint64 blob, const IngotDigest *digest, GError **error);

/* Whether the repository has all that a manifest of it mentions (GArray of Mention), as that says; NOT_FOUND, INVALID,
 * where *wrong receives the mention. */
gboolean names_has_mentioned(Storage *storage, Connection *connection, const char *name, gint64 repository,
                             const GArray *mentions, const Mention **wrong, GError **error);
gboolean names_manifest(Change *change, const char *name, gint64 blob, const IngotDigest *digest,
                        const StorageManifest *manifest, GError **error);
/* cached: as an upstream has it. Such a tag leaves alone what was pushed; any other makes its manifest one that was
 * pushed, which is never evicted. */
gboolean names_tag(Change *change, const char *name, const char *tag, gint64 repository, gint64 blob,
                   const IngotDigest *digest, gboolean cached, gboolean is_sha512, GError **error);
gboolean names_untag(Change *change, const char *name, gint64 repository, const char *tag, GError **error);
/* The blob is known by that digest as well from now on (aliases.c). Nothing happens where it is its SHA-256. */
gboolean names_alias(Change *change, const char *name, const OciDigest *alias, const IngotDigest *digest,
                     GError **error);
/* Takes a blob away from a repository: as a manifest too, with its tags and what it mentions. */
gboolean names_remove(Change *change, const char *name, gint64 repository, gint64 blob, const IngotDigest *digest,
                      GError **error);

/* --- records (records.c, moves.c, pushers.c) --- */

#define RECORD_MOVE "move" /* key: the move's number, with zeros in front */

/* body NULL: removes it. */
gboolean record_put(Change *change, const char *kind, const char *name, const char *key, const json_t *body,
                    GError **error);
/* One that has no such place: an error where there is one already. */
gboolean record_add(Change *change, const char *kind, const char *name, const char *key, const json_t *body,
                    GError **error);
/* What an event "record" has done. */
gboolean record_redo(Change *change, const json_t *event, GError **error);
/* A channel has moved to the digest (NULL: it is gone). cached: an upstream's, that a cache has taken or lets go of. */
gboolean moves_note(Change *change, const char *name, const char *tag, const IngotDigest *digest, gboolean cached,
                    GError **error);
/* A move that the log tells. Another one that has its number already stays, and this one gets the next: a catalogue
 * that had lost a row may have given the number twice. */
gboolean moves_redo(Change *change, const char *name, const char *key, const json_t *body, GError **error);

/* The actor has pushed the image. */
gboolean pushers_note(Change *change, const char *name, const IngotDigest *image, GError **error);

/* --- blobs (blob.c) --- */

StorageBlob *blob_load(Storage *storage, const IngotDigest *digest, GError **error);
/* Places have changed: what is kept of blobs is forgotten. */
void blob_forget(Storage *storage);
gboolean blob_unknown(GError **error, const char *what); /* NOT_FOUND, FALSE */
/* Loads a window. may_be_gone, *lost: as for window_load. */
Window *blob_read_window(StorageBlob *blob, guint number, gboolean may_be_gone, gint64 *lost, GError **error);
/* Notes that a piece is not what its digest says, and waits until the catalogue has it. One that has another place by
 * now is not meant. */
void blob_damaged(Storage *storage, const IngotDigest *piece, gint64 pack, guint64 offset);
/* Notes that a pack is missing: none of its pieces counts as whole. */
void blob_pack_lost(Storage *storage, gint64 pack);
