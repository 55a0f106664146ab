/* The picture of one repository: what it has, what names it, what needs what, and the verdict on each.
 *
 * A manifest is needed that a tag names or a needed index mentions, or that is attached to a needed one, by its subject
 * or by a companion tag (companion.h); one that nothing needs stays for a grace since it was pushed, pulled or named
 * last. A blob is needed that a needed manifest mentions; another stays for a grace since it was pushed. What a policy
 * lets go of is as if its tag were not there, and stays for that other grace alone, as a blob does; what goes for want
 * of room (evict.h) has no grace. Where a manifest can't
 * be read and its needs are not known, nothing goes: a push of its bytes makes them known again. What a rebuild found
 * without a name stays for long (rebuild.h).
 *
 * The picture is taken without the writer: before anything is deleted, release.c asks once more. */
#pragma once

#include "server/catalogue/cached.h"
#include "server/catalogue/holdings.h"
#include "server/catalogue/used.h"
#include "server/pipeline/pipeline.h"
#include "server/storage/collect.h"

typedef struct {
    const HoldingLink *link;
    GArray *needs;    /* guint: other items that are needed with it; NULL: none */
    GArray *about;    /* guint: companion tags that are about it (companion.h); NULL: none */
    gboolean read;    /* what it mentions is known */
    gint64 used;      /* when it was pushed, pulled, or named by a tag, last */
    gint64 pulled;    /* 0: never */
    gboolean tagged;  /* by a tag that stays */
    gboolean follows; /* companion tags name it: it goes with what they are about */
    gboolean cached;  /* a manifest that came from an upstream */
    gboolean evicted; /* it goes for want of room, or what needs it does */
    gboolean expired; /* a tag of it goes by a policy, or of what needs it */
    gboolean needed;
    gboolean goes;
} PictureItem;

typedef struct {
    const HoldingTag *tag;
    guint item;
    gboolean companion;  /* it is about a manifest (companion.h), */
    IngotDigest subject; /* this one, */
    gboolean follows;    /* which the repository has: the tag goes with it, whatever a policy says */
    gboolean goes;
} PictureTag;

typedef struct {
    gint64 repository;
    char *name;
    gint64 now;
    Pipeline *pipeline;                       /* which tags are channels; set before it is judged */
    GArray *rows_tags, *rows_links, *history; /* as catalogue/holdings.h has them */
    gboolean forgotten;                       /* pulls are noted of what is not there any more */
    gboolean blind;                           /* a manifest can't be read or is lost, so nobody knows what it needs */
    const IngotDigest *unread;                /* that manifest; NULL: it is not known */
    GHashTable *index;                        /* const IngotDigest * -> index of the item + 1 */
    GArray *items;                            /* of PictureItem */
    GArray *tags;                             /* of PictureTag */
} Picture;

/* NULL: an error; CORRUPT: a row is damaged, and nothing of the repository can be judged. */
Picture *picture_new(Connection *reader, gint64 repository, const char *name, GError **error);
void picture_free(Picture *picture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Picture, picture_free)

/* Says what goes. */
void picture_judge(Picture *picture, const CollectOptions *options);
/* GArray of guint: the manifests that go, each before what it needs; free it. */
GArray *picture_order(const Picture *picture);
PictureItem *picture_item(const Picture *picture, guint index);
/* NULL: the repository does not have it. */
PictureItem *picture_find(const Picture *picture, const IngotDigest *digest);

/* Marks the tags that go by a policy (retention.c). */
void retention_apply(Picture *picture, const GArray *keeps);
