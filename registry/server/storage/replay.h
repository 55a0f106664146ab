/* A replay: what repositories have by the log of events alone, without bytes: which blobs, manifests and tags. A scrub
 * compares it with the catalogue; a rebuild finds by it what could not be had again, by name.
 *
 * An event of a kind that this version does not know changes nothing, and is named. */
#pragma once

#include "server/storage/inside.h"

typedef struct {
    GHashTable *names;    /* what there is -> the digest it names */
    GHashTable *aliases;  /* SHA-512 -> SHA-256, as texts: what blobs were ever known by */
    GPtrArray *gaps;      /* of text: places where events are damaged or missing */
    GHashTable *unknown;  /* kind of event -> how many there are */
    guint64 acknowledged; /* gaps that the last rebuild found already */
    gboolean anew;        /* what earlier rebuilds gave up as lost is wanted again */
    GHashTable *given_up; /* of what there is: what they gave up */
} Replay;

Replay *replay_new(void);
void replay_free(Replay *replay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Replay, replay_free)
/* An EventTake; user is the Replay. */
gboolean replay_take(const Event *event, gpointer user, GError **error);
/* Whether it is a kind of event that this version knows. */
gboolean replay_knows(const char *op);

/* Whether a rebuild has removed the name because what it named was lost; makes such an event of one that removes it. */
gboolean replay_gives_up(const json_t *object);
void replay_mark_given_up(json_t *object);

/* Something that the log and the catalogue do not agree about. */
typedef struct {
    const char *name; /* the repository's */
    const char *kind; /* "blob", "manifest", "tag" */
    const char *what; /* the digest as text, or the tag */
    const char *digest;
    gboolean catalogue; /* the catalogue alone has it; else the log alone, but for what has come back */
    gboolean given_up;  /* an earlier rebuild has given it up */
    gboolean back;      /* and both have it now */
} ReplayDifference;
typedef void (*ReplayFunc)(const ReplayDifference *difference, gpointer user);
/* Calls the function for each difference; of the replay's names those are left that the log alone has. CORRUPT: a row
 * of the catalogue is damaged. */
gboolean replay_compare(Replay *replay, Connection *connection, ReplayFunc func, gpointer user, GError **error);
/* A rebuild gives up what the log alone has. */
void replay_give_up(Replay *replay, const ReplayDifference *difference);
