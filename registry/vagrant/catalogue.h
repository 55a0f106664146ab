/* Catalogues of Vagrant boxes, as three kinds of server write them: Vagrant's own JSON (a file, or what a server
 * answers to Vagrant), the boxes of Vagrant Cloud's API (versions 1 and 2), and those of HCP's (2022-09-30). One set of
 * structs holds all three; the first kind is written. Pure functions; a text from another machine has bounds. */
#pragma once

#include "base/json.h"

/* What a catalogue may have. */
#define VAGRANT_CATALOGUE_MAX (16u << 20) /* bytes */
#define VAGRANT_CATALOGUE_VALUES (1u << 18)

typedef struct {
    char *name;                     /* "libvirt" */
    char *architecture;             /* as written, "amd64"; NULL: not said, the box is for all */
    gboolean is_default;            /* what a machine takes whose architecture has no box */
    char *url;                      /* as written, maybe relative; NULL: none is told here */
    char *checksum, *checksum_type; /* in small letters, both or none; NULL: not said */
    guint64 size;                   /* bytes; 0: not said */
    gint64 created, updated;        /* seconds; 0: not said */
} VagrantProvider;

typedef enum { VAGRANT_ACTIVE, VAGRANT_UNRELEASED, VAGRANT_REVOKED } VagrantStatus;

typedef struct {
    char *version;
    char *description; /* Markdown; NULL: none */
    VagrantStatus status;
    gint64 created, updated;
    GPtrArray *providers; /* of VagrantProvider */
    char **begun;         /* names of providers that may have no box yet; NULL: none */
} VagrantVersion;

typedef struct {
    char *name;                            /* "ORG/BOX"; a file's may have no slash */
    char *short_description, *description; /* NULL: none */
    gboolean is_private;
    gint64 created, updated;
    GPtrArray *versions; /* of VagrantVersion, as written: Vagrant may be unable to read some (version.h) */
} VagrantBox;

VagrantProvider *vagrant_provider_new(const char *name);
VagrantVersion *vagrant_version_new(const char *version);
VagrantBox *vagrant_box_new(const char *name);
void vagrant_provider_free(VagrantProvider *provider);
void vagrant_version_free(VagrantVersion *version);
void vagrant_box_free(VagrantBox *box);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VagrantProvider, vagrant_provider_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VagrantVersion, vagrant_version_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VagrantBox, vagrant_box_free)

/* One box. org: whose it is, where the document names the box alone; may be NULL. what names the document in errors
 * (INVALID, CORRUPT). */
VagrantBox *vagrant_box_parse(const void *data, gsize size, const char *org, const char *what, GError **error);

/* A page of a list: of boxes, versions, or providers, whichever the document has; the others are empty. */
typedef struct {
    GPtrArray *boxes, *versions, *providers;
    char *next; /* the token of the page behind it; NULL: it is the last */
} VagrantPage;
VagrantPage *vagrant_page_parse(const void *data, gsize size, const char *org, const char *what, GError **error);
void vagrant_page_free(VagrantPage *page);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VagrantPage, vagrant_page_free)

/* The version of that number, the box's own; the provider of that name for that architecture (NULL: none said), the
 * version's own. NULL: there is none, as in a box that is NULL, or of a version that is. */
VagrantVersion *vagrant_box_version(const VagrantBox *box, const char *version);
VagrantProvider *vagrant_version_provider(const VagrantVersion *version, const char *name, const char *architecture);

/* What a provider's URL is to be in a catalogue; free it. */
typedef char *(*VagrantUrl)(const VagrantProvider *provider, gpointer user);
/* As Vagrant reads it: its active versions, in the order that they have. Providers without a URL are left out. url:
 * NULL for those that they have. */
json_t *vagrant_box_json(const VagrantBox *box, VagrantUrl url, gpointer user);
