/* A parcel: what comes from elsewhere as several files. It is an archive (tar, compressed or not; zip) or a folder, of
 * which nothing is made but what is asked for, and what a disk may be within an archive that is compressed: that is put
 * aside while the archive is looked through, so that it is unpacked once.
 *
 * Its names are compared; no name of an archive's is opened, and no link of a folder's is followed. What it says is
 * bounded before it is believed: the number of members, the size of texts, and all sizes of an archive together by its
 * own, so that a small file does not unpack to a huge one; no member gives a byte more than it said. Everything wrong
 * with it is INVALID. */
#pragma once

#include <ingot/blocks.h>
#include <ingot/progress.h>

#include "base/file.h"

#define PARCEL_MEMBERS_MAX 1000u
#define PARCEL_TEXT_MAX (1u << 20)   /* bytes of a text that describes */
#define PARCEL_EXTRA_MAX (64u << 10) /* bytes of a text that may be left out: a longer one is */
#define PARCEL_TEXTS_MAX (4u << 20)  /* bytes of all such texts, which stay in memory */
#define PARCEL_RATIO_MAX 200u        /* all members together to the archive's own size */
#define PARCEL_SLACK (64u << 20)     /* bytes that they may have beyond that */

typedef struct {
    char *name;     /* "box.img", "web/box.ovf"; without "./" before it, printable */
    gboolean file;  /* a regular file, else a link or a device */
    guint64 size;   /* bytes */
    guint64 offset; /* where its bytes lie in the archive just as they are; 0: nowhere */
    char *aside;    /* the file that has them, in the parcel's work folder; or NULL */
    char *text;     /* of a small one that describes: metadata.json, *.ovf, *.mf, *.vmx, ...; else NULL */
    gsize text_size;
} ParcelMember;

typedef struct {
    char *path, *name;     /* name: what errors call it */
    gboolean folder;       /* else an archive */
    gboolean listed;       /* members are all of it; else only those that were asked for */
    GPtrArray *members;    /* of ParcelMember, in order; folders are left out */
    gsize texts;           /* bytes of their texts */
    IngotWorkdir *workdir; /* of what was put aside; or NULL */
} Parcel;

/* Whether the file's first bytes are those of an archive. */
gboolean parcel_probe(const char *path, gboolean *is_archive, GError **error);

/* Looks at every member and reads the texts. A name that leads outside, or comes twice, is refused. */
Parcel *parcel_open(const char *path, const char *name, IngotProgress *progress, GError **error);
/* The same of a folder, and of all that is in it. */
Parcel *parcel_open_folder(const char *path, const char *name, GError **error);
/* The folder that the file at path lies in, of which that file is the one member at first; what else is asked for by
 * its name is looked for. */
Parcel *parcel_open_beside(const char *path, const char *name, GError **error);
void parcel_free(Parcel *parcel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Parcel, parcel_free)

/* NULL: there is none. */
const ParcelMember *parcel_find(const Parcel *parcel, const char *name);
/* The regular file of that name, or an error: `whose` says who named it. */
const ParcelMember *parcel_need(const Parcel *parcel, const char *name, const char *whose, GError **error);
/* The name as a member says it that lies in the folder of another: "web/" + name beside "web/box.ovf". Free it. */
char *parcel_beside(const ParcelMember *member, const char *name);
/* The files whose name ends so, in upper or lower case; of those the texts that were read: GPtrArray, not owning. */
GPtrArray *parcel_with_suffix(const Parcel *parcel, const char *suffix);
GPtrArray *parcel_texts(const Parcel *parcel, const char *suffix);
/* "a, b, c" of such an array, or of strings; the first few where there are many. Free it. */
char *parcel_list_members(const GPtrArray *members);
char *parcel_list_names(const GPtrArray *names);

/* Whether the member's bytes can be read where they lie; then part says where, and its path is to be freed. */
gboolean parcel_in_place(const Parcel *parcel, const ParcelMember *member, IngotPart *part);

/* What is wanted of a member. */
typedef struct {
    const ParcelMember *member;
    int fd;         /* to write it to, with holes where it is zeros; -1: not */
    guint64 offset; /* where in that file */
    GChecksum *sum; /* to add its bytes to; or NULL */
} ParcelTake;
/* Goes through the parcel once and does so. */
gboolean parcel_take(const Parcel *parcel, const ParcelTake *takes, guint count, IngotProgress *progress,
                     GError **error);
