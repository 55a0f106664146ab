/* The blobs of a store, for the rooms that move whole images: a file becomes a blob, and what is known of a disk's
 * frames lies beside its blob. */
#pragma once

#include <ingot/store.h>

/* A file on the store's file system to write a blob to. ingot_store_adopt makes it the blob of that digest (the caller
 * has checked it), fsyncs it, replaces a damaged one, and leaves a download that resumes where it can't;
 * ingot_store_discard drops it. Both free file. */
typedef struct {
    char *path;
    int fd; /* locked, so that no other process sweeps the file */
    gboolean resumes;
} IngotStoreFile;
IngotStoreFile *ingot_store_create(IngotStore *store, GError **error);
/* The same for a download that resumes: one name per digest, kept when the process dies. *fresh tells whether it is
 * new. Waits while another process fetches the same blob. */
IngotStoreFile *ingot_store_resume(IngotStore *store, const IngotDigest *digest, gboolean *fresh, GError **error);
/* Removes what such a download has left, where nobody is busy with it: for whoever will not go on with it. */
void ingot_store_drop_partial(IngotStore *store, const IngotDigest *digest);
gboolean ingot_store_adopt(IngotStore *store, IngotStoreFile *file, const IngotDigest *digest, GError **error);
void ingot_store_discard(IngotStoreFile *file);
/* Closes and leaves a resumable file where it is. */
void ingot_store_suspend(IngotStoreFile *file);

/* Ends this thread's holds of the blob: for whoever gives up what it was for. */
void ingot_store_let_go(IngotStore *store, const IngotDigest *digest);

/* Keeps what the disk's index knows of its frames, for as long as the disk is there; where nothing is known, or it
 * can't be written, nothing happens. */
void ingot_store_keep_frames(IngotStore *store, const IngotDigest *disk, const IngotIndex *index);
/* FALSE: nothing whole is kept of them. What is kept is a hint: whoever is told of a frame compares it. */
gboolean ingot_store_load_frames(IngotStore *store, const IngotDigest *disk, IngotIndex *index);
void ingot_store_drop_frames(IngotStore *store, const IngotDigest *disk);
