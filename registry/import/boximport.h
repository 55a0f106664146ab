/* Importing: the boxes of a site, version by version, each file fetched, compared with its checksum and handed on.
 *
 * What was taken before is not fetched again, what was fetched in part is gone on with; a site that says that a file
 * has gone, or whose file is another than it said, is asked again for what it says now. What can't be had is told, and
 * the rest goes on. The sink says what there is, and keeps what comes; one thread calls it. */
#pragma once

#include <ingot/progress.h>

#include "import/boxsite.h"

/* A box's file that a catalogue tells of. */
typedef struct {
    const char *name; /* of its box, here: small letters, the name of a repository */
    const VagrantVersion *version;
    const VagrantProvider *provider;
    const char *what; /* for messages: "team/web 1.0.0, the box for libvirt (amd64)" */
    const char *url;  /* where it is from, without a login or a query; may be NULL */
} BoxPiece;

typedef enum {
    BOX_LACKS,
    BOX_HAS,
    BOX_REFUSED, /* it was looked at, and no image can be made of it */
    BOX_DIFFERS, /* what was taken is another file than the catalogue says now */
} BoxState;

typedef struct {
    /* Before the first piece of a box. */
    gboolean (*begin)(const char *name, const VagrantBox *box, gpointer user, GError **error);
    /* Before the first piece of a version. *why: not NULL where it is left out; the import frees it. */
    gboolean (*look)(const char *name, const VagrantVersion *version, char **why, gpointer user, GError **error);
    gboolean (*state)(const BoxPiece *piece, BoxState *state, gpointer user, GError **error);
    gboolean (*take)(const BoxPiece *piece, const char *path, gpointer user, GError **error);
    /* After the last piece of a version of which one was taken, now or before. */
    gboolean (*end)(const char *name, const VagrantVersion *version, gpointer user, GError **error);
    /* No image can be made of the file, whenever it comes. */
    void (*refuse)(const BoxPiece *piece, const char *why, gpointer user);
    /* What is left out, and why: whether that is to be told, since it was not before. */
    gboolean (*leave)(const char *name, const char *what, const char *why, gpointer user);
    void (*tell)(const char *line, gpointer user);
    gpointer user;
} BoxSink;

typedef struct {
    const char *from;         /* the site's URL */
    const char *const *names; /* ORG/BOX, or ORG/ and a star for all of an ORG; NULL or none: all of the site */
    const char *folder;       /* for what is on its way; it stays there until it was taken */
    guint64 most;             /* bytes of a box's file; 0: no limit */
    const char *version, *provider, *architecture; /* those alone; NULL: all */
    IngotProgress *progress;
    const BoxSink *sink;
} BoxImport;

typedef struct {
    guint64 boxes;    /* that were looked at */
    guint64 files;    /* of boxes that were taken */
    guint64 received; /* bytes that came over the network */
    guint64 failed;   /* boxes and files that could not be had */
    guint64 left;     /* files that are left out */
    guint64 kept;     /* files that are another in the catalogue now; what was taken stays */
} BoxReport;

/* Whether a provider's box is one of those that are asked for; an architecture is, under any of its names. */
gboolean box_import_wants(const BoxImport *import, const VagrantProvider *provider);

/* FALSE: the site can't be asked, the disk is full, it was interrupted; or NOT_FOUND: no box is for the provider and
 * architecture that are asked for. */
gboolean box_import(const BoxImport *import, BoxReport *report, GError **error);
