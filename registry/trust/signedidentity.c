#include "trust/signedidentity.h"

#include <ingot/error.h>
#include <string.h>

#include "trust/members.h"

void signed_identity_clear(SignedIdentity *identity)
{
    g_clear_pointer(&identity->other, ingot_reference_free);
    g_clear_pointer(&identity->prefix, g_free);
    g_clear_pointer(&identity->signed_prefix, g_free);
}

/* --- the file --- */

/* A reference, or a repository's name. NULL: it is neither. */
static IngotReference *identity_reference(const json_t *value, const char *where, const char *member, gboolean exact,
                                          GError **error)
{
    const char *text = members_text(value, where, member, error);
    g_autoptr(IngotReference) reference = text == NULL ? NULL : ingot_reference_parse(text, error);
    if (reference == NULL) {
        g_prefix_error(error, "%s: ", where);
        return NULL;
    }
    if (exact != (reference->tag != NULL || reference->digest != NULL)) {
        members_refuse(where, error, "%s '%s': %s", member, text,
                       exact ? "it has neither a tag nor a digest" : "a name without a tag is expected");
        return NULL;
    }
    return g_steal_pointer(&reference);
}

/* HOST[:PORT], or the beginning of a name at a slash. NULL: it is neither. */
static char *identity_prefix(const json_t *value, const char *where, const char *member, GError **error)
{
    const char *text = members_text(value, where, member, error);
    g_autoptr(IngotReference) place = text == NULL ? NULL : ingot_reference_parse_location(text, error);
    if (place == NULL) {
        g_prefix_error(error, "%s: ", where);
        return NULL;
    }
    if (place->tag != NULL || place->digest != NULL || g_str_has_suffix(text, "/")) {
        members_refuse(where, error, "%s '%s': HOST[:PORT] or the beginning of a name is expected", member, text);
        return NULL;
    }
    return g_strdup(text);
}

static const struct {
    const char *type;
    SignedIdentityKind kind;
    const char *members[4]; /* NULL-terminated */
} identity_types[] = {
    {"matchRepoDigestOrExact", IDENTITY_TAG_OR_REPOSITORY, {"type"}},
    {"matchExact", IDENTITY_EXACT, {"type"}},
    {"matchRepository", IDENTITY_REPOSITORY, {"type"}},
    {"exactReference", IDENTITY_OTHER_EXACT, {"type", "dockerReference"}},
    {"exactRepository", IDENTITY_OTHER_REPOSITORY, {"type", "dockerRepository"}},
    {"remapIdentity", IDENTITY_REMAPPED, {"type", "prefix", "signedPrefix"}},
};

static gboolean identity_read(const json_t *value, const char *where, SignedIdentity *identity, GError **error)
{
    switch (identity->kind) {
    case IDENTITY_OTHER_EXACT:
        identity->other = identity_reference(value, where, "dockerReference", TRUE, error);
        return identity->other != NULL;
    case IDENTITY_OTHER_REPOSITORY:
        identity->other = identity_reference(value, where, "dockerRepository", FALSE, error);
        return identity->other != NULL;
    case IDENTITY_REMAPPED:
        identity->prefix = identity_prefix(value, where, "prefix", error);
        identity->signed_prefix =
            identity->prefix == NULL ? NULL : identity_prefix(value, where, "signedPrefix", error);
        return identity->signed_prefix != NULL;
    default:
        return TRUE;
    }
}

gboolean signed_identity_parse(const json_t *value, const char *where, SignedIdentity *identity, GError **error)
{
    *identity = (SignedIdentity){0};
    if (value == NULL) {
        return TRUE;
    }
    const char *type = json_string_value(json_object_get(value, "type"));
    for (guint i = 0; i < G_N_ELEMENTS(identity_types); i++) {
        if (g_strcmp0(type, identity_types[i].type) == 0) {
            identity->kind = identity_types[i].kind;
            return members_check(value, where, identity_types[i].members, error) &&
                   identity_read(value, where, identity, error);
        }
    }
    return members_refuse(where, error, "unknown type '%s'", type == NULL ? "" : type);
}

/* --- the name --- */

static gboolean identity_same_repository(const IngotReference *a, const IngotReference *b)
{
    return g_strcmp0(a->host, b->host) == 0 && strcmp(a->name, b->name) == 0;
}

static gboolean identity_same(const IngotReference *a, const IngotReference *b)
{
    return identity_same_repository(a, b) && g_strcmp0(a->tag, b->tag) == 0 && g_strcmp0(a->digest, b->digest) == 0;
}

static gboolean identity_same_tag_or_repository(const IngotReference *asked, const IngotReference *signed_as)
{
    return asked->digest != NULL ? identity_same_repository(asked, signed_as) : identity_same(asked, signed_as);
}

/* What is asked for, with the other beginning; as it is, where it does not begin so. NULL: that is not a name. */
static IngotReference *identity_remap(const SignedIdentity *identity, const IngotReference *asked)
{
    g_autofree char *name = ingot_reference_local_name(asked);
    const char *rest = name + strlen(identity->prefix);
    gboolean begins = g_str_has_prefix(name, identity->prefix) && (*rest == '/' || *rest == '\0');
    g_autofree char *text = begins ? g_strconcat(identity->signed_prefix, rest, NULL) : g_strdup(name);
    g_autoptr(IngotReference) plain = ingot_reference_parse(text, NULL);
    return plain == NULL || plain->tag != NULL
               ? NULL
               : ingot_reference_new(plain->host, plain->name, asked->tag, asked->digest);
}

static gboolean identity_judge(const SignedIdentity *identity, const IngotReference *asked,
                               const IngotReference *signed_as)
{
    switch (identity->kind) {
    case IDENTITY_TAG_OR_REPOSITORY:
        return identity_same_tag_or_repository(asked, signed_as);
    case IDENTITY_EXACT:
        return identity_same(asked, signed_as);
    case IDENTITY_REPOSITORY:
        return identity_same_repository(asked, signed_as);
    case IDENTITY_OTHER_EXACT:
        return identity_same(identity->other, signed_as);
    case IDENTITY_OTHER_REPOSITORY:
        return identity_same_repository(identity->other, signed_as);
    case IDENTITY_REMAPPED:
        break;
    }
    g_autoptr(IngotReference) remapped = identity_remap(identity, asked);
    return remapped != NULL && identity_same_tag_or_repository(remapped, signed_as);
}

gboolean signed_identity_fits(const SignedIdentity *identity, const IngotReference *asked, const char *signed_name,
                              GError **error)
{
    g_autoptr(IngotReference) signed_as = signed_name == NULL ? NULL : ingot_reference_parse(signed_name, NULL);
    if (signed_as == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "it is signed, but gives the image no name");
        return FALSE;
    }
    if (!identity_judge(identity, asked, signed_as)) {
        g_autofree char *text = ingot_reference_to_text(signed_as);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "it is signed as %s, which signedIdentity does not take%s",
                    text,
                    identity->kind == IDENTITY_TAG_OR_REPOSITORY && identity_same_repository(asked, signed_as)
                        ? " (matchRepository takes any tag)"
                        : "");
        return FALSE;
    }
    return TRUE;
}
