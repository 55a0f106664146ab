#include "recipe/variables.h"

#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "base/secrets.h"
#include "base/text.h"
#include "recipe/git.h"
#include "recipe/hide.h"

#define ENVIRONMENT_PREFIX "INGOT_VAR_"

typedef struct {
    char *value;
    gboolean secret;
    gboolean missing; /* it has no value, which was reported where it is declared */
    gboolean unknown; /* it has no value here, which is reported where it is used */
    gboolean chosen;  /* its value is not the recipe's own */
    gboolean used;    /* since the last variables_watch */
} Variable;

typedef struct {
    char *value;
    Place place; /* where it was set */
} Given;

struct Variables {
    char *folder;
    GHashTable *given;    /* name -> Given, from the inputs */
    GHashTable *declared; /* name -> Variable */
    GPtrArray *names;     /* of the declared ones, in order; borrowed */
    GHashTable *builtins; /* name -> value, as far as known */
    GPtrArray *secrets;
    GPtrArray *hidden;        /* of const YamlNode *: secrets that stand in the recipe's text */
    const json_t *kept;       /* see RecipeInputs; borrowed */
    RecipeFindings *findings; /* collects the declared names of several recipes, or NULL */
    const json_t *built;      /* likewise, of a recipe that came with an image (RecipeFetched); borrowed */
    gboolean came;            /* it came with an image: neither the environment nor a repository here is its own */
    gboolean built_unknown;   /* ... which does not say what it was built with */
    gboolean defaults_only;   /* what is set here does not count */
    gboolean incomplete;      /* not all declarations could be read */
};

/* What another day or another place would have otherwise. */
static const char *const moving_names[] = {"git.commit", "git.dirty", "date", NULL};

static const char *const builtin_names[] = {"git.commit",  "git.dirty", "date", "recipe.dir",
                                            "recipe.name", "version",   NULL};

static void variable_free(gpointer data)
{
    Variable *variable = data;
    g_free(variable->value);
    g_free(variable);
}

static void given_free(gpointer data)
{
    Given *given = data;
    g_free(given->value);
    g_free(given);
}

static void give(Variables *variables, const char *name, gsize length, const char *value, const Place *place)
{
    Given *given = g_new0(Given, 1);
    given->value = g_strdup(value);
    given->place = *place;
    g_hash_table_replace(variables->given, g_strndup(name, length), given);
}

static void read_file(Variables *variables, const char *path, Diagnostics *diagnostics)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = ingot_file_read(path, YAML_MOST_BYTES, &error);
    if (bytes == NULL) {
        diagnostics_add(diagnostics, &(Place){g_intern_static_string("--var-file"), 0, 0}, "%s", error->message);
        return;
    }
    gsize size = 0;
    const char *text = g_bytes_get_data(bytes, &size);
    g_autoptr(YamlTree) tree = yaml_parse(text != NULL ? text : "", size, path, diagnostics);
    if (tree->root != NULL && tree->root->kind != YAML_MAP) {
        diagnostics_add(diagnostics, &tree->root->place, "expected a map of variables, not %s", yaml_noun(tree->root));
    }
    for (guint i = 0; tree->root != NULL && tree->root->kind == YAML_MAP && i < tree->root->items->len; i += 2) {
        const YamlNode *key = g_ptr_array_index(tree->root->items, i);
        const YamlNode *value = g_ptr_array_index(tree->root->items, i + 1);
        if (value->kind != YAML_SCALAR || value->type == SCALAR_NULL) {
            g_autofree char *quoted = diagnostics_quote(key->text);
            diagnostics_add(diagnostics, &value->place, "%s: expected a text or a number, not %s", quoted,
                            yaml_noun(value));
        } else {
            give(variables, key->text, strlen(key->text), value->text, &key->place);
        }
    }
}

static void read_option(Variables *variables, const char *option, Diagnostics *diagnostics)
{
    Place place = {g_intern_static_string("--var"), 0, 0};
    const char *equals = strchr(option, '=');
    if (equals == NULL) {
        g_autofree char *quoted = diagnostics_quote(option);
        diagnostics_add(diagnostics, &place, "%s: expected NAME=VALUE", quoted);
    } else if (!g_utf8_validate(equals, -1, NULL)) {
        diagnostics_add(diagnostics, &place, "%.*s: the value is not valid UTF-8", (int)(equals - option), option);
    } else {
        give(variables, option, (gsize)(equals - option), equals + 1, &place);
    }
}

/* Everything here is UTF-8 from now on. */
static void check_environment(Diagnostics *diagnostics)
{
    g_auto(GStrv) names = g_listenv();
    for (guint i = 0; names[i] != NULL; i++) {
        if (g_str_has_prefix(names[i], ENVIRONMENT_PREFIX) && !g_utf8_validate(g_getenv(names[i]), -1, NULL)) {
            diagnostics_add(diagnostics, &(Place){g_intern_string(names[i]), 0, 0}, "the value is not valid UTF-8");
        }
    }
}

/* The value that an image was built with; NULL: none is kept, or it has a secret in it. */
static const char *kept_value(const Variables *variables, const char *name)
{
    const json_t *values = variables->kept != NULL ? variables->kept : variables->built;
    const char *value = json_string_value(json_object_get(values, name));
    return value != NULL && strstr(value, "***") == NULL ? value : NULL;
}

static void keep_builtins(Variables *variables)
{
    for (guint i = 0; moving_names[i] != NULL; i++) {
        const char *value = kept_value(variables, moving_names[i]);
        if (value != NULL) {
            variables_set_builtin(variables, moving_names[i], value);
        }
    }
}

Variables *variables_new(const RecipeInputs *inputs, const char *folder, Diagnostics *diagnostics)
{
    Variables *variables = g_new0(Variables, 1);
    variables->folder = g_strdup(folder);
    variables->findings = inputs != NULL ? inputs->findings : NULL;
    variables->given = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, given_free);
    variables->declared = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, variable_free);
    variables->names = g_ptr_array_new();
    variables->builtins = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    variables->secrets = ingot_secrets_new();
    variables->hidden = g_ptr_array_new();
    variables->kept = inputs != NULL ? inputs->kept : NULL;
    variables->built = inputs != NULL && inputs->fetched != NULL ? inputs->fetched->values : NULL;
    variables->came = variables->kept != NULL || (inputs != NULL && inputs->fetched != NULL);
    variables->built_unknown = variables->came && variables->kept == NULL && variables->built == NULL;
    variables->defaults_only = inputs != NULL && inputs->defaults_only;
    keep_builtins(variables);
    if (variables->kept == NULL) {
        variables_set_builtin(variables, "recipe.dir", folder);
    }
    check_environment(diagnostics);
    for (guint i = 0; inputs != NULL && inputs->var_files != NULL && inputs->var_files[i] != NULL; i++) {
        read_file(variables, inputs->var_files[i], diagnostics);
    }
    for (guint i = 0; inputs != NULL && inputs->vars != NULL && inputs->vars[i] != NULL; i++) {
        read_option(variables, inputs->vars[i], diagnostics);
    }
    return variables;
}

void variables_free(Variables *variables)
{
    if (variables != NULL) {
        g_free(variables->folder);
        g_hash_table_unref(variables->given);
        g_hash_table_unref(variables->declared);
        g_ptr_array_unref(variables->names);
        g_hash_table_unref(variables->builtins);
        g_ptr_array_unref(variables->secrets);
        g_ptr_array_unref(variables->hidden);
        g_free(variables);
    }
}

gboolean variables_is_builtin(const char *name)
{
    return g_strv_contains(builtin_names, name);
}

static const char *input_value(const Variables *variables, const char *name)
{
    const Given *given = g_hash_table_lookup(variables->given, name);
    const char *kept = kept_value(variables, name);
    g_autofree char *key = g_strconcat(ENVIRONMENT_PREFIX, name, NULL);
    gboolean own = !variables->defaults_only && !variables->came; /* nobody else's recipe picks from the environment */
    return given != NULL ? given->value : kept != NULL ? kept : own ? g_getenv(key) : NULL;
}

void variables_break(Variables *variables, const char *name)
{
    Variable *variable = g_hash_table_lookup(variables->declared, name);
    if (variable != NULL && input_value(variables, name) == NULL) {
        variable->missing = TRUE;
    }
}

void variables_set_incomplete(Variables *variables)
{
    variables->incomplete = TRUE;
}

void variables_add_secret(Variables *variables, const char *value)
{
    ingot_secrets_add(variables->secrets, value);
    ingot_secrets_register(value);
}

void variables_hide(Variables *variables, const YamlNode *scalar)
{
    /* "${name}" alone says nothing of the value. */
    if (scalar != NULL && scalar->kind == YAML_SCALAR &&
        !g_regex_match_simple("^\\$\\{[A-Za-z0-9_.-]+\\}$", scalar->text, G_REGEX_DOLLAR_ENDONLY, 0)) {
        g_ptr_array_add(variables->hidden, (gpointer)scalar);
    }
}

char *variables_shown_text(const Variables *variables, const char *text)
{
    g_autofree char *blanked = hide_scalars(text, variables->hidden);
    return ingot_secrets_mask(variables->secrets, blanked);
}

/* Whether a recipe that came with an image has "***" in the value's place. */
static gboolean is_hidden(const Variables *variables, const char *name, const char *fallback)
{
    const char *value = json_string_value(json_object_get(variables->built, name));
    return variables->built != NULL && (value != NULL ? strstr(value, "***") != NULL : g_strcmp0(fallback, "***") == 0);
}

void variables_watch(Variables *variables)
{
    for (guint i = 0; i < variables->names->len; i++) {
        Variable *variable = g_hash_table_lookup(variables->declared, g_ptr_array_index(variables->names, i));
        variable->used = FALSE;
    }
}

/* Whether one that is used is chosen. */
static gboolean uses_chosen(const Variables *variables)
{
    for (guint i = 0; i < variables->names->len; i++) {
        const Variable *variable = g_hash_table_lookup(variables->declared, g_ptr_array_index(variables->names, i));
        if (variable->used && variable->chosen) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean variables_declare(Variables *variables, const char *name, const char *fallback, gboolean required,
                           gboolean secret)
{
    const char *value = input_value(variables, name);
    gboolean unknown =
        value == NULL && (variables->kept != NULL || variables->built_unknown || is_hidden(variables, name, fallback));
    gboolean missing = value == NULL && fallback == NULL && required && !unknown;
    if (g_hash_table_contains(variables->declared, name)) {
        return TRUE; /* A key given twice has been reported. */
    }
    Variable *variable = g_new0(Variable, 1);
    variable->value = g_strdup(value != NULL ? value : fallback != NULL && !unknown ? fallback : "");
    variable->secret = secret;
    variable->missing = missing;
    variable->unknown = unknown;
    variable->chosen = (value != NULL && g_strcmp0(value, fallback) != 0) || uses_chosen(variables);
    if (secret) {
        variables_add_secret(variables, variable->value);
        variables_add_secret(variables, fallback != NULL ? fallback : "");
    }
    char *key = g_strdup(name);
    g_hash_table_insert(variables->declared, key, variable);
    g_ptr_array_add(variables->names, key);
    return !missing;
}

void variables_set_builtin(Variables *variables, const char *name, const char *value)
{
    g_hash_table_replace(variables->builtins, g_strdup(name), g_strdup(value));
}

/* All names that ${…} can have, for suggestions. Free the array alone. */
static const char **known_names(const Variables *variables, gboolean with_builtins)
{
    GPtrArray *names = g_ptr_array_new();
    for (guint i = 0; i < variables->names->len; i++) {
        g_ptr_array_add(names, g_ptr_array_index(variables->names, i));
    }
    for (guint i = 0; with_builtins && builtin_names[i] != NULL; i++) {
        g_ptr_array_add(names, (gpointer)builtin_names[i]);
    }
    g_ptr_array_add(names, NULL);
    return (const char **)g_ptr_array_free(names, FALSE);
}

static void names_collect(const Variables *variables)
{
    variables->findings->incomplete |= variables->incomplete;
    for (guint i = 0; i < variables->names->len; i++) {
        g_hash_table_add(variables->findings->declared, g_strdup(g_ptr_array_index(variables->names, i)));
    }
}

static int by_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* names: the declared ones (of char *). */
static void names_report(const Variables *variables, const char *whose, GPtrArray *names, Diagnostics *diagnostics)
{
    GHashTableIter iterator;
    gpointer name, given;
    g_ptr_array_sort(names, by_text);
    g_ptr_array_add(names, NULL);
    const char *const *words = (const char *const *)names->pdata;
    g_autofree char *list = g_strjoinv(", ", (char **)words);
    g_hash_table_iter_init(&iterator, variables->given);
    while (g_hash_table_iter_next(&iterator, &name, &given)) {
        if (!g_strv_contains(words, name)) {
            g_autofree char *quoted = diagnostics_quote(name);
            g_autofree char *suggestion = ingot_text_suggestion(name, words);
            diagnostics_add(diagnostics, &((Given *)given)->place, "%s no variable %s%s%s%s", whose, quoted, suggestion,
                            *list != '\0' ? "; known: " : "", list);
        }
    }
}

void variables_check_given(const Variables *variables, Diagnostics *diagnostics)
{
    g_autoptr(GPtrArray) names = g_ptr_array_copy(variables->names, NULL, NULL);
    if (variables->findings != NULL) {
        names_collect(variables);
    } else if (!variables->incomplete) {
        names_report(variables, "the recipe has", names, diagnostics);
    }
}

gboolean variables_check_names(const RecipeInputs *inputs, guint recipes, GError **error)
{
    g_autoptr(Diagnostics) unheard = diagnostics_new(), diagnostics = diagnostics_new();
    g_autoptr(Variables) variables = variables_new(inputs, ".", unheard); /* each recipe has reported what is unheard */
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    GHashTableIter iterator;
    gpointer name;
    g_hash_table_iter_init(&iterator, inputs->findings->declared);
    while (g_hash_table_iter_next(&iterator, &name, NULL)) {
        g_ptr_array_add(names, name);
    }
    if (!inputs->findings->incomplete) {
        names_report(variables, recipes == 1 ? "the recipe has" : "the recipes have", names, diagnostics);
    }
    return diagnostics_raise(diagnostics, NULL, error);
}

const GPtrArray *variables_secrets(const Variables *variables)
{
    return variables->secrets;
}

/* {name: value} of all, or of those that are used and chosen. */
static json_t *show_values(const Variables *variables, gboolean all)
{
    json_t *values = json_object();
    for (guint i = 0; i < variables->names->len; i++) {
        const char *name = g_ptr_array_index(variables->names, i);
        const Variable *variable = g_hash_table_lookup(variables->declared, name);
        g_autofree char *shown = variable->secret || variable->unknown
                                     ? g_strdup("***")
                                     : ingot_secrets_mask(variables->secrets, variable->value);
        if (all || (variable->used && variable->chosen)) {
            json_object_set_new(values, name, json_string(shown));
        }
    }
    return values;
}

json_t *variables_public(const Variables *variables)
{
    return show_values(variables, TRUE);
}

json_t *variables_chosen(const Variables *variables)
{
    return show_values(variables, FALSE);
}

void variables_add_asked(const Variables *variables, json_t *values)
{
    for (guint i = 0; moving_names[i] != NULL; i++) {
        ingot_json_set_string(values, moving_names[i], g_hash_table_lookup(variables->builtins, moving_names[i]));
    }
}

/* Git is asked only by a recipe that wants to know. */
static gboolean find_builtin(Variables *variables, const char *name, GError **error)
{
    if (variables->came && (strcmp(name, "recipe.dir") == 0 || g_strv_contains(moving_names, name))) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                    "what it stood for when the image was built is not kept with the image");
        return FALSE;
    }
    if (strcmp(name, "date") == 0) {
        g_autofree char *now = ingot_text_now();
        now[strlen("YYYY-MM-DD")] = '\0';
        variables_set_builtin(variables, name, now);
    } else if (g_str_has_prefix(name, "git.")) {
        g_autofree char *commit = NULL;
        gboolean dirty = FALSE;
        if (!recipe_git(variables->folder, &commit, &dirty, error)) {
            return FALSE;
        }
        variables_set_builtin(variables, "git.commit", commit);
        variables_set_builtin(variables, "git.dirty", dirty ? "true" : "false");
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                    strcmp(name, "version") == 0 ? "the recipe has no version, or it is not known here yet"
                                                 : "the recipe's name is not known here yet");
        return FALSE;
    }
    return TRUE;
}

typedef struct {
    Variables *variables;
    const YamlNode *scalar;
    ExpandFlags flags;
    Diagnostics *diagnostics;
    GString *out;
    gboolean ok;
} Expansion;

static void complain(Expansion *expansion, const char *reference, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void complain(Expansion *expansion, const char *reference, const char *format, ...)
{
    expansion->ok = FALSE;
    if (diagnostics_full(expansion->diagnostics)) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    Place place = yaml_place_of(expansion->scalar, reference);
    diagnostics_add(expansion->diagnostics, &place, "%s", message);
}

static void put_unknown(Expansion *expansion, const char *name, const char *reference)
{
    expansion->ok = FALSE;
    if (diagnostics_full(expansion->diagnostics) || expansion->variables->incomplete) {
        return;
    }
    g_autofree char *quoted = diagnostics_quote(reference);
    g_autofree const char **names = known_names(expansion->variables, TRUE);
    g_autofree char *suggestion = ingot_text_suggestion(name, names);
    complain(expansion, reference, "unknown variable %s%s; a literal '${' is written '$${'", quoted, suggestion);
}

static void put_builtin(Expansion *expansion, const char *name, const char *reference)
{
    Variables *variables = expansion->variables;
    g_autoptr(GError) error = NULL;
    if (!g_hash_table_contains(variables->builtins, name) && !find_builtin(variables, name, &error)) {
        complain(expansion, reference, "'%s': %s", reference, error->message);
        return;
    }
    g_string_append(expansion->out, g_hash_table_lookup(variables->builtins, name));
}

static void put_variable(Expansion *expansion, Variable *variable, const char *reference)
{
    variable->used = TRUE;
    if (variable->secret && !variable->missing && !(expansion->flags & EXPAND_SECRETS)) {
        complain(expansion, reference, "the secret '%s' may be used in the texts of steps and tests only", reference);
    } else if (variable->unknown) {
        complain(expansion, reference,
                 "'%s': the value that the image was built with is not kept with the image: set it in a "
                 "--var-file or by --var (the environment does not count)",
                 reference);
    } else if (variable->missing) {
        expansion->ok = FALSE;
    } else if (variable->secret && (expansion->flags & EXPAND_SHOWN)) {
        g_string_append(expansion->out, "***");
    } else {
        g_string_append(expansion->out, variable->value);
    }
}

/* One "${name}", which is the `length` bytes at text. */
static void put_reference(Expansion *expansion, const char *text, gsize length)
{
    gboolean shell = (expansion->flags & EXPAND_SHELL) != 0;
    g_autofree char *reference = g_strndup(text, length);
    g_autofree char *name = g_strndup(text + 2, length - 3);
    Variable *variable = g_hash_table_lookup(expansion->variables->declared, name);
    if (variable != NULL) {
        put_variable(expansion, variable, reference);
    } else if (variables_is_builtin(name) && (!shell || strchr(name, '.') != NULL)) {
        put_builtin(expansion, name, reference);
    } else if (shell && !g_regex_match_simple("^[a-z_]+\\.[a-z_.]+$", name, 0, 0)) {
        g_string_append(expansion->out, reference);
    } else {
        put_unknown(expansion, name, reference);
    }
}

/* The end of a name that begins at text, where its '}' stands, or NULL. */
static const char *name_end(const char *text)
{
    const char *end = text + strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
    return *end == '}' ? end : NULL;
}

char *variables_expand(Variables *variables, const YamlNode *scalar, ExpandFlags flags, Diagnostics *diagnostics)
{
    g_autoptr(GString) out = g_string_sized_new(strlen(scalar->text));
    Expansion expansion = {variables, scalar, flags, diagnostics, out, TRUE};
    const char *at = scalar->text;
    const char *dollar = NULL;
    while ((dollar = strchr(at, '$')) != NULL) {
        g_string_append_len(out, at, dollar - at);
        const char *end = g_str_has_prefix(dollar, "${") ? name_end(dollar + 2) : NULL;
        if (g_str_has_prefix(dollar, "$${")) {
            g_string_append(out, "${");
            at = dollar + 3;
        } else if (end != NULL) {
            put_reference(&expansion, dollar, (gsize)(end + 1 - dollar));
            at = end + 1;
        } else if (g_str_has_prefix(dollar, "${") && !(flags & EXPAND_SHELL)) {
            g_autofree char *quoted = diagnostics_quote(dollar);
            complain(&expansion, "${", "%s is not a ${name}; a literal '${' is written '$${'", quoted);
            at = dollar + 2;
        } else {
            g_string_append_c(out, '$');
            at = dollar + 1;
        }
    }
    g_string_append(out, at);
    return expansion.ok ? g_string_free(g_steal_pointer(&out), FALSE) : NULL;
}
