/* What a repository has as boxes: its versions with their providers, out of the images that its tags name
 * (views/asboxes.h) and of what publishers have said (boxrecords.h). A tag may name an image, or an index of several.
 *
 * A list is made once and kept in memory with its text until something that is kept of names changes: a GET computes
 * nothing. Thread safe. */
#pragma once

#include "server/boxes/boxrecords.h"
#include "server/boxes/versions.h"
#include "server/http/request.h"
#include "vagrant/catalogue.h"

#define BOX_FORMATS "/formats/" /* how the URL begins of a box that is ours: a path of this server */

/* What a list is made of. */
typedef struct {
    char *name;              /* the repository */
    char *channel;           /* NULL: all versions are meant */
    char *shown;             /* both as the client writes them: what the catalogue calls itself */
    GArray *versions;        /* of ListedVersion */
    BoxRecords *records;     /* of a channel's versions only what describes them counts */
    gboolean there;          /* an upstream has what is not here */
    FetchOutcome outcome;    /* of what was asked of it, the worst */
    guint64 sequence, event; /* of the storage, before the look */
} BoxSource;
/* shown: NAME or NAME@CHANNEL in any letter case; INVALID. */
BoxSource *box_source_new(const char *shown, GError **error);
void box_source_free(BoxSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BoxSource, box_source_free)
/* Looks up its versions; NOT_FOUND: there is no such repository or channel. */
gboolean box_source_look(const Server *server, BoxSource *source, GError **error);

/* Counted by references; what is in it never changes. */
typedef struct {
    gatomicrefcount references;
    VagrantBox *box;
    gboolean is_whole;    /* it lacks no sum, and no image that there is */
    gboolean is_busy;     /* an image could not be had now */
    gboolean is_recorded; /* a publisher has created it: it is a box, whatever it has */
    GBytes *text;         /* its catalogue, whose URLs begin with a base; NULL until boxlists_keep */
    char *tag;            /* entity tag of that, in its quotes */
    guint64 sequence, event;
    gint64 until; /* monotonic: as long as it is good at most, for the sake of what changes by time alone */
} BoxList;
BoxList *boxlist_ref(BoxList *list);
void boxlist_unref(BoxList *list);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BoxList, boxlist_unref)

/* Sums that are not known are asked for, and waited for until that time (monotonic); NULL: the client has left. */
BoxList *boxlist_make(Request *request, const BoxSource *source, gint64 until);

typedef struct BoxLists BoxLists; /* those that are kept */
BoxLists *boxlists_new(void);
void boxlists_free(BoxLists *lists);
/* The one that is kept, if nothing was committed since, which is known without a disk; else, where slow, if nothing of
 * names has changed. NULL: there is none. */
BoxList *boxlists_find(const Server *server, const char *shown, const char *base, gboolean slow);
/* Makes its text, and keeps it if it is whole. */
void boxlists_keep(const Server *server, const char *shown, const char *base, BoxList *list);
/* The list as it is: the one that is kept, else a new one, which is kept where its sums are known. NULL without an
 * error: the client has left. NOT_FOUND; INVALID; VIEW_ERROR_BUSY. */
BoxList *boxlists_get(Request *request, const char *shown, const char *base, gint64 until, GError **error);
