/* References and their pieces: the grammar has one text for each meaning. The input's lines are references, names,
 * tags, versions and digests all at once. */
#include <ingot/digest.h>
#include <ingot/reference.h>
#include <string.h>

#include "fuzz.h"

static void try_reference(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotReference) reference = ingot_reference_parse(text, &error);
    g_assert((reference == NULL) == (error != NULL));
    if (reference == NULL) {
        g_assert(g_utf8_validate(error->message, -1, NULL)); /* it goes into answers of servers, which are JSON */
        return;
    }
    g_assert(ingot_name_check(reference->name, NULL));
    g_assert(reference->tag == NULL || ingot_tag_check(reference->tag, NULL));
    g_autofree char *written = ingot_reference_to_text(reference);
    g_assert_cmpstr(written, ==, text);
}

static void try_location(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotReference) reference = ingot_reference_parse_location(text, &error);
    g_assert((reference == NULL) == (error != NULL));
    if (reference == NULL) {
        return;
    }
    g_assert(reference->host != NULL);
    g_autofree char *written = ingot_reference_to_text(reference);
    g_assert(g_str_has_prefix(text, written)); /* "HOST/" is HOST */
    g_assert(strcmp(text + strlen(written), reference->name == NULL ? "/" : "") == 0 || strcmp(text, written) == 0);
}

static void try_digest(const char *text)
{
    IngotDigest digest;
    g_autoptr(GError) error = NULL;
    if (!ingot_digest_parse(text, &digest, &error)) {
        g_assert(error != NULL);
        return;
    }
    g_autofree char *written = ingot_digest_to_text(&digest);
    g_assert_cmpstr(written, ==, text);
}

/* What is a name or a tag is fit for a path in a folder and in a URL. */
static void try_pieces(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz", digits[] = "0123456789";
    g_autofree char *of_names = g_strconcat(letters, digits, "._-/", NULL);
    g_autofree char *of_tags = g_strconcat(letters, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", digits, "._-", NULL);
    g_autoptr(GError) error = NULL;
    if (ingot_name_check(text, &error)) {
        g_assert(*text != '\0' && strlen(text) <= 255 && strspn(text, of_names) == strlen(text));
        g_assert(strstr(text, "..") == NULL && strstr(text, "//") == NULL);
        g_assert(*text != '/' && *text != '.' && !g_str_has_suffix(text, "/"));
    } else {
        g_assert(error != NULL);
    }
    g_clear_error(&error);
    if (ingot_tag_check(text, &error)) {
        g_assert(*text != '\0' && strlen(text) <= 128 && strspn(text, of_tags) == strlen(text));
        g_assert(*text != '.' && *text != '-');
    } else {
        g_assert(error != NULL);
    }
    g_assert(!ingot_version_check(text, NULL) || ingot_tag_check(text, NULL));
}

static int sign(int number)
{
    return (number > 0) - (number < 0);
}

/* An order: what it says of two it says of them swapped, and of three it makes no circle. */
static void try_order(char **texts)
{
    for (guint i = 0; texts[i] != NULL; i++) {
        g_assert(ingot_tag_compare(texts[i], texts[i]) == 0);
    }
    for (guint i = 0; texts[i] != NULL && texts[i + 1] != NULL; i++) {
        const char *a = texts[i], *b = texts[i + 1], *c = texts[i + 2];
        int order = sign(ingot_tag_compare(a, b));
        g_assert(order == -sign(ingot_tag_compare(b, a)));
        if (c != NULL && order <= 0 && ingot_tag_compare(b, c) <= 0) {
            g_assert(ingot_tag_compare(a, c) <= 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        try_reference(lines[i]);
        try_location(lines[i]);
        try_digest(lines[i]);
        try_pieces(lines[i]);
    }
    try_order(lines);
    return 0;
}
