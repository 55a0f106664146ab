#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "base/command.h"
#include "base/json.h"
#include "base/text.h"
#include "cache/evict.h"
#include "cache/house.h"
#include "cache/nodes.h"
#include "verbs.h"

#define BASE_SHOWN 12 /* hex digits of a base in the table */

static gint64 now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static void print_json(json_t *value)
{
    g_autoptr(json_t) owned = value;
    g_autofree char *text = ingot_json_pretty(owned);
    fputs(text, stdout);
}

/* --- ls --- */

static json_t *describe(const Node *node)
{
    HouseNode house = house_node(node->folder);
    const NodeRun *run = node_run(node);
    char key[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&run->key, key);
    g_autofree char *ran = ingot_text_time(run->ran), *used = ingot_text_time(house.used);
    json_t *entry =
        ingot_json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:b, s:f}", "node", node_name(node), "step", run->title,
                        "key", key, "ran", ran, "used", used, "disk", (json_int_t)house.layer, "memory",
                        (json_int_t)house.memory, "secret", node->secret, "seconds", run->seconds);
    ingot_json_set_string(entry, "recipe", node->recipe);
    ingot_json_set_string(entry, "machine", node->fingerprint);
    ingot_json_set_string(entry, "base", node->source);
    ingot_json_set_string(entry, "below", node->below);
    json_object_set_new(entry, "pinned", json_boolean(node_pinned(node)));
    json_object_set_new(entry, "whole", json_boolean(node->whole));
    return entry;
}

/* The source that it stands on, short: "from-0e5a32542351". Free it. */
static char *short_base(const Node *node)
{
    g_autofree char *top = g_canonicalize_filename(ingot_command_common()->cache, NULL);
    g_autofree char *sources = g_build_filename(top, "sources/", NULL);
    if (!g_str_has_prefix(node->source, sources)) {
        return g_filename_display_name(node->source);
    }
    g_auto(GStrv) parts = g_strsplit(node->source + strlen(sources), "/", 2);
    gsize kind = strcspn(parts[0], "-"); /* "from-HEX", "image-HEX", or HEX of a bootstrapped one */
    gsize shown = parts[0][kind] == '-' ? kind + 1 + BASE_SHOWN : BASE_SHOWN;
    return g_strndup(parts[0], shown);
}

static void print_node(const Node *node)
{
    HouseNode house = house_node(node->folder);
    g_autofree char *age = ingot_text_age((double)(now() - node_run(node)->ran));
    g_autofree char *used = ingot_text_age((double)(now() - house.used));
    g_autofree char *disk = ingot_text_size(house.layer);
    g_autofree char *memory = node->fingerprint == NULL ? g_strdup("-") : ingot_text_size(house.memory);
    g_autofree char *base = short_base(node);
    g_autofree char *title = ingot_text_line(node_run(node)->title);
    g_autofree char *recipe = ingot_text_line(node->recipe == NULL ? "-" : node->recipe);
    printf("%-24s  %-20s  %8s  %8s  %9s  %9s  %-18s  %s%s%s%s\n", node_name(node), recipe, age, used, disk, memory,
           base, title, node->secret ? " (saw a secret)" : "", node_pinned(node) ? " (pinned)" : "",
           node->whole ? "" : " (its base is not there)");
}

static int by_recipe_and_time(gconstpointer a, gconstpointer b)
{
    const Node *one = *(Node *const *)a, *other = *(Node *const *)b;
    int order = g_strcmp0(one->recipe, other->recipe);
    return order != 0 ? order : (int)CLAMP(node_run(one)->ran - node_run(other)->ran, -1, 1);
}

static gboolean list(const char *cache, GError **error)
{
    g_autoptr(GPtrArray) nodes = nodes_list(cache, error);
    if (nodes == NULL) {
        return FALSE;
    }
    g_ptr_array_sort(nodes, by_recipe_and_time);
    if (ingot_command_common()->json) {
        json_t *all = json_array();
        for (guint i = 0; i < nodes->len; i++) {
            json_array_append_new(all, describe(g_ptr_array_index(nodes, i)));
        }
        print_json(all);
        return TRUE;
    }
    printf("%-24s  %-20s  %8s  %8s  %9s  %9s  %-18s  %s\n", "NODE", "RECIPE", "AGE", "USED", "DISK", "MEMORY", "BASE",
           "AFTER");
    for (guint i = 0; i < nodes->len; i++) {
        print_node(g_ptr_array_index(nodes, i));
    }
    return TRUE;
}

/* --- du --- */

static void print_size(const char *what, guint64 bytes)
{
    g_autofree char *size = ingot_text_size(bytes);
    printf("%-24s %10s\n", what, size);
}

static gboolean measure(const char *cache, GError **error)
{
    HouseUse use;
    if (!house_measure(cache, &use, error)) {
        return FALSE;
    }
    guint64 total = use.layers + use.memory + use.sources + use.records;
    if (ingot_command_common()->json) {
        print_json(ingot_json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "nodes", use.nodes, "layers",
                                   (json_int_t)use.layers, "memory", (json_int_t)use.memory, "sources",
                                   (json_int_t)use.sources, "records", (json_int_t)use.records, "total",
                                   (json_int_t)total, "limit", (json_int_t)use.limit));
        return TRUE;
    }
    g_autofree char *nodes = g_strdup_printf("disks of %u nodes", use.nodes);
    print_size(nodes, use.layers);
    print_size("memory of their machines", use.memory);
    print_size("sources", use.sources);
    print_size("all the rest", use.records);
    print_size("in all", total);
    print_size("limit", use.limit);
    return TRUE;
}

/* --- prune --- */

typedef struct {
    char *keep, *older;
    gboolean dry;
} Prune;

static void prune_clear(Prune *prune)
{
    g_free(prune->keep);
    g_free(prune->older);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Prune, prune_clear)

static gboolean prune_rule(const Prune *prune, EvictRule *rule, GError **error)
{
    guint64 age = 0;
    if (prune->keep != NULL && !ingot_text_parse_size(prune->keep, &rule->most, error)) {
        g_prefix_error(error, "--keep: ");
        return FALSE;
    }
    if (prune->older != NULL && !ingot_text_parse_duration(prune->older, &age, error)) {
        g_prefix_error(error, "--older: ");
        return FALSE;
    }
    rule->before = prune->older == NULL ? 0 : now() - (gint64)age;
    rule->dry = prune->dry;
    return TRUE;
}

static json_t *describe_evicted(const Evicted *one)
{
    g_autofree char *used = ingot_text_time(one->used);
    return ingot_json_pack("{s:o, s:o, s:I, s:s, s:s}", "path", ingot_json_text(one->path), "what",
                           ingot_json_text(one->what), "bytes", (json_int_t)one->bytes, "used", used, "why",
                           evict_why(one->why));
}

static void print_evicted(const GPtrArray *list, gboolean dry)
{
    for (guint i = 0; i < list->len; i++) {
        const Evicted *one = g_ptr_array_index(list, i);
        g_autofree char *size = ingot_text_size(one->bytes);
        g_autofree char *used = ingot_text_age((double)(now() - one->used));
        g_autofree char *what = ingot_text_line(one->what);
        printf("%9s  %8s  %s (%s)\n", size, used, what, evict_why(one->why));
    }
    g_autofree char *size = ingot_text_size(evict_bytes(list));
    printf("%s %u, %s\n", dry ? "would drop" : "dropped", list->len, size);
}

static gboolean prune_run(const char *cache, const Prune *prune, GError **error)
{
    EvictRule rule = {0};
    g_autoptr(GPtrArray) list = prune_rule(prune, &rule, error) ? evict(cache, &rule, error) : NULL;
    if (list == NULL) {
        return FALSE;
    }
    if (ingot_command_common()->json) {
        json_t *items = json_array();
        for (guint i = 0; i < list->len; i++) {
            json_array_append_new(items, describe_evicted(g_ptr_array_index(list, i)));
        }
        print_json(ingot_json_pack("{s:i, s:I, s:b, s:o}", "dropped", list->len, "bytes", (json_int_t)evict_bytes(list),
                                   "dry_run", prune->dry, "items", items));
    } else if (!ingot_command_common()->quiet) {
        print_evicted(list, prune->dry);
    }
    return TRUE;
}

/* --- rm, pin, unpin --- */

/* Those that a word names: one node, or all of a recipe. GPtrArray, borrowed from nodes; NULL: none, with an error. */
static GPtrArray *named_nodes(const GPtrArray *nodes, const char *word, GError **error)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new(), words = g_ptr_array_new();
    for (guint i = 0; i < nodes->len; i++) {
        Node *node = g_ptr_array_index(nodes, i);
        if (strcmp(node_name(node), word) == 0 || g_strcmp0(node->recipe, word) == 0) {
            g_ptr_array_add(found, node);
        }
        g_ptr_array_add(words, (gpointer)node_name(node));
        if (node->recipe != NULL) {
            g_ptr_array_add(words, node->recipe);
        }
    }
    if (found->len == 0) {
        g_ptr_array_add(words, NULL);
        g_autofree char *hint = ingot_text_suggestion(word, (const char *const *)words->pdata);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                    "'%s' is neither a node nor a recipe of the cache%s; `ingot cache ls` lists them", word, hint);
        return NULL;
    }
    return g_steal_pointer(&found);
}

static const char *recipe_of(const Node *node)
{
    return node->recipe == NULL ? "a recipe" : node->recipe;
}

/* A pinned node stays, and so does what it stands on. */
static gboolean refuse_pinned(const Node *node, GError **error)
{
    if (node_pinned(node)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "node %s (after '%s' of %s) is pinned; `ingot cache unpin %s` first", node_name(node),
                    node_run(node)->title, recipe_of(node), node_name(node));
        return FALSE;
    }
    return TRUE;
}

/* The nodes and all that stand on them, those above first. */
static void add_with_above(const GPtrArray *nodes, Node *node, GPtrArray *list)
{
    for (guint i = 0; i < nodes->len; i++) {
        Node *other = g_ptr_array_index(nodes, i);
        if (g_strcmp0(other->below, node_name(node)) == 0) {
            add_with_above(nodes, other, list);
        }
    }
    if (!g_ptr_array_find(list, node, NULL)) {
        g_ptr_array_add(list, node);
    }
}

static gboolean remove_node(const Node *node, GError **error)
{
    if (!nodes_remove(node->folder)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS,
                    "node %s (after '%s' of %s) is in use by a build, and stays", node_name(node),
                    node_run(node)->title, recipe_of(node));
        return FALSE;
    }
    return TRUE;
}

static gboolean remove_nodes(const GPtrArray *nodes, const GPtrArray *chosen, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    for (guint i = 0; i < chosen->len; i++) {
        add_with_above(nodes, g_ptr_array_index(chosen, i), list);
    }
    for (guint i = 0; i < list->len; i++) {
        if (!refuse_pinned(g_ptr_array_index(list, i), error)) {
            return FALSE;
        }
    }
    json_t *removed = json_array();
    gboolean ok = TRUE;
    for (guint i = 0; i < list->len && ok; i++) {
        const Node *node = g_ptr_array_index(list, i);
        ok = remove_node(node, error);
        if (ok) {
            json_array_append_new(removed, json_string(node_name(node)));
            if (!ingot_command_common()->json && !ingot_command_common()->quiet) {
                g_autofree char *text = g_strdup_printf("removed %s, after '%s' of %s", node_name(node),
                                                        node_run(node)->title, recipe_of(node));
                g_autofree char *line = ingot_text_line(text);
                printf("%s\n", line);
            }
        }
    }
    json_t *all = ingot_json_pack("{s:o}", "removed", removed);
    if (ingot_command_common()->json) {
        print_json(all);
    } else {
        json_decref(all);
    }
    return ok;
}

static gboolean pin_nodes(const GPtrArray *chosen, gboolean pinned, GError **error)
{
    json_t *list = json_array();
    gboolean ok = TRUE;
    for (guint i = 0; i < chosen->len && ok; i++) {
        const Node *node = g_ptr_array_index(chosen, i);
        ok = nodes_pin(node, pinned, error);
        if (ok) {
            json_array_append_new(list, json_string(node_name(node)));
        }
    }
    json_t *all = ingot_json_pack("{s:o}", pinned ? "pinned" : "unpinned", list);
    if (ingot_command_common()->json) {
        print_json(all);
    } else {
        json_decref(all);
    }
    return ok;
}

/* rm, pin and unpin of words. */
static gboolean change_nodes(const char *cache, const char *verb, char **words, GError **error)
{
    g_autoptr(GPtrArray) nodes = nodes_list(cache, error);
    g_autoptr(GPtrArray) chosen = g_ptr_array_new();
    if (nodes == NULL) {
        return FALSE;
    }
    if (*words == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "usage: ingot cache %s NODE|RECIPE...", verb);
        return FALSE;
    }
    for (; *words != NULL; words++) {
        g_autoptr(GPtrArray) found = named_nodes(nodes, *words, error);
        if (found == NULL) {
            return FALSE;
        }
        g_ptr_array_extend(chosen, found, NULL, NULL);
    }
    return strcmp(verb, "rm") == 0 ? remove_nodes(nodes, chosen, error)
                                   : pin_nodes(chosen, strcmp(verb, "pin") == 0, error);
}

/* --- the verb --- */

static const char *const words[] = {"ls", "du", "prune", "rm", "pin", "unpin", NULL};

/* What is of no use to the command must not look as if it were. */
static gboolean check_arguments(char **argv, const Prune *prune, GError **error)
{
    gboolean takes_words = strcmp(argv[1], "rm") == 0 || g_str_has_suffix(argv[1], "pin");
    if (!takes_words && argv[2] != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s': `ingot cache %s` takes no further word", argv[2],
                    argv[1]);
        return FALSE;
    }
    if (strcmp(argv[1], "prune") != 0 && (prune->keep != NULL || prune->older != NULL || prune->dry)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--keep, --older and --dry-run are options of prune");
        return FALSE;
    }
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(Prune) prune = {0};
    const GOptionEntry entries[] = {
        {"keep", 0, 0, G_OPTION_ARG_STRING, &prune.keep, "prune: stop when the cache takes no more than this (10G)",
         "SIZE"},
        {"older", 0, 0, G_OPTION_ARG_STRING, &prune.older, "prune: only what was not used for this long (7d)", "TIME"},
        {"dry-run", 0, 0, G_OPTION_ARG_NONE, &prune.dry, "prune: list what would go, and remove nothing", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_cache, entries, 1, -1, &argc, &argv, error)) {
        return FALSE;
    }
    const char *cache = ingot_command_common()->cache;
    if (!g_strv_contains(words, argv[1])) {
        g_autofree char *hint = ingot_text_suggestion(argv[1], words);
        g_autofree char *all = g_strjoinv(", ", (char **)words);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s' is none of %s%s", argv[1], all, hint);
        return FALSE;
    }
    if (!check_arguments(argv, &prune, error)) {
        return FALSE;
    }
    if (strcmp(argv[1], "ls") == 0) {
        return list(cache, error);
    }
    if (strcmp(argv[1], "du") == 0) {
        return measure(cache, error);
    }
    return strcmp(argv[1], "prune") == 0 ? prune_run(cache, &prune, error)
                                         : change_nodes(cache, argv[1], argv + 2, error);
}

const IngotVerb verb_cache = {"cache", "ls|du|prune|rm|pin|unpin [NODE|RECIPE...]",
                              "what builds have kept, and how much it takes",
                              "ls lists the nodes: the machine after one step of one recipe, as a layer of its disk "
                              "and its memory, and the base\n"
                              "that it stands on. du prints what they, the downloads and the base disks take.\n"
                              "\n"
                              "prune evicts all that no running build uses, or what its options leave: --older spares "
                              "what was used since, --keep\n"
                              "stops when the rest is small enough; both together do both. Base disks that a newer one "
                              "has replaced go first, then\n"
                              "the least recently used. Every build does that by itself past a limit, and names what "
                              "it evicts: $INGOT_CACHE_SIZE,\n"
                              "else 20 GB or a tenth of the file system, whichever is less.\n"
                              "\n"
                              "rm removes a node, or all of a recipe, with the nodes that stand on them. pin keeps "
                              "nodes from eviction, with all\n"
                              "that they stand on, until unpin.\n"
                              "\n"
                              "Examples:\n"
                              "  ingot cache ls\n"
                              "  ingot cache prune --keep 5G\n"
                              "  ingot cache prune --older 7d --dry-run\n"
                              "  ingot cache rm web\n",
                              run};
