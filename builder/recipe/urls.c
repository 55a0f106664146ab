#include "recipe/urls.h"

#include <ingot/secrets.h>
#include <ingot/text.h>
#include <string.h>

#define SHORTEST 4 /* bytes; a shorter word stands everywhere */

static void urls_add(Recipe *recipe, const char *value)
{
    if (strlen(value) >= SHORTEST) {
        ingot_secrets_add(recipe->secrets, value);
        ingot_secrets_register(value);
    }
}

/* "user:password", both, and the password alone, as it is written and as it is meant. */
static void urls_add_login(Recipe *recipe, const char *login)
{
    const char *colon = strchr(login, ':');
    const char *secret = colon == NULL ? login : colon + 1;
    g_autofree char *meant = g_uri_unescape_string(secret, NULL);
    urls_add(recipe, login);
    urls_add(recipe, secret);
    if (meant != NULL) {
        urls_add(recipe, meant);
    }
}

static void urls_add_parts(Recipe *recipe, const char *url)
{
    const char *scheme = strstr(url, "://");
    const char *host = scheme == NULL ? url : scheme + strlen("://");
    const char *end = host + strcspn(host, "/?#");
    const char *at = g_strrstr_len(host, end - host, "@");
    const char *query = strchr(end, '?');
    if (at != NULL) {
        g_autofree char *login = g_strndup(host, (gsize)(at - host));
        urls_add_login(recipe, login);
    }
    if (query != NULL) {
        urls_add(recipe, query + 1);
    }
}

/* A variable that brought one of them, or all of a URL. */
static void urls_mask_variables(const Recipe *recipe)
{
    json_t *variables = json_object_get(recipe->public_tree, "variables");
    const char *name;
    json_t *value;
    json_object_foreach(variables, name, value)
    {
        g_autofree char *masked = ingot_secrets_mask(recipe->secrets, json_string_value(value));
        json_string_set(value, masked);
    }
}

void urls_hide(Recipe *recipe)
{
    static const char *const keys[] = {"mirror", "url"};
    const json_t *source = json_object_get(recipe->tree, "source");
    json_t *shown = json_object_get(recipe->public_tree, "source");
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        const char *url = json_string_value(json_object_get(source, keys[i]));
        if (url != NULL) {
            g_autofree char *public = ingot_text_url(url);
            urls_add_parts(recipe, url);
            json_object_set_new(shown, keys[i], json_string(public));
        }
    }
    urls_mask_variables(recipe);
    char *text = ingot_secrets_mask(recipe->secrets, recipe->public_text);
    g_free(recipe->public_text);
    recipe->public_text = text;
}
