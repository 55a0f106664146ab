#include <ingot/digest.h>
#include <ingot/error.h>
#include <ingot/reference.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "image/hub.h"

#define NAME_MAX_LENGTH 255
#define SHOWN_LENGTH 300 /* bytes of a wrong text in a message */
#define COMPONENT "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"

typedef enum { GRAMMAR_NAME, GRAMMAR_TAG, GRAMMAR_VERSION, GRAMMAR_HOST, GRAMMARS } Grammar;

/* A server asks for each request: the patterns are compiled once. They are ASCII, and the text is what a peer sent:
 * matching what is not UTF-8 as such is undefined. */
static gboolean matches(Grammar grammar, const char *text)
{
    static const char *const patterns[] = {
        [GRAMMAR_NAME] = "^" COMPONENT "(/" COMPONENT ")*$",
        [GRAMMAR_TAG] = "^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$",
        [GRAMMAR_VERSION] = "^[0-9]{1,9}\\.[0-9]{1,9}\\.[0-9]{1,9}(-[a-zA-Z0-9._-]+)?$",
        [GRAMMAR_HOST] = "^([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?|\\[[0-9a-fA-F:]+\\])(:[0-9]{1,5})?$",
    };
    static GRegex *compiled[GRAMMARS];
    static gsize once;
    if (g_once_init_enter(&once)) {
        for (guint i = 0; i < GRAMMARS; i++) {
            compiled[i] = g_regex_new(patterns[i], G_REGEX_DOLLAR_ENDONLY | G_REGEX_RAW | G_REGEX_OPTIMIZE, 0, NULL);
        }
        g_once_init_leave(&once, 1);
    }
    return g_regex_match(compiled[grammar], text, 0, NULL);
}

static gboolean check(const char *text, Grammar grammar, const char *what, const char *rule, GError **error)
{
    if (text != NULL && strlen(text) <= NAME_MAX_LENGTH && matches(grammar, text)) {
        return TRUE;
    }
    g_autofree char *shown = ingot_text_head(text == NULL ? "" : text, SHOWN_LENGTH);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s' is no %s: %s", shown, what, rule);
    return FALSE;
}

gboolean ingot_name_check(const char *name, GError **error)
{
    return check(name, GRAMMAR_NAME, "image name",
                 "lower-case letters and digits, joined by '.', '_', '__' or '-', in parts joined by '/', at most 255",
                 error);
}

gboolean ingot_tag_check(const char *tag, GError **error)
{
    return check(tag, GRAMMAR_TAG, "tag", "a letter, digit or '_', then at most 127 of letters, digits, '.', '_', '-'",
                 error);
}

gboolean ingot_tag_is_version(const char *tag)
{
    return matches(GRAMMAR_VERSION, tag);
}

gboolean ingot_version_check(const char *version, GError **error)
{
    if (ingot_tag_is_version(version) && ingot_tag_check(version, NULL)) {
        return TRUE;
    }
    g_autofree char *shown = ingot_text_head(version, SHOWN_LENGTH);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "'%s' is no version: MAJOR.MINOR.PATCH or MAJOR.MINOR.PATCH-SUFFIX", shown);
    return FALSE;
}

/* Numbers of any length: 20240101120000 is one, too. */
static int number_compare(const char *a, gsize length_a, const char *b, gsize length_b)
{
    for (; length_a > 1 && *a == '0'; a++, length_a--) {
    }
    for (; length_b > 1 && *b == '0'; b++, length_b--) {
    }
    return length_a != length_b ? (length_a < length_b ? -1 : 1) : memcmp(a, b, length_a);
}

static int identifier_compare(const char *a, gsize length_a, const char *b, gsize length_b)
{
    static const char digits[] = "0123456789";
    gboolean number_a = length_a > 0 && strspn(a, digits) >= length_a;
    gboolean number_b = length_b > 0 && strspn(b, digits) >= length_b;
    if (number_a && number_b) {
        return number_compare(a, length_a, b, length_b);
    }
    if (number_a != number_b) {
        return number_a ? -1 : 1;
    }
    int order = memcmp(a, b, MIN(length_a, length_b));
    return order != 0 ? order : (length_a > length_b) - (length_a < length_b);
}

/* Semantic Versioning 2.0, item 11: identifiers between dots, from left to right; numbers as numbers, and before words;
 * where one list is the beginning of the other, it comes first. */
static int suffix_compare(const char *a, const char *b)
{
    for (;;) {
        gsize length_a = strcspn(a, "."), length_b = strcspn(b, ".");
        int order = identifier_compare(a, length_a, b, length_b);
        if (order != 0) {
            return order;
        }
        a += length_a;
        b += length_b;
        if (*a == '\0' || *b == '\0') {
            return (*a != '\0') - (*b != '\0');
        }
        a++;
        b++;
    }
}

int ingot_tag_compare(const char *a, const char *b)
{
    gboolean version_a = ingot_tag_is_version(a), version_b = ingot_tag_is_version(b);
    if (!version_a || !version_b) {
        return version_a == version_b ? strcmp(a, b) : version_b - version_a;
    }
    char *rest_a = (char *)a, *rest_b = (char *)b;
    for (int part = 0; part < 3; part++) {
        unsigned long x = strtoul(rest_a, &rest_a, 10), y = strtoul(rest_b, &rest_b, 10);
        if (x != y) {
            return x < y ? -1 : 1;
        }
        rest_a += *rest_a == '.';
        rest_b += *rest_b == '.';
    }
    /* 1.0.0-rc comes before 1.0.0. */
    if ((*rest_a == '\0') != (*rest_b == '\0')) {
        return *rest_a == '\0' ? 1 : -1;
    }
    int order = *rest_a == '\0' ? 0 : suffix_compare(rest_a + 1, rest_b + 1);
    return order != 0 ? order : strcmp(a, b); /* 1.0.0-01 and 1.0.0-1 are two tags */
}

IngotReference *ingot_reference_new(const char *host, const char *name, const char *tag, const char *digest)
{
    IngotReference *reference = g_new0(IngotReference, 1);
    reference->host = g_strdup(host);
    reference->name = g_strdup(name);
    reference->tag = g_strdup(tag);
    reference->digest = g_strdup(digest);
    return reference;
}

void ingot_reference_free(IngotReference *reference)
{
    if (reference != NULL) {
        g_free(reference->host);
        g_free(reference->name);
        g_free(reference->tag);
        g_free(reference->digest);
        g_free(reference);
    }
}

char *ingot_reference_to_text(const IngotReference *reference)
{
    GString *text = g_string_new(reference->host);
    if (reference->name != NULL) {
        g_string_append_printf(text, "%s%s", reference->host == NULL ? "" : "/", reference->name);
    }
    if (reference->tag != NULL) {
        g_string_append_printf(text, ":%s", reference->tag);
    }
    if (reference->digest != NULL) {
        g_string_append_printf(text, "@%s", reference->digest);
    }
    return g_string_free(text, FALSE);
}

char *ingot_name_to_text(const char *name, const char *tag)
{
    return tag == NULL ? g_strdup(name) : g_strdup_printf("%s:%s", name, tag);
}

char *ingot_reference_local_name(const IngotReference *reference)
{
    return reference->host == NULL ? g_strdup(reference->name)
                                   : g_strdup_printf("%s/%s", reference->host, reference->name);
}

/* Docker Hub's other names stand for this one, so that an image has one name wherever it is told. */
static void unify_hub(IngotReference *reference)
{
    if (reference->host == NULL || !hub_is(reference->host)) {
        return;
    }
    g_free(reference->host);
    reference->host = g_strdup(HUB_HOST);
    if (reference->name != NULL) {
        g_autofree char *name = g_steal_pointer(&reference->name);
        reference->name = hub_path(name);
    }
}

static gboolean looks_like_host(const char *text, gsize length)
{
    g_autofree char *first = g_strndup(text, length);
    return strpbrk(first, ".:") != NULL || strcmp(first, "localhost") == 0;
}

static gboolean host_check(const char *host, GError **error)
{
    const char *port = strrchr(host, ':');
    if (port != NULL && strchr(port, ']') == NULL && strtoul(port + 1, NULL, 10) > G_MAXUINT16) {
        g_autofree char *shown = ingot_text_head(host, SHOWN_LENGTH);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s' is no host: ports end at %u", shown, G_MAXUINT16);
        return FALSE;
    }
    return check(host, GRAMMAR_HOST, "host", "HOST or HOST:PORT", error);
}

/* Takes a leading "HOST/" (or all of it, where that is allowed) off *rest. */
static gboolean take_host(IngotReference *reference, const char **rest, gboolean alone, GError **error)
{
    const char *slash = strchr(*rest, '/');
    if (slash == NULL && !alone) {
        return TRUE;
    }
    gsize length = slash == NULL ? strlen(*rest) : (gsize)(slash - *rest);
    if (!alone && !looks_like_host(*rest, length)) {
        return TRUE;
    }
    reference->host = g_strndup(*rest, length);
    *rest += length + (slash != NULL);
    return host_check(reference->host, error);
}

/* Cuts "@DIGEST" and ":TAG" off the end of name. */
static gboolean split_name(IngotReference *reference, char *name, GError **error)
{
    char *at = strchr(name, '@');
    if (at != NULL) {
        *at = '\0';
        IngotDigest digest;
        reference->digest = g_strdup(at + 1);
        if (!ingot_digest_parse(reference->digest, &digest, error)) {
            return FALSE;
        }
    }
    char *colon = strchr(name, ':');
    if (colon != NULL) {
        *colon = '\0';
        reference->tag = g_strdup(colon + 1);
        if (!ingot_tag_check(reference->tag, error)) {
            return FALSE;
        }
    }
    reference->name = g_strdup(name);
    return ingot_name_check(name, error);
}

static IngotReference *refuse(const char *text, GError **error)
{
    g_autofree char *shown = ingot_text_head(text, SHOWN_LENGTH);
    g_prefix_error(error, "%s: ", shown);
    return NULL;
}

IngotReference *ingot_reference_parse(const char *text, GError **error)
{
    g_autoptr(IngotReference) reference = ingot_reference_new(NULL, NULL, NULL, NULL);
    const char *rest = text;
    if (!take_host(reference, &rest, FALSE, error)) {
        return refuse(text, error);
    }
    g_autofree char *name = g_strdup(rest);
    if (!split_name(reference, name, error)) {
        return refuse(text, error);
    }
    unify_hub(reference);
    return g_steal_pointer(&reference);
}

IngotReference *ingot_reference_parse_location(const char *text, GError **error)
{
    g_autoptr(IngotReference) reference = ingot_reference_new(NULL, NULL, NULL, NULL);
    const char *rest = text;
    if (!take_host(reference, &rest, TRUE, error)) {
        return NULL;
    }
    g_autofree char *name = g_strdup(rest);
    if (*name != '\0' && !split_name(reference, name, error)) {
        return NULL;
    }
    unify_hub(reference);
    return g_steal_pointer(&reference);
}
