#include "server/settings.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"

#define GROUP "ingotd"
#define PREFIX "INGOTD_"

typedef gboolean (*Parse)(const char *text, gpointer field, GError **error);
typedef struct {
    const char *field;
    Parse parse;
    const char *by_default, *value, *meaning;
    gsize offset;
} Setting;

/* The word's place in the list, or -1. */
static int find(const char *const *names, const char *name)
{
    int i = 0;
    while (names[i] != NULL && strcmp(names[i], name) != 0) {
        i++;
    }
    return names[i] == NULL ? -1 : i;
}

/* --- kinds: each parses a text into a field --- */

static gboolean parse_TEXT(const char *text, gpointer field, GError **error)
{
    if (*text == '\0') {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "the value is empty");
        return FALSE;
    }
    g_free(*(char **)field);
    *(char **)field = g_strdup(text);
    return TRUE;
}

static gboolean parse_PATH(const char *text, gpointer field, GError **error)
{
    return parse_TEXT(text, field, error);
}

static gboolean parse_SIZE(const char *text, gpointer field, GError **error)
{
    return ingot_text_parse_size(text, field, error);
}

static gboolean parse_SECONDS(const char *text, gpointer field, GError **error)
{
    guint64 seconds;
    if (!ingot_text_parse_duration(text, &seconds, error)) {
        return FALSE;
    }
    if (seconds > G_MAXINT32) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s' is too long", text);
        return FALSE;
    }
    *(guint *)field = (guint)seconds;
    return TRUE;
}

static gboolean parse_COUNT(const char *text, gpointer field, GError **error)
{
    guint64 count;
    if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT32, &count, NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s' is no number from 0 to %d", text, G_MAXINT32);
        return FALSE;
    }
    *(guint *)field = (guint)count;
    return TRUE;
}

/* One of some words; its place among them is the value. */
static gboolean parse_word(const char *text, const char *const *words, int *value, GError **error)
{
    *value = find(words, text);
    if (*value < 0) {
        g_autofree char *near = ingot_text_suggestion(text, words), *all = g_strjoinv(" or ", (char **)words);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s' is none of %s%s", text, all, near);
    }
    return *value >= 0;
}

static gboolean parse_LOG(const char *text, gpointer field, GError **error)
{
    static const char *const words[] = {[LOG_AS_PLAIN] = "plain", [LOG_AS_JSON] = "json", NULL};
    int value;
    if (!parse_word(text, words, &value, error)) {
        return FALSE;
    }
    *(LogFormat *)field = (LogFormat)value;
    return TRUE;
}

static gboolean parse_PROXY(const char *text, gpointer field, GError **error)
{
    static const char *const words[] = {
        [ORIGIN_BY_X_FORWARDED] = "x-forwarded", [ORIGIN_BY_FORWARDED] = "forwarded", NULL};
    int value;
    if (!parse_word(text, words, &value, error)) {
        return FALSE;
    }
    *(OriginHeader *)field = (OriginHeader)value;
    return TRUE;
}

static gboolean parse_ANONYMOUS(const char *text, gpointer field, GError **error)
{
    static const char *const words[] = {"none", "pull", NULL};
    int value;
    if (!parse_word(text, words, &value, error)) {
        return FALSE;
    }
    *(guint *)field = value == 1 ? ACCESS_PULL : 0;
    return TRUE;
}

#define ROW(field, kind, by_default, value, meaning)                                                                   \
    {#field, parse_##kind, by_default, value, meaning, G_STRUCT_OFFSET(Settings, field)},
static const Setting table[SETTINGS_COUNT] = {SETTINGS(ROW)};

static char *key_of(const Setting *setting)
{
    return g_strdelimit(g_strdup(setting->field), "_", '-');
}

static char *variable_of(const Setting *setting)
{
    g_autofree char *upper = g_ascii_strup(setting->field, -1);
    return g_strconcat(PREFIX, upper, NULL);
}

/* The names of all settings, as flags without dashes in front or as variables. */
static GStrv names_of(char *(*name)(const Setting *))
{
    GStrv names = g_new0(char *, SETTINGS_COUNT + 1);
    for (guint i = 0; i < SETTINGS_COUNT; i++) {
        names[i] = name(&table[i]);
    }
    return names;
}

/* --- the command line --- */

SettingFlags *settings_flags_new(void)
{
    SettingFlags *flags = g_new0(SettingFlags, 1);
    const GOptionEntry others[] = {
        {"config", 0, 0, G_OPTION_ARG_FILENAME, &flags->config, "Read settings from this file ($INGOTD_CONFIG)",
         "FILE"},
        {"check-config", 0, 0, G_OPTION_ARG_NONE, &flags->check_config, "Print the settings in force and serve not",
         NULL},
        {"version", 0, 0, G_OPTION_ARG_NONE, &flags->version, "Print the version", NULL},
        G_OPTION_ENTRY_NULL,
    };
    flags->entries = g_new0(GOptionEntry, SETTINGS_COUNT + G_N_ELEMENTS(others));
    for (guint i = 0; i < SETTINGS_COUNT; i++) {
        const Setting *setting = &table[i];
        flags->entries[i] = (GOptionEntry){
            .long_name = key_of(setting),
            .arg = G_OPTION_ARG_FILENAME, /* as it is, whatever the locale can write */
            .arg_data = &flags->texts[i],
            .description = setting->by_default == NULL
                               ? g_strdup(setting->meaning)
                               : g_strdup_printf("%s (%s)", setting->meaning, setting->by_default),
            .arg_description = setting->value,
        };
    }
    memcpy(flags->entries + SETTINGS_COUNT, others, sizeof others);
    return flags;
}

void settings_flags_free(SettingFlags *flags)
{
    for (guint i = 0; i < SETTINGS_COUNT; i++) {
        g_free((char *)flags->entries[i].long_name);
        g_free((char *)flags->entries[i].description);
        g_free(flags->texts[i]);
    }
    g_free(flags->entries);
    g_free(flags->config);
    g_free(flags);
}

/* --- the sources, in rising order --- */

static gboolean take(Settings *settings, int index, const char *text, const char *origin, GError **error)
{
    const Setting *setting = &table[index];
    if (!setting->parse(text, G_STRUCT_MEMBER_P(settings, setting->offset), error)) {
        g_prefix_error(error, "%s: ", origin);
        return FALSE;
    }
    g_free(settings->texts[index]);
    g_free(settings->origins[index]);
    settings->texts[index] = g_strdup(text);
    settings->origins[index] = g_strdup(origin);
    return TRUE;
}

static gboolean take_defaults(Settings *settings, GError **error)
{
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        if (table[i].by_default != NULL && !take(settings, i, table[i].by_default, "default", error)) {
            return FALSE;
        }
        g_clear_pointer(&settings->origins[i], g_free);
    }
    return TRUE;
}

static gboolean take_key(Settings *settings, GKeyFile *file, const char *path, const char *key,
                         const char *const *names, GError **error)
{
    int index = find(names, key);
    if (index < 0) {
        g_autofree char *near = ingot_text_suggestion(key, names);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: there is no setting '%s'%s", path, key, near);
        return FALSE;
    }
    g_autoptr(GError) problem = NULL;
    g_autofree char *origin = g_strdup_printf("%s: %s", path, key);
    g_autofree char *text = g_key_file_get_string(file, GROUP, key, &problem);
    if (problem != NULL) { /* text may hold a part of the value */
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: %s", origin, problem->message);
        return FALSE;
    }
    return take(settings, index, text, origin, error);
}

static gboolean take_file(Settings *settings, const char *path, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) problem = NULL;
    if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &problem)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: %s", path, problem->message);
        return FALSE;
    }
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    for (guint i = 0; groups[i] != NULL; i++) {
        if (strcmp(groups[i], GROUP) != 0) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: there is no group [%s], only [%s]", path,
                        groups[i], GROUP);
            return FALSE;
        }
    }
    g_auto(GStrv) names = names_of(key_of);
    g_auto(GStrv) keys = g_key_file_get_keys(file, GROUP, NULL, NULL);
    for (guint i = 0; keys != NULL && keys[i] != NULL; i++) {
        if (!take_key(settings, file, path, keys[i], (const char *const *)names, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Whether some "_PORT_" is followed by a number. */
static gboolean has_port(const char *text)
{
    static const char port[] = "_PORT_";
    const char *at = text;
    while ((at = strstr(at, port)) != NULL) {
        at += strlen(port);
        if (g_ascii_isdigit(*at)) {
            return TRUE;
        }
        at--; /* the underscore may begin the next one */
    }
    return FALSE;
}

/* What others put there: the unit its options; container managers where each service is to be found, in variables that
 * begin with its name, which may be "ingotd" or "ingotd-metrics". So no setting's name may look like one of these. */
static gboolean is_foreign(const char *variable)
{
    const char *rest = variable + strlen(PREFIX) - 1; /* with its underscore */
    return strcmp(variable, PREFIX "CONFIG") == 0 || strcmp(variable, PREFIX "OPTIONS") == 0 ||
           g_str_has_suffix(rest, "_PORT") || g_str_has_suffix(rest, "_SERVICE_HOST") ||
           strstr(rest, "_SERVICE_PORT_") != NULL || has_port(rest);
}

static gboolean take_variable(Settings *settings, const char *name, const char *text, const char *const *names,
                              GError **error)
{
    int index = find(names, name);
    if (index < 0 && !is_foreign(name)) {
        g_autofree char *near = ingot_text_suggestion(name, names);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "there is no setting for the variable %s%s", name, near);
        return FALSE;
    }
    /* Empty is how many a tool writes that a variable is not set. */
    return index < 0 || *text == '\0' || take(settings, index, text, name, error);
}

static gboolean take_environment(Settings *settings, char **environment, GError **error)
{
    g_auto(GStrv) names = names_of(variable_of);
    for (guint i = 0; environment[i] != NULL; i++) {
        const char *sign = strchr(environment[i], '=');
        if (!g_str_has_prefix(environment[i], PREFIX) || sign == NULL) {
            continue;
        }
        g_autofree char *name = g_strndup(environment[i], (gsize)(sign - environment[i]));
        if (!take_variable(settings, name, sign + 1, (const char *const *)names, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean take_flags(Settings *settings, const SettingFlags *flags, GError **error)
{
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        g_autofree char *origin = g_strconcat("--", flags->entries[i].long_name, NULL);
        if (flags->texts[i] != NULL && !take(settings, i, flags->texts[i], origin, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* What no setting by itself can tell. */
static gboolean check(const Settings *settings, GError **error)
{
    if ((settings->tls_cert == NULL) != (settings->tls_key == NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--tls-cert and --tls-key go together; see --help");
        return FALSE;
    }
    if (settings->max_connections < SETTINGS_CONNECTIONS_LEAST) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: at least %d connections are needed",
                    settings->origins[SETTING_max_connections], SETTINGS_CONNECTIONS_LEAST);
        return FALSE;
    }
    if (settings->token_life < SETTINGS_TOKEN_LEAST || settings->token_life > G_MAXINT) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: an access token lives for at least %d seconds",
                    settings->origins[SETTING_token_life], SETTINGS_TOKEN_LEAST);
        return FALSE;
    }
    if (settings->min_rate_time == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: at least a second is needed",
                    settings->origins[SETTING_min_rate_time]);
        return FALSE;
    }
    return TRUE;
}

gboolean settings_read(const SettingFlags *flags, char **environment, Settings *settings, GError **error)
{
    const char *path = flags->config == NULL ? g_environ_getenv(environment, PREFIX "CONFIG") : flags->config;
    return take_defaults(settings, error) && (path == NULL || *path == '\0' || take_file(settings, path, error)) &&
           take_environment(settings, environment, error) && take_flags(settings, flags, error) &&
           check(settings, error);
}

void settings_clear(Settings *settings)
{
    for (guint i = 0; i < SETTINGS_COUNT; i++) {
        if (table[i].parse == parse_TEXT || table[i].parse == parse_PATH) {
            g_free(*(char **)G_STRUCT_MEMBER_P(settings, table[i].offset));
        }
        g_free(settings->texts[i]);
        g_free(settings->origins[i]);
    }
}

char *settings_tell(const Settings *settings)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    GString *told = g_string_new("[" GROUP "]\n");
    for (guint i = 0; i < SETTINGS_COUNT; i++) {
        const Setting *setting = &table[i];
        g_autofree char *key = key_of(setting), *variable = variable_of(setting);
        const char *origin = settings->origins[i] == NULL ? "default" : settings->origins[i];
        g_string_append_printf(told, "# %s\n# --%s %s, %s (%s)\n", setting->meaning, key, setting->value, variable,
                               origin);
        if (settings->texts[i] == NULL) {
            g_string_append_printf(told, "#%s=\n", key);
            continue;
        }
        g_key_file_set_string(file, GROUP, key, settings->texts[i]);
        g_autofree char *value = g_key_file_get_value(file, GROUP, key, NULL); /* with its escapes */
        g_string_append_printf(told, "%s=%s\n", key, value);
    }
    return g_string_free(told, FALSE);
}
