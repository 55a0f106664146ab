/* Paths of Vagrant Cloud's API, behind "box/": NAME, NAME/versions, NAME/version/V, and so on. Pure functions. */
#pragma once

#include <glib.h>

typedef enum {
    BOX_PATH_BOX,       /* NAME */
    BOX_PATH_VERSIONS,  /* NAME/versions */
    BOX_PATH_VERSION,   /* NAME/version/V */
    BOX_PATH_RELEASE,   /* NAME/version/V/release */
    BOX_PATH_REVOKE,    /* NAME/version/V/revoke */
    BOX_PATH_PROVIDERS, /* NAME/version/V/providers */
    BOX_PATH_PROVIDER,  /* NAME/version/V/provider/P, or …/P/ARCHITECTURE */
    BOX_PATH_UPLOAD,    /* …/upload */
    BOX_PATH_DIRECT,    /* …/upload/direct */
    BOX_PATH_UPLOADED,  /* …/upload/direct/ID */

    /* HCP's alone (hcppath.h), where PROVIDERS are a provider's architectures: */
    BOX_PATH_BOXES,    /* those of a registry: the name is its */
    BOX_PATH_GROUPS,   /* a version's providers */
    BOX_PATH_GROUP,    /* a provider, with all of its architectures */
    BOX_PATH_DOWNLOAD, /* where the box of an architecture is */
} BoxPathKind;

typedef struct {
    BoxPathKind kind;
    char *name;  /* the repository: in small letters */
    char *shown; /* the same as it was written */
    char *version, *provider;
    char *architecture; /* NULL: not said */
    char *upload;       /* the ID */
} BoxPath;
void box_path_free(BoxPath *path);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BoxPath, box_path_free)

/* INVALID: a word in it is none that may be there; NOT_FOUND: there is no such path. */
BoxPath *box_path_parse(const char *text, GError **error);

/* The words that a version, a provider, an architecture and a name may be: INVALID. */
gboolean box_version_check(const char *version, GError **error);
gboolean box_provider_check(const char *provider, GError **error);
gboolean box_architecture_check(const char *architecture, GError **error);
