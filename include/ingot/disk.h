/* Reading a packed disk back: every chunk is checked against the index before a byte of it is used. Thread safe.
 *
 * A chunk is checked by its digest. A disk that remembers (ingot_disk_remember) checks by its digest once, and keeps a
 * checksum of the frame that the chunk was found right by; from then on the frame is checked by that. It finds whatever
 * becomes of the stored bytes: a bit that flips on the disk without a trace in the file's times, a part that is cut off
 * or written over. Only the digest finds bytes that somebody has made to have the checksum in a table that he could
 * write as well; and a fault of the processor or the memory while a chunk is decompressed. */
#pragma once

#include <ingot/index.h>
#include <ingot/progress.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef struct IngotDisk IngotDisk;

/* The blob at path, which may not be a symbolic link, by its index (a reference is taken). A blob of another length or
 * another seek table than the index tells is CORRUPT. */
IngotDisk *ingot_disk_open(const char *path, IngotIndex *index, GError **error);
/* Reads all of these bytes of a blob, or fails; called by several threads at a time. */
typedef gboolean (*IngotDiskBlob)(gpointer blob, guint64 offset, void *buffer, gsize size, GError **error);
/* Before the first read. table: what ingot_disk_table gave for the same blob before; one that is damaged or another's
 * is passed over; NULL: there is none. */
void ingot_disk_remember(IngotDisk *disk, GBytes *table);
/* What is to be remembered of the blob: each chunk was found right by its digest, at some time. NULL: not each, or
 * there is nothing new. Free it. */
GBytes *ingot_disk_table(IngotDisk *disk);
/* A blob that is kept in some other way: free_blob (may be NULL) is called on it in the end. name: of it, in errors. */
IngotDisk *ingot_disk_new(IngotDiskBlob read, gpointer blob, GDestroyNotify free_blob, const char *name,
                          IngotIndex *index);
void ingot_disk_free(IngotDisk *disk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotDisk, ingot_disk_free)

/* Keeps chunks that were decoded and checked, for those who read again. Called by several threads at a time. */
typedef struct {
    /* FALSE: it does not have all of the range. */
    gboolean (*find)(gpointer user, guint64 offset, void *buffer, gsize size);
    void (*keep)(gpointer user, guint number, const void *chunk); /* no hole */
    gpointer user;
} IngotDiskCache;
/* For ingot_disk_read of a disk that is not joined yet, before it is called; the cache is the caller's and outlives the
 * disk. */
void ingot_disk_set_cache(IngotDisk *disk, const IngotDiskCache *cache);
/* Asked before each ingot_disk_read, of holes too, by several threads at a time: FALSE (with an error) is that read's
 * answer. A long work on the disk ends by it. */
typedef gboolean (*IngotDiskGate)(gpointer user, GError **error);
void ingot_disk_set_gate(IngotDisk *disk, IngotDiskGate gate, gpointer user);

const IngotIndex *ingot_disk_index(const IngotDisk *disk); /* not of joined ones */

/* Several disks as one range of bytes: each has a base in it, a whole number of INGOT_DISK_BASE, and what lies between
 * them reads as zeros. So a byte of any of them has one offset, by which layouts and the calls below find it; what is
 * about chunks, caches and sums is asked of the members. The list, of one disk at least, and its disks are taken over;
 * one disk alone is itself, its only member at base 0. */
#define INGOT_DISK_BASE ((guint64)64 << 20) /* bytes */
IngotDisk *ingot_disk_join(GPtrArray *disks);
guint ingot_disk_count(const IngotDisk *disk);
IngotDisk *ingot_disk_member(IngotDisk *disk, guint i); /* the disk's own */
guint64 ingot_disk_base(const IngotDisk *disk, guint i);
/* The last member whose base is not behind the offset. */
guint ingot_disk_at(const IngotDisk *disk, guint64 offset);
/* Bytes of all members, without what lies between them. */
guint64 ingot_disk_size(const IngotDisk *disk);

/* Any range of the disk. */
gboolean ingot_disk_read(IngotDisk *disk, guint64 offset, void *buffer, gsize size, GError **error);

/* Goes through the whole disk on all cores: take gets every byte that is in no hole, checked, once, in any order and
 * from several threads at a time; it returns FALSE with an error to stop. */
typedef gboolean (*IngotDiskTake)(guint64 offset, const void *data, gsize size, gpointer user, GError **error);
gboolean ingot_disk_each(IngotDisk *disk, IngotDiskTake take, gpointer user, IngotProgress *progress, GError **error);
/* The raw disk (not joined ones) to a descriptor that cannot seek (a pipe). */
gboolean ingot_disk_stream(IngotDisk *disk, int fd, IngotProgress *progress, GError **error);
/* Reads and checks everything, writes nothing. */
gboolean ingot_disk_verify(IngotDisk *disk, IngotProgress *progress, GError **error);

#pragma GCC visibility pop
G_END_DECLS
