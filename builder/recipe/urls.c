#include "recipe/urls.h"

#include <string.h>

#include "base/secrets.h"
#include "base/text.h"

#define SHORTEST 4 /* bytes; a shorter word stands everywhere */

static void urls_add(GPtrArray *secrets, const char *value)
{
    if (strlen(value) >= SHORTEST) {
        ingot_secrets_add(secrets, value);
    }
}

/* "user:password", both, and the password alone, as it is written and as it is meant. */
static void urls_add_login(GPtrArray *secrets, const char *login)
{
    const char *colon = strchr(login, ':');
    const char *secret = colon == NULL ? login : colon + 1;
    g_autofree char *meant = g_uri_unescape_string(secret, NULL);
    urls_add(secrets, login);
    urls_add(secrets, secret);
    if (meant != NULL) {
        urls_add(secrets, meant);
    }
}

static void urls_add_parts(GPtrArray *secrets, const char *url)
{
    const char *scheme = strstr(url, "://");
    const char *host = scheme == NULL ? url : scheme + strlen("://");
    const char *end = host + strcspn(host, "/?#");
    const char *at = g_strrstr_len(host, end - host, "@");
    const char *query = strchr(end, '?');
    if (at != NULL) {
        g_autofree char *login = g_strndup(host, (gsize)(at - host));
        urls_add_login(secrets, login);
    }
    if (query != NULL) {
        urls_add(secrets, query + 1);
    }
}

/* The word of a kind is Ingot's own, and stays whatever a password is; a variable or an annotation may be called so. */
static gboolean urls_is_kind(const char *name, const json_t *value)
{
    const char *word = json_string_value(value);
    return strcmp(name, "kind") == 0 && word != NULL && word[strspn(word, "abcdefghijklmnopqrstuvwxyz-")] == '\0';
}

/* Strings of the tree are changed in place. */
static void urls_mask_tree(json_t *tree, const GPtrArray *secrets)
{
    const char *name;
    json_t *value;
    for (size_t i = 0; json_is_array(tree) && i < json_array_size(tree); i++) {
        urls_mask_tree(json_array_get(tree, i), secrets);
    }
    json_object_foreach(tree, name, value)
    {
        if (!urls_is_kind(name, value)) {
            urls_mask_tree(value, secrets);
        }
    }
    if (json_is_string(tree)) {
        g_autofree char *masked = ingot_secrets_mask(secrets, json_string_value(tree));
        if (json_string_set(tree, masked) != 0) { /* a secret that is not UTF-8 has split a character */
            json_string_set(tree, "***");
        }
    }
}

static void urls_keep(Recipe *recipe, const GPtrArray *secrets)
{
    for (guint i = 0; i < secrets->len; i++) {
        ingot_secrets_add(recipe->secrets, g_ptr_array_index(secrets, i));
        ingot_secrets_register(g_ptr_array_index(secrets, i));
    }
}

void urls_hide(Recipe *recipe)
{
    static const char *const keys[] = {"mirror", "url"};
    const json_t *source = json_object_get(recipe->tree, "source");
    json_t *shown = json_object_get(recipe->public_tree, "source");
    g_autoptr(GPtrArray) secrets = ingot_secrets_new();
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        const char *url = json_string_value(json_object_get(source, keys[i]));
        if (url != NULL) {
            g_autofree char *public = ingot_text_url(url);
            urls_add_parts(secrets, url);
            json_object_set_new(shown, keys[i], json_string(public));
        }
    }
    urls_keep(recipe, secrets);
    urls_mask_tree(recipe->public_tree, secrets);
    /* A variable may hold a secret of another one, too. */
    urls_mask_tree(json_object_get(recipe->public_tree, "variables"), recipe->secrets);
    char *text = ingot_secrets_mask(recipe->secrets, recipe->public_text);
    g_free(recipe->public_text);
    recipe->public_text = text;
}
