#include "recipe/rules.h"

#include <ingot/reference.h>
#include <string.h>

#include "recipe/recipe.h"

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* Reports what another room's grammar says of a value. */
static void report(const Check *check, const YamlNode *map, const char *key, const GError *error)
{
    const YamlNode *node = yaml_get(map, key);
    diagnostics_add(check->diagnostics, node != NULL ? &node->place : &map->place, "'%s': %s", key, error->message);
}

void rule_recipe(const Check *check, const YamlNode *map, json_t *checked)
{
    g_autoptr(GError) error = NULL;
    const char *name = text_of(checked, "name");
    const char *version = text_of(checked, "version");
    if (name != NULL && !ingot_name_check(name, &error)) {
        report(check, map, "name", error);
        g_clear_error(&error);
    }
    if (version != NULL && !ingot_version_check(version, &error)) {
        report(check, map, "version", error);
    }
}

void rule_from(const Check *check, const YamlNode *map, json_t *checked)
{
    g_autoptr(GError) error = NULL;
    const char *text = text_of(checked, "reference");
    g_autoptr(IngotReference) reference = text != NULL ? ingot_reference_parse(text, &error) : NULL;
    if (error != NULL) {
        report(check, map, "from", error);
    }
}

void rule_bootstrap(const Check *check, const YamlNode *map, json_t *checked)
{
    const char *mirror = text_of(checked, "mirror");
    gboolean local = mirror != NULL && (g_str_has_prefix(mirror, "file:") || g_str_has_prefix(mirror, "copy:"));
    if (local && check->within != NULL) {
        diagnostics_add(check->diagnostics, &yaml_get(map, "mirror")->place,
                        "'mirror': a folder of this host, which a recipe that came with an image may not read");
    }
}

/* HOST/NAME:TAG, or with a digest. "./" before a file of such a name tells it from one. */
static gboolean is_image(const char *text)
{
    g_autoptr(IngotReference) reference = *text == '.' || *text == '/' ? NULL : ingot_reference_parse(text, NULL);
    return reference != NULL && reference->host != NULL && (reference->tag != NULL || reference->digest != NULL);
}

void rule_source_recipe(const Check *check, const YamlNode *map, json_t *checked)
{
    const char *text = text_of(checked, "path");
    if (text == NULL || check->shown) {
        return;
    }
    if (!is_image(text) && check->within != NULL) {
        diagnostics_add(check->diagnostics, &yaml_get(map, "recipe")->place,
                        "'recipe': a file of the host where the image was built: the image does not carry it");
        return;
    }
    if (!is_image(text)) {
        g_autofree char *absolute = value_host_path(check, text);
        value_check_path(check, yaml_get(map, "recipe"), absolute, TRUE, 0);
        json_object_set_new(checked, "path", json_string(absolute));
        return;
    }
    g_autoptr(GError) error = NULL;
    if (check->inputs != NULL && check->inputs->fetch != NULL) {
        *check->fetched = check->inputs->fetch(text, check->inputs->fetch_user, &error);
    }
    if (*check->fetched != NULL) {
        json_object_set_new(checked, "path", json_string((*check->fetched)->path));
    } else if (error != NULL) {
        report(check, map, "recipe", error);
    }
}

/* The path on the host becomes absolute, the one in the machine must be. */
static void set_host_path(const Check *check, const YamlNode *map, json_t *checked, const char *key, gboolean exists)
{
    const char *path = text_of(checked, key);
    if (path == NULL || check->shown) {
        return;
    }
    g_autofree char *absolute = value_host_path(check, path);
    if (exists) {
        value_check_path(check, yaml_get(map, key), absolute, FALSE, 0);
    }
    json_object_set_new(checked, key, json_string(absolute));
}

static void check_guest_path(const Check *check, const YamlNode *map, const json_t *checked, const char *key)
{
    const char *path = text_of(checked, key);
    if (path != NULL && *path != '/') {
        g_autofree char *quoted = diagnostics_quote(path);
        diagnostics_add(check->diagnostics, &yaml_get(map, key)->place,
                        "'%s': %s is not an absolute path, which it must be in the machine", key, quoted);
    }
}

void rule_transfer(const Check *check, const YamlNode *map, json_t *checked)
{
    gboolean down = g_strcmp0(text_of(checked, "direction"), "down") == 0;
    if (down && check->within != NULL) {
        diagnostics_add(check->diagnostics, &yaml_get(map, "direction")->place,
                        "'direction': a recipe that came with an image may not write on this host");
        return;
    }
    set_host_path(check, map, checked, down ? "to" : "from", !down);
    check_guest_path(check, map, checked, down ? "from" : "to");
    static const char *const upload_keys[] = {"mode", "owner"};
    for (guint i = 0; down && i < G_N_ELEMENTS(upload_keys); i++) {
        const YamlNode *node = yaml_get(map, upload_keys[i]);
        if (node != NULL) {
            diagnostics_add(check->diagnostics, &node->place, "'%s' has a meaning on the way up only", upload_keys[i]);
        }
    }
}

void rule_content(const Check *check, const YamlNode *map, json_t *checked)
{
    static const char *const content_keys[] = {"mode", "content"};
    for (guint i = 0; json_is_false(json_object_get(checked, "exists")) && i < G_N_ELEMENTS(content_keys); i++) {
        const YamlNode *node = yaml_get(map, content_keys[i]);
        if (node != NULL) {
            diagnostics_add(check->diagnostics, &node->place, "'%s' of a file that must not exist", content_keys[i]);
        }
    }
}

void rule_session(const Check *check, const YamlNode *map, json_t *checked)
{
    gboolean password = yaml_get(map, "password") != NULL, key = yaml_get(map, "key") != NULL;
    const YamlNode *user = yaml_get(map, "user"), *sudo = yaml_get(map, "sudo");
    gboolean root = g_strcmp0(text_of(checked, "user"), "root") == 0;
    if (password && key) {
        diagnostics_add(check->diagnostics, &map->place, "a session has either 'password' or 'key'");
    } else if (!password && !key && (user != NULL || sudo != NULL)) {
        diagnostics_add(check->diagnostics, &(user != NULL ? user : sudo)->place,
                        "a session's user gets in by a 'password' or a 'key': give one");
    }
    if (sudo != NULL && root && json_is_true(json_object_get(checked, "sudo"))) {
        diagnostics_add(check->diagnostics, &sudo->place, "'sudo' has no meaning for root: name the 'user'");
    }
    if (sudo == NULL) {
        json_object_set_new(checked, "sudo", json_boolean(!root));
    }
}

void rule_step(const Check *check, const YamlNode *map, json_t *checked)
{
    const YamlNode *shutdown = yaml_get(map, "shutdown");
    if (json_is_true(json_object_get(checked, "offline")) && shutdown != NULL) {
        diagnostics_add(check->diagnostics, &shutdown->place, "'shutdown' has no meaning in an offline step");
    }
}

void rule_reboot(const Check *check, const YamlNode *map, json_t *checked)
{
    if (json_is_false(json_object_get(checked, "reboot"))) {
        diagnostics_add(check->diagnostics, &yaml_get(map, "reboot")->place,
                        "'reboot': only true has a meaning; leave the step out instead");
    }
}
