#include <ingot/command.h>
#include <ingot/error.h>
#include <ingot/json.h>
#include <ingot/text.h>
#include <stdio.h>
#include <string.h>

#include "cache/house.h"
#include "cache/nodes.h"
#include "verbs.h"

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
    return entry;
}

static void print_node(const Node *node)
{
    HouseNode house = house_node(node->folder);
    g_autofree char *age = ingot_text_age((double)(now() - node_run(node)->ran));
    g_autofree char *used = ingot_text_age((double)(now() - house.used));
    g_autofree char *disk = ingot_text_size(house.layer);
    g_autofree char *memory = node->fingerprint == NULL ? g_strdup("-") : ingot_text_size(house.memory);
    printf("%-24s  %-20s  %8s  %8s  %9s  %9s  %s%s\n", node_name(node), node->recipe == NULL ? "-" : node->recipe, age,
           used, disk, memory, node_run(node)->title, node->secret ? " (saw a secret)" : "");
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
    printf("%-24s  %-20s  %8s  %8s  %9s  %9s  %s\n", "NODE", "RECIPE", "AGE", "USED", "DISK", "MEMORY", "AFTER");
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

static gboolean prune(const char *cache, const char *keep, const char *older, GError **error)
{
    HouseRule rule = {.most = 0};
    guint64 age = 0;
    if ((keep != NULL && !ingot_text_parse_size(keep, &rule.most, error)) ||
        (older != NULL && !ingot_text_parse_duration(older, &age, error))) {
        g_prefix_error(error, keep != NULL && age == 0 && rule.most == 0 ? "--keep: " : "--older: ");
        return FALSE;
    }
    if (older != NULL) {
        rule.not_since = now() - (gint64)age;
        rule.most = keep == NULL ? G_MAXUINT64 : rule.most;
    }
    HouseDropped dropped;
    if (!house_evict(cache, &rule, &dropped, error)) {
        return FALSE;
    }
    if (ingot_command_common()->json) {
        print_json(ingot_json_pack("{s:i, s:I}", "dropped", dropped.count, "bytes", (json_int_t)dropped.bytes));
    } else if (!ingot_command_common()->quiet) {
        g_autofree char *size = ingot_text_size(dropped.bytes);
        printf("dropped %u, %s\n", dropped.count, size);
    }
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    static const char *const words[] = {"ls", "du", "prune", NULL};
    g_autofree char *keep = NULL, *older = NULL;
    const GOptionEntry entries[] = {
        {"keep", 0, 0, G_OPTION_ARG_STRING, &keep, "prune: leave so much (10G)", "SIZE"},
        {"older", 0, 0, G_OPTION_ARG_STRING, &older, "prune: only what was not used for so long (7d)", "TIME"},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_cache, entries, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    const char *cache = ingot_command_common()->cache;
    if (strcmp(argv[1], "ls") == 0) {
        return list(cache, error);
    }
    if (strcmp(argv[1], "du") == 0) {
        return measure(cache, error);
    }
    if (strcmp(argv[1], "prune") == 0) {
        return prune(cache, keep, older, error);
    }
    g_autofree char *hint = ingot_text_suggestion(argv[1], words);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s' is none of ls, du, prune%s", argv[1], hint);
    return FALSE;
}

const IngotVerb verb_cache = {
    "cache", "ls|du|prune", "what builds have kept, and how much it takes",
    "ls lists the nodes: the machine after one step of one recipe, as a layer of its disk and its memory. du tells "
    "what\n"
    "they, the downloads and the base disks take. prune drops all that no running build uses, or only as much as its\n"
    "options say, what was not used for the longest first. Every build does that by itself past a limit:\n"
    "$INGOT_CACHE_SIZE, else 20 GB or a tenth of the file system, whichever is less.\n"
    "\n"
    "Examples:\n"
    "  ingot cache ls\n"
    "  ingot cache prune --keep 5G\n"
    "  ingot cache prune --older 7d\n",
    run};
