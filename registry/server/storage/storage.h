/* Storage: all that the server keeps, behind one narrow door.
 *
 * Every distinct piece (a frame of a disk, or a run of any other blob) is stored once, in append-only packs; a SQLite
 * catalogue tells where each is, which blob is made of which, and which repository has which blob, manifest and tag.
 *
 * Invariants: a blob that can be opened has the digest of its name; bytes are checked against the digest of their piece
 * before they are given out. What is acknowledged was flushed before. A tag names one manifest; moving it is atomic. A
 * repository sees only blobs that were pushed or mounted to it. All functions are thread safe. Names, tags and digests
 * have been checked against their grammar by the caller. */
#pragma once

#include <ingot/digest.h>
#include <jansson.h>

#include "base/ocidigest.h"

typedef struct Storage Storage;

#define STORAGE_FROM_SIZE 48 /* bytes: an address, with its end */

/* Who changes a name, from where, and why: kept in the log of events. Either text may be NULL: it is not known. */
typedef struct {
    const char *name;             /* a user, or the part of the server that does it by itself */
    const char *reason;           /* as the user gave it */
    char from[STORAGE_FROM_SIZE]; /* the address of the client; "": not known, or by no request */
    const char *how;              /* a channel is moved: promote, rollback; NULL: push, or remove */
    gboolean forced;              /* although gates refused */
    const char *request;          /* a channel is moved: the key by which a repetition is known; NULL: none */
    const json_t *gates;          /* a channel is moved: what its gates have said; NULL: none was asked */
} StorageActor;
typedef struct StorageBlob StorageBlob;

/* Takes the folder for this process alone (EXISTS if another has it); drops what ended uploads left. */
Storage *storage_open(const char *path, GError **error);
/* The same, beside others that open it so: all that they share is in the folder. */
Storage *storage_open_shared(const char *path, GError **error);
void storage_close(Storage *storage);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Storage, storage_close)
const char *storage_path(const Storage *storage); /* of its folder */

typedef struct {
    guint64 total;       /* bytes that packs may take; 0: no limit */
    guint64 repository;  /* bytes that the blobs of one repository may have together; 0: no limit */
    guint64 blob;        /* bytes of one blob, as it is read; 0: no limit */
    guint uploads;       /* that may be under way; 0: no limit */
    guint64 cache;       /* bytes of pieces, beyond which images of upstreams go again (evict.h); 0: no limit */
    guint64 log;         /* bytes of the log of events from which on it begins anew (condense.h); 0: never */
    guint64 keep_events; /* seconds for which a log of before is kept; 0: for ever */
    const char *sparse;  /* repositories whose indexes may lack manifests, as a pattern; NULL: none. It stays */
} StorageLimits;
#define UPLOADS_MAX 4096u /* a sensible limit of them */
/* Before others use the storage. */
void storage_limit(Storage *storage, const StorageLimits *limits);
/* Whether something can be kept now: DENIED or NO_SPACE otherwise. */
gboolean storage_writable(Storage *storage, GError **error);

typedef struct {
    guint64 pieces, blobs; /* that are there */
    guint64 logical;       /* bytes of all blobs, each counted once */
    guint64 stored;        /* bytes of their pieces */
    guint64 packed;        /* bytes of all packs: with what is dead in them */
    guint64 damaged;       /* pieces found damaged and not yet replaced */
    guint64 damage_found;  /* since the start */
    guint64 windows;       /* of blobs' maps that were read since the start */
    guint uploads;         /* that have begun and not ended */
} StorageStats;
gboolean storage_stats(Storage *storage, StorageStats *stats, GError **error);

/* --- digests as clients write them (base/ocidigest.h) ---
 *
 * All functions here take the SHA-256 of what is meant. A blob that came under a SHA-512 is found by that as well. */

/* The SHA-256 of what is named; of a SHA-512 that is not known here its key, which nothing has. */
gboolean storage_resolve(Storage *storage, const OciDigest *named, IngotDigest *digest, GError **error);
/* The same where memory knows it; else FALSE. No disk is read for it. */
gboolean storage_resolve_known(Storage *storage, const OciDigest *named, IngotDigest *digest);
/* Both from a text: INVALID where it is no digest. */
gboolean storage_digest(Storage *storage, const char *text, IngotDigest *digest, GError **error);
gboolean storage_digest_known(Storage *storage, const char *text, IngotDigest *digest);
/* Works out the SHA-512 of a manifest of the repository, by which it is found as well from then on. Nothing happens
 * where there is no such manifest. */
gboolean storage_find_alias(Storage *storage, const StorageActor *actor, const char *name, const IngotDigest *manifest,
                            GError **error);
/* Resolves what a manifest mentions (GArray of Mention). */
gboolean storage_resolve_mentions(Storage *storage, GArray *mentions, GError **error);

/* --- blobs (manifests are blobs too) --- */

/* A blob of a repository; NOT_FOUND. It can be read to its end whatever happens meanwhile. */
StorageBlob *storage_blob(Storage *storage, const char *name, const IngotDigest *digest, GError **error);
/* The same where memory has it; else NULL. No disk is read for it, and no lock waited for that is held over I/O. */
StorageBlob *storage_blob_known(Storage *storage, const char *name, const IngotDigest *digest);
StorageBlob *storage_blob_ref(StorageBlob *blob);
void storage_blob_unref(StorageBlob *blob);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageBlob, storage_blob_unref)
guint64 storage_blob_size(const StorageBlob *blob);
/* Whether a part of it is known to be damaged: it can't be read as a whole, and is to be pushed again. */
gboolean storage_blob_damaged(const StorageBlob *blob);
/* Up to size bytes from offset, at least one; 0 at the end; -1: CORRUPT, no damaged byte is given out. */
gssize storage_blob_read(StorageBlob *blob, guint64 offset, void *buffer, gsize size, GError **error);
/* All of these bytes, which the blob must have. */
gboolean storage_blob_read_all(StorageBlob *blob, guint64 offset, void *buffer, gsize size, GError **error);
/* Whether the range is one run of one file, all of it found whole already: *fd (close it) at *at then has it. */
gboolean storage_blob_run(StorageBlob *blob, guint64 offset, guint64 length, int *fd, guint64 *at);
/* Up to size bytes from offset: those before the first that has not been found whole, or that is on the disk alone.
 * 0: none. It waits for no disk. */
gsize storage_blob_read_at_once(StorageBlob *blob, guint64 offset, void *buffer, gsize size);

/* The frames that it is made of, as storage_upload_offer takes them; free it. */
GBytes *storage_blob_frames(StorageBlob *blob, gboolean (*gone)(gpointer user), gpointer user, GError **error);
/* How many. */
guint storage_blob_count(const StorageBlob *blob);

gboolean storage_has(Storage *storage, const char *name, const IngotDigest *digest);
/* And none of it is known to be damaged or lost. */
gboolean storage_is_whole(Storage *storage, const char *name, const IngotDigest *digest);
/* Whether that was found before and nothing has changed since. */
gboolean storage_has_known(Storage *storage, const char *name, const IngotDigest *digest);
/* Packs and pieces that another process has removed are kept no longer than they are read: their room comes back. To be
 * called now and then. */
void storage_let_go(Storage *storage);
/* Makes a blob of one repository visible in another; FALSE without an error: there is none, or a part of it is damaged
 * and its bytes are to come again. */
gboolean storage_mount(Storage *storage, const StorageActor *actor, const char *from, const char *name,
                       const IngotDigest *digest, GError **error);
/* With the channels that need it, where no pipeline guards them; else as storage_remove_beside_channels. */
gboolean storage_remove_blob(Storage *storage, const StorageActor *actor, const char *name, const IngotDigest *digest,
                             GError **error);

/* --- uploads: bytes in order, then a digest that must fit (INVALID) ---
 *
 * What came stays until the upload is finished or dropped, or nobody has gone on with it for a day: whoever is told of
 * an error asks for the size, and goes on from there, in this process or another one that shares the folder. What there
 * was no room for stays a quarter of an hour. */

typedef struct {
    const char *name; /* the repository that it goes to */
    const char *user; /* who sends it; NULL: nobody is known */
    guint64 network;  /* where from: what clients of one network are working on has a bound; 0: not known */
    gboolean sha512;  /* it will be finished by its SHA-512, which is worked out as bytes come */
    gboolean brief;   /* nobody but the caller goes on with it: nothing of it outlives the process */
} StorageUpload;
/* Its id; free it. EXISTS: as many as may be are under way. */
char *storage_upload_new(Storage *storage, const StorageUpload *about, GError **error);
/* How many of a user's are under way. */
gboolean storage_upload_count(Storage *storage, const char *user, guint *count, GError **error);
/* A request begins that brings bytes: from now on its turn alone may add to the upload, or finish it. network: where it
 * comes from, as in StorageUpload. from: where its bytes begin (NULL: it does not say); where the upload does not stand
 * there, *turn is 0, and nobody's turn ends. INTERRUPTED, as from all that work on an upload of which frames were
 * offered: too many of them are worked on now. */
gboolean storage_upload_begin(Storage *storage, const char *id, guint64 network, const guint64 *from, guint *turn,
                              guint64 *size, GError **error);
/* How far it has come. To ask takes it from nobody: of one that another process has, what that has kept, which is the
 * least that whoever goes on with it finds. */
gboolean storage_upload_size(Storage *storage, const char *id, guint64 *size, GError **error);
/* Bytes that belong at `at`, which must be the upload's size. EXISTS: another request has gone on with it, and had the
 * turn (0: whoever has it). DENIED: the blob is larger than the limit, or the repository's quota is used up. */
gboolean storage_upload_add(Storage *storage, const char *id, guint turn, guint64 at, const void *data, gsize size,
                            GError **error);
/* What has come is on the disk when this returns: so many bytes. */
gboolean storage_upload_settle(Storage *storage, const char *id, guint turn, guint64 *size, GError **error);
/* Before any byte has come: the frames (36 bytes each: SHA-256, u32 length little-endian) that the blob is made of, in
 * order, at most 1 MiB each. `missing` receives a bit for each (the lowest of each byte first): set where the frame is
 * not here, once for each frame; those alone then come, one after another. A frame counts as here if a repository that
 * may_see allows (NULL: any) has it. */
typedef gboolean (*StorageStop)(gpointer user);
typedef gboolean (*StorageMaySee)(const char *repository, gpointer user);
gboolean storage_upload_offer(Storage *storage, const char *id, const void *frames, gsize size, StorageMaySee may_see,
                              gpointer user, GByteArray *missing, GError **error);
/* Whether a repository may have a blob of so many bytes more; LIMIT: its quota. */
gboolean storage_has_quota(Storage *storage, const char *name, guint64 bytes, GError **error);
/* Whether so many bytes more have room in all; NO_SPACE: the limit of all packs together. What uploads have kept for
 * too long gives its room first. */
gboolean storage_has_room(Storage *storage, guint64 bytes, GError **error);
/* The request of storage_upload_begin's turn has ended: what has come is kept on the disk. */
void storage_upload_pause(Storage *storage, const char *id);
gboolean storage_upload_finish(Storage *storage, const StorageActor *actor, const char *id, guint turn,
                               const char *name, const IngotDigest *digest, GError **error);
/* The same by a digest of either algorithm. Where that has to be worked out from bytes that are not hashed yet, stop is
 * asked now and then whether to give up: INTERRUPTED, and the upload stays. With stop it is INTERRUPTED too where the
 * frames of an offer are not hashed within some seconds, or after a wrong digest not all read: another try finds more
 * of them hashed, or read. NULL: until it is done. */
gboolean storage_upload_finish_named(Storage *storage, const StorageActor *actor, const char *id, guint turn,
                                     const char *name, const OciDigest *digest, StorageStop stop, gpointer user,
                                     GError **error);
/* Whether its end has to wait for hashes. Nothing of it is read for this. */
gboolean storage_upload_ends_late(Storage *storage, const char *id, gboolean by_sha512);
gboolean storage_upload_drop(Storage *storage, const char *id, GError **error);

/* --- manifests: kept with their media type --- */

typedef struct {
    const void *data;
    gsize size;
    const char *type;           /* media type */
    const char *tag;            /* NULL: none */
    const IngotDigest *subject; /* whose referrer it is (the key of what the manifest names); NULL: none */
    const char *subject_text;   /* as the manifest names it; NULL: by a SHA-256 */
    const char *artifact;       /* its kind (mentions.h), "" for none; NULL: it is not known */
    const IngotDigest *base;    /* what it says that it stands on (bases.h); NULL: nothing */
    const char *base_name;      /* the repository that it says that is of; NULL: none */
    const OciDigest *named;     /* what the client calls it, which its bytes have; NULL: by no digest */
    const GArray *mentions;     /* of Mention (mentions.h): what it names and needs */
    const StorageActor *actor;  /* NULL: nobody is known */
    gboolean partial;           /* what it needs may come later: it is a copy of what is elsewhere */
    gboolean cached;            /* it can be had from an upstream again, unless it was pushed before; a tag that was
                                   pushed stays as it is */
    gboolean copied;            /* it comes from another registry: no channel that a pipeline of here guards is set */
    /* When the tag may be set: what it must name before; that it must not be there; that a version may not name
     * another one, but one that has grown from it (growth.h). */
    const IngotDigest *expected; /* NULL: whatever it names */
    gboolean only_new, fixed;
    gboolean promotes;          /* whoever puts it may set channels; its media type may change though one names it */
    const char *const *further; /* more tags, set with it, all or none; NULL: none */
} StorageManifest;
/* NOT_FOUND, INVALID: what it needs is not here, or has another size. EXISTS: the tag may not be set, by the
 * conditions or since it is a channel that a pipeline guards. */
gboolean storage_put_manifest(Storage *storage, const char *name, const StorageManifest *manifest, IngotDigest *digest,
                              GError **error);
gboolean storage_find_tag(Storage *storage, const char *name, const char *tag, IngotDigest *digest, GError **error);
/* Whether there is such a tag and it was pushed here: no upstream moves it. */
gboolean storage_is_pushed(Storage *storage, const char *name, const char *tag);
/* Whether an index of the repository may lack manifests that it names: they are elsewhere, or were removed. */
gboolean storage_is_sparse(const Storage *storage, const char *name);
gboolean storage_has_manifest(Storage *storage, const char *name, const IngotDigest *digest);
/* And it was pushed here: it is not only a copy of what an upstream has. */
gboolean storage_has_pushed(Storage *storage, const char *name, const IngotDigest *digest);
/* The bytes and media type of a manifest; NOT_FOUND. */
GBytes *storage_manifest(Storage *storage, const char *name, const IngotDigest *digest, char **media_type,
                         GError **error);
/* EXISTS: it is a channel that a pipeline guards. */
gboolean storage_remove_tag(Storage *storage, const StorageActor *actor, const char *name, const char *tag,
                            GError **error);
/* The same of a tag that an upstream had, and has no more; one that was pushed here stays, and so does a channel that a
 * pipeline guards. */
gboolean storage_withdraw_tag(Storage *storage, const StorageActor *actor, const char *name, const char *tag,
                              GError **error);
/* EXISTS: an index of the repository names it, and none there may lack a manifest. Channels: as storage_remove_blob. */
gboolean storage_remove_manifest(Storage *storage, const StorageActor *actor, const char *name,
                                 const IngotDigest *digest, GError **error);
/* Removes a manifest or any blob, unless a channel (channels.h) names it or needs it: DENIED then. */
gboolean storage_remove_beside_channels(Storage *storage, const StorageActor *actor, const char *name,
                                        const IngotDigest *digest, gboolean manifest, GError **error);

/* Sorted lists: free with g_strfreev. An unknown repository is NOT_FOUND. */
char **storage_tags(Storage *storage, const char *name, GError **error);
/* Adds the digests that a tag named before (IngotDigest, of g_malloc) to a set. */
void storage_tag_history(Storage *storage, const char *name, const char *tag, GHashTable *digests);
char **storage_repositories(Storage *storage, GError **error);
/* Those that have the blob. */
char **storage_holders(Storage *storage, const IngotDigest *digest, GError **error);

typedef struct {
    IngotDigest digest;
    char *type;     /* media type */
    char *artifact; /* kind of artifact; "": none */
    guint64 size;   /* bytes of the manifest */
    char *alias;    /* its SHA-512 as text; NULL: it is not known */
} StorageReferrer;
/* GArray of StorageReferrer: at most `most` of the manifests whose subject has that digest (or key), in the order of
 * their digests: those behind `after` (NULL: from the first), of that kind (NULL: any). */
GArray *storage_referrers(Storage *storage, const char *name, const IngotDigest *subject, const char *artifact,
                          const IngotDigest *after, guint most, GError **error);
/* For whoever has to know of all: CORRUPT where one may be missing in these lists, since it is damaged in the
 * catalogue. */
gboolean storage_check_referrers(Storage *storage, const char *name, const IngotDigest *subject, GError **error);

typedef struct {
    char *tag;
    IngotDigest digest; /* of the manifest that it names */
    gint64 made;        /* when it was set (seconds) */
    guint64 size;       /* bytes of the manifest */
    char *type;         /* its media type */
} StorageVersion;
/* GArray of StorageVersion: at most `most` tags of a repository behind `after` (NULL: from the first), sorted as
 * distribution-spec has it ("Listing Tags"): letter case decides only between what is else the same. NOT_FOUND. */
GArray *storage_versions(Storage *storage, const char *name, const char *after, guint most, GError **error);
/* Each digest (as text) that versions of a repository name, themselves or as an entry of an index, with the highest of
 * them. Others have it too: nobody changes it. NOT_FOUND. */
GHashTable *storage_version_names(Storage *storage, const char *name, GError **error);
/* The highest version that names a manifest of the repository; NULL: none does, or it can't be read. Free it. */
char *storage_version_of(Storage *storage, const char *name, const IngotDigest *digest);

/* --- measures: what was found out about an image at some cost, kept for as long as its manifest --- */

/* NULL: nothing is kept under that name. Free it. */
GBytes *storage_measure(Storage *storage, const IngotDigest *manifest, const char *what);
void storage_keep_measure(Storage *storage, const IngotDigest *manifest, const char *what, GBytes *value);
