/* A node as a registry has it: one manifest, read once. For share.c and sharepull.c alone. */
#pragma once

#include <ingot/remote.h>

#include "base/file.h"
#include "cache/share.h"
#include "machine/machine.h"

/* A file of a node, besides its disk. */
typedef struct {
    const char *name; /* NODE_MEMORY, … */
    const char *type; /* media type of its layer */
} SharedFile;
extern const SharedFile shared_files[];
#define SHARED_FILES 2

typedef struct {
    char *digest; /* of the manifest, as text */
    Node *node;   /* as its config has it; no folder */
    gboolean has[SHARED_FILES];
    IngotDescriptor files[SHARED_FILES]; /* where has is set */
} Shared;
void shared_free(Shared *shared);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Shared, shared_free)

/* The tag of a stage's node. Free it. */
char *shared_tag(const IngotDigest *key);
/* What is under a tag. NONE: nothing, or nothing of this form (of an earlier Ingot, say). */
ShareState shared_read(const Share *share, IngotRemote *remote, const char *tag, Shared **shared, GError **error);
/* Takes the lock that is held as long as a node passes through the store. What an ended share has left there under its
 * registry's name is removed first, unless other shares are under way. */
IngotLock *shared_begin(const Share *share, GError **error);
/* Removes the name under which a node passed through the store. What can't be removed is told, and left to the next
 * share: the node has passed all the same. */
void shared_forget(const Share *share, const char *tag, const char *digest);
