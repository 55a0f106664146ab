/* References: HOST[:PORT]/NAME[:TAG][@sha256:HEX], by the grammar of the OCI distribution-spec ("Pulling manifests").
 *
 * The first component is a host if it holds a '.' or a ':' or is "localhost", as docker has it; a reference without
 * one names an image of the local store. Docker Hub's names are one: index.docker.io/x and docker.io/x are read as
 * docker.io/library/x. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef struct {
    char *host;   /* "127.0.0.1:5000"; NULL: local */
    char *name;   /* "team/web" */
    char *tag;    /* NULL if none is given */
    char *digest; /* "sha256:…"; NULL if none is given */
} IngotReference;

/* INVALID errors quote the rule that the text breaks. */
IngotReference *ingot_reference_parse(const char *text, GError **error);
/* HOST alone or HOST/NAME, as `ingot ls` takes it: name may stay NULL. */
IngotReference *ingot_reference_parse_location(const char *text, GError **error);
IngotReference *ingot_reference_new(const char *host, const char *name, const char *tag, const char *digest);
char *ingot_reference_to_text(const IngotReference *reference);
/* What the local store calls it: HOST/NAME, or NAME where there is no host. Free it. */
char *ingot_reference_local_name(const IngotReference *reference);
/* NAME:TAG, or NAME where tag is NULL. Free it. */
char *ingot_name_to_text(const char *name, const char *tag);
void ingot_reference_free(IngotReference *reference);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotReference, ingot_reference_free)

/* The grammar's pieces, for servers and recipes. Errors are INVALID and state the grammar. */
gboolean ingot_name_check(const char *name, GError **error);
gboolean ingot_tag_check(const char *tag, GError **error);
/* MAJOR.MINOR.PATCH with an optional -SUFFIX. */
gboolean ingot_version_check(const char *version, GError **error);
gboolean ingot_tag_is_version(const char *tag);
/* Orders versions by number, other tags after them by name. */
int ingot_tag_compare(const char *a, const char *b);
/* Whether it is what registries without the referrers API keep lists of attachments under, or what cosign keeps beside
 * an image (.sig, .att, .sbom): no tag of a person's. */
gboolean ingot_tag_is_referrers(const char *tag);
/* Which of a name's tags (NULL-terminated) a reference without a tag stands for: the highest version, else latest. NULL
 * and NOT_FOUND, with a list of the tags, where none is a version. where: " in the store", say, or "". */
const char *ingot_tag_choose(const char *name, const char *where, char **tags, GError **error);
/* Sets NOT_FOUND, with a list of the tags that there are. Always FALSE. */
gboolean ingot_tag_missing(const char *name, const char *where, const char *tag, char **tags, GError **error);

#pragma GCC visibility pop
G_END_DECLS
