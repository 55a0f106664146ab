#include "yaml/yaml.h"

#include <libfyaml.h>
#include <string.h>

#include "yaml/quoted.h"

#define MOST_RESTARTS 20 /* after syntax errors: each costs a reading of the text */

typedef struct {
    YamlTree *tree;
    Diagnostics *diagnostics;
    const char *text, *name;
    GPtrArray *open;     /* of YamlNode *: what has begun and not ended, outermost first */
    GPtrArray *seen;     /* of GHashTable *: the keys of each open map, NULL for a list */
    GHashTable *anchors; /* name -> YamlNode * */
    guint total;         /* nodes, aliases counted in full */
    gboolean failed;     /* no use in reading on */
    gboolean broken;     /* there was a syntax error */
} Reader;

void yaml_tree_free(YamlTree *tree)
{
    if (tree != NULL) {
        g_ptr_array_unref(tree->nodes);
        g_free(tree);
    }
}

static Place place_at(const Reader *reader, const struct fy_mark *mark)
{
    return (Place){reader->name, mark == NULL ? 1 : (guint)mark->line + 1, mark == NULL ? 1 : (guint)mark->column + 1};
}

static YamlNode *yaml_node_new(Reader *reader, YamlKind kind, struct fy_event *event)
{
    const struct fy_mark *start = fy_event_start_mark(event), *end = fy_event_end_mark(event);
    YamlNode *node = g_new0(YamlNode, 1);
    node->kind = kind;
    node->place = place_at(reader, start);
    node->document = reader->text;
    node->start = start != NULL ? start->input_pos : 0;
    node->end = end != NULL ? end->input_pos : node->start;
    node->weight = 1;
    g_ptr_array_add(reader->tree->nodes, node);
    return node;
}

static void fail(Reader *reader, const Place *place, const char *message)
{
    diagnostics_add(reader->diagnostics, place, "%s", message);
    reader->failed = TRUE;
}

/* A scalar in place of what could not be understood. */
static YamlNode *wrong_node_new(Reader *reader, const Place *place, const char *message)
{
    YamlNode *node = g_new0(YamlNode, 1);
    diagnostics_add(reader->diagnostics, place, "%s", message);
    *node = (YamlNode){.kind = YAML_SCALAR, .text = g_strdup(""), .place = *place, .weight = 1, .wrong = TRUE};
    node->document = reader->text;
    g_ptr_array_add(reader->tree->nodes, node);
    return node;
}

static void check_key(Reader *reader, const YamlNode *key)
{
    GHashTable *keys = g_ptr_array_index(reader->seen, reader->seen->len - 1);
    if (key->wrong) {
        return;
    }
    const YamlNode *first = g_hash_table_lookup(keys, key->text);
    if (first != NULL) {
        g_autofree char *quoted = diagnostics_quote(key->text);
        diagnostics_add(reader->diagnostics, &key->place, "%s is given twice, first in line %u", quoted,
                        first->place.line);
        return;
    }
    g_hash_table_insert(keys, key->text, (gpointer)key);
}

/* Hangs a node where the text has come to. */
static void add(Reader *reader, YamlNode *node)
{
    reader->total += node->weight;
    if (reader->total > YAML_MOST_NODES) {
        fail(reader, &node->place, "more than " G_STRINGIFY(YAML_MOST_NODES) " values, counting each alias in full");
        return;
    }
    if (reader->open->len == 0) {
        reader->tree->root = node;
        return;
    }
    YamlNode *parent = g_ptr_array_index(reader->open, reader->open->len - 1);
    if (parent->kind == YAML_MAP && parent->items->len % 2 == 0) {
        if (node->kind != YAML_SCALAR) {
            node = wrong_node_new(reader, &node->place, "a key must be a word, not a list or a map");
        }
        check_key(reader, node);
    }
    g_ptr_array_add(parent->items, node);
}

static void anchor(Reader *reader, struct fy_token *token, YamlNode *node)
{
    if (token != NULL) {
        gsize size = 0;
        const char *name = fy_token_get_text(token, &size);
        g_hash_table_insert(reader->anchors, g_strndup(name, size), node);
    }
}

static void refuse_tag(Reader *reader, struct fy_token *tag)
{
    if (tag != NULL) {
        Place place = place_at(reader, fy_token_start_mark(tag));
        diagnostics_add(reader->diagnostics, &place, "tags like '!!str' are not used here: leave it out");
    }
}

static void begin(Reader *reader, YamlKind kind, struct fy_event *event, struct fy_token *name, struct fy_token *tag)
{
    YamlNode *node = yaml_node_new(reader, kind, event);
    node->items = g_ptr_array_new();
    refuse_tag(reader, tag);
    anchor(reader, name, node);
    add(reader, node);
    if (reader->open->len >= YAML_MOST_DEPTH) {
        fail(reader, &node->place, "nested deeper than " G_STRINGIFY(YAML_MOST_DEPTH) " levels");
    }
    g_ptr_array_add(reader->open, node);
    g_ptr_array_add(reader->seen, kind == YAML_MAP ? g_hash_table_new(g_str_hash, g_str_equal) : NULL);
}

static void end(Reader *reader)
{
    YamlNode *node = g_ptr_array_steal_index(reader->open, reader->open->len - 1);
    GHashTable *keys = g_ptr_array_steal_index(reader->seen, reader->seen->len - 1);
    g_clear_pointer(&keys, g_hash_table_unref);
    for (guint i = 0; i < node->items->len; i++) {
        node->weight += ((YamlNode *)g_ptr_array_index(node->items, i))->weight;
    }
}

/* A value that is not there has no mark: its key, or the list that it would be in, stands for it. */
static Place place_of_nothing(const Reader *reader, const YamlNode *node)
{
    const YamlNode *parent = reader->open->len > 0 ? g_ptr_array_index(reader->open, reader->open->len - 1) : node;
    gboolean keyed = parent->kind == YAML_MAP && parent->items->len > 0;
    return keyed ? ((YamlNode *)g_ptr_array_index(parent->items, parent->items->len - 1))->place : parent->place;
}

static char *text_of(const YamlNode *node, struct fy_event *event, enum fy_scalar_style style, gsize *size)
{
    if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) {
        return quoted_text(node->document + node->start, node->end - node->start,
                           style == FYSS_SINGLE_QUOTED ? '\'' : '"', size);
    }
    const char *text = fy_token_get_text(event->scalar.value, size);
    return g_strndup(text != NULL ? text : "", *size);
}

static void scalar(Reader *reader, struct fy_event *event)
{
    YamlNode *node = yaml_node_new(reader, YAML_SCALAR, event);
    enum fy_scalar_style style = fy_token_scalar_style(event->scalar.value);
    gsize size = 0;
    node->text = text_of(node, event, style, &size);
    if (node->text == NULL) {
        node->text = g_strdup("");
        node->wrong = TRUE;
        diagnostics_add(reader->diagnostics, &node->place, "an escape like '\\u....' that is not a character");
    } else if (strlen(node->text) != size) {
        /* libfyaml 0.7 loses an empty line before such a line, but not from the length. */
        node->wrong = TRUE;
        diagnostics_add(reader->diagnostics, &node->place,
                        style == FYSS_FOLDED
                            ? "a folded text with a line that begins with a tab: write it with '|' or in quotes"
                            : "a NUL character in a text");
    }
    if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) {
        node->place.column--; /* the mark is behind the quote */
    } else if (style == FYSS_PLAIN) {
        node->type = yaml_plain_type(node->text);
        node->place = size > 0 ? node->place : place_of_nothing(reader, node);
    }
    refuse_tag(reader, event->scalar.tag);
    anchor(reader, event->scalar.anchor, node);
    add(reader, node);
}

static void alias(Reader *reader, struct fy_event *event)
{
    gsize size = 0;
    const char *text = fy_token_get_text(event->alias.anchor, &size);
    g_autofree char *name = g_strndup(text, size);
    g_autofree char *quoted = diagnostics_quote(name);
    Place place = place_at(reader, fy_event_start_mark(event));
    place.column--; /* the mark is behind the '*' */
    YamlNode *node = g_hash_table_lookup(reader->anchors, name);
    if (node == NULL) {
        g_autofree char *message = g_strdup_printf("no anchor is named %s", quoted);
        add(reader, wrong_node_new(reader, &place, message));
    } else if (g_ptr_array_find(reader->open, node, NULL)) {
        g_autofree char *message = g_strdup_printf("the alias %s lies within its own anchor", quoted);
        add(reader, wrong_node_new(reader, &place, message));
    } else {
        add(reader, node);
    }
}

static void handle(Reader *reader, struct fy_event *event)
{
    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (reader->tree->root != NULL) {
            Place place = place_at(reader, fy_event_start_mark(event));
            fail(reader, &place, "a second document: one file holds one");
        }
        break;
    case FYET_MAPPING_START:
        begin(reader, YAML_MAP, event, event->mapping_start.anchor, event->mapping_start.tag);
        break;
    case FYET_SEQUENCE_START:
        begin(reader, YAML_LIST, event, event->sequence_start.anchor, event->sequence_start.tag);
        break;
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        end(reader);
        break;
    case FYET_SCALAR:
        scalar(reader, event);
        break;
    case FYET_ALIAS:
        alias(reader, event);
        break;
    default:
        break;
    }
}

/* The library's words for a tab in the indentation lead astray; such a line near the mistake is what to look at. */
static gboolean report_tab(const Reader *reader, guint mistake_line)
{
    g_auto(GStrv) lines = g_strsplit(reader->text, "\n", (gint)mistake_line + 2);
    for (guint line = MAX(mistake_line, 2) - 1; lines[0] != NULL && line <= mistake_line + 1; line++) {
        const char *text = line <= g_strv_length(lines) ? lines[line - 1] : "";
        gsize indent = strspn(text, " ");
        if (text[indent] == '\t') {
            diagnostics_add(reader->diagnostics, &(Place){reader->name, line, (guint)indent + 1},
                            "a tab in the indentation: YAML wants spaces");
            return TRUE;
        }
    }
    return FALSE;
}

/* Keeps the library's first report, "SOURCE:LINE:COLUMN: error: MESSAGE". (It could collect them itself, but leaks
 * then.) */
static void keep_report(struct fy_diag *diag, void *user, const char *text, size_t size)
{
    (void)diag;
    char **kept = user;
    if (*kept == NULL) {
        *kept = g_strndup(text, size);
    }
}

/* Returns the line of the mistake. */
static guint report_syntax(const Reader *reader, const char *report)
{
    g_autoptr(GRegex) form = g_regex_new(":([0-9]+):([0-9]+): error: (.*)", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    if (report == NULL || !g_regex_match(form, report, 0, &match)) {
        diagnostics_add(reader->diagnostics, &(Place){reader->name, 1, 1}, "not YAML");
        return G_MAXUINT;
    }
    g_autofree char *line = g_match_info_fetch(match, 1);
    g_autofree char *column = g_match_info_fetch(match, 2);
    g_autofree char *message = g_match_info_fetch(match, 3);
    Place place = {reader->name, (guint)g_ascii_strtoull(line, NULL, 10), (guint)g_ascii_strtoull(column, NULL, 10)};
    if (!report_tab(reader, place.line)) {
        diagnostics_add(reader->diagnostics, &place, "not YAML: %s", message);
    }
    return place.line;
}

/* TRUE once the end is reached. */
static gboolean read_events(Reader *reader, struct fy_parser *parser)
{
    gboolean more = TRUE;
    while (more && !reader->failed) {
        struct fy_event *event = fy_parser_parse(parser);
        if (event == NULL) {
            return FALSE;
        }
        more = event->type != FYET_STREAM_END;
        handle(reader, event);
        fy_parser_event_free(parser, event);
    }
    return !fy_parser_get_stream_error(parser);
}

/* Reads text, which is the reader's or that with its head blanked. Returns the line of a syntax error, or 0. */
static guint read_text(Reader *reader, const char *text, gsize size)
{
    g_autofree char *report = NULL;
    struct fy_diag_cfg reports;
    fy_diag_cfg_default(&reports);
    reports.fp = NULL;
    reports.output_fn = keep_report;
    reports.user = &report;
    reports.show_position = true;
    reports.show_source = reports.show_type = reports.show_module = reports.colorize = false;
    struct fy_diag *diag = fy_diag_create(&reports);
    struct fy_parse_cfg config = {.flags = FYPCF_QUIET | FYPCF_DEFAULT_VERSION_1_2, .diag = diag};
    struct fy_parser *parser = fy_parser_create(&config);
    gboolean read = fy_parser_set_string(parser, text, size) == 0 && read_events(reader, parser);
    guint line = !read && !reader->failed ? report_syntax(reader, report) : 0;
    fy_parser_destroy(parser);
    fy_diag_unref(diag);
    return line;
}

/* --- going on after a syntax error --- */

/* What was open stays as it is, marked. */
static void cut_open(Reader *reader)
{
    for (guint i = 0; i < reader->open->len; i++) {
        YamlNode *node = g_ptr_array_index(reader->open, i);
        node->cut = TRUE;
        if (node->kind == YAML_MAP && node->items->len % 2 == 1) {
            g_ptr_array_set_size(node->items, (gint)node->items->len - 1);
        }
    }
    g_ptr_array_set_size(reader->open, 0);
    g_ptr_array_set_size(reader->seen, 0);
    reader->broken = TRUE;
}

/* The keys that were read after a restart follow those from before it. */
static void merge_roots(Reader *reader, YamlNode *first)
{
    YamlNode *second = reader->tree->root;
    if (first == NULL || first->kind != YAML_MAP || second == NULL || second->kind != YAML_MAP) {
        reader->tree->root = first != NULL ? first : second;
        return;
    }
    reader->tree->root = first;
    for (guint i = 0; i < second->items->len; i += 2) {
        const YamlNode *key = g_ptr_array_index(second->items, i);
        if (yaml_get(first, key->text) == NULL) {
            g_ptr_array_add(first->items, g_ptr_array_index(second->items, i));
            g_ptr_array_add(first->items, g_ptr_array_index(second->items, i + 1));
        }
    }
}

/* "KEY:" at the beginning of a line. */
static gboolean begins_with_key(const char *line)
{
    const char *end = line + strcspn(line, ":\n");
    return (g_ascii_isalpha(*line) || strchr("_\"'", *line) != NULL) && *end == ':' && g_ascii_isspace(end[1]);
}

/* The first line from `line` on, and behind `after`, that begins with a key; its offset, or 0 for none. */
static gsize find_key_line(const Reader *reader, guint *line, guint after)
{
    guint number = 1;
    for (const char *at = reader->text; at != NULL && *at != '\0'; number++) {
        if (number >= *line && number > after && begins_with_key(at)) {
            *line = number;
            return (gsize)(at - reader->text);
        }
        at = strchr(at, '\n');
        at = at == NULL ? NULL : at + 1;
    }
    return 0;
}

/* Reads all, with a restart behind each syntax error, so that its places stay what they are. */
static void read_all(Reader *reader, gsize size)
{
    guint wrong = read_text(reader, reader->text, size);
    g_autofree char *rest = wrong == 0 ? NULL : g_strndup(reader->text, size);
    guint start = 1;
    if (wrong != 0) {
        cut_open(reader);
    }
    for (guint i = 0; wrong != 0 && i < MOST_RESTARTS; i++) {
        gsize offset = find_key_line(reader, &wrong, start);
        if (offset == 0) {
            break;
        }
        start = wrong;
        for (gsize at = 0; at < offset; at++) {
            rest[at] = rest[at] == '\n' ? '\n' : ' ';
        }
        YamlNode *first = g_steal_pointer(&reader->tree->root);
        wrong = read_text(reader, rest, size);
        cut_open(reader);
        merge_roots(reader, first);
    }
    if (reader->broken && reader->tree->root != NULL) {
        reader->tree->root->cut = TRUE;
    }
}

static gboolean check_bytes(const Reader *reader, gsize size)
{
    const char *wrong = NULL;
    if (size > YAML_MOST_BYTES) {
        diagnostics_add(reader->diagnostics, &(Place){reader->name, 0, 0}, "longer than %u bytes", YAML_MOST_BYTES);
        return FALSE;
    }
    if (g_utf8_validate_len(reader->text, size, &wrong)) {
        return TRUE;
    }
    Place place = yaml_place_of_byte(reader->name, reader->text, (gsize)(wrong - reader->text));
    if (*wrong == '\0') {
        diagnostics_add(reader->diagnostics, &place, "a NUL byte: this is no text");
    } else {
        diagnostics_add(reader->diagnostics, &place, "the byte 0x%02x is not valid UTF-8", (guchar)*wrong);
    }
    return FALSE;
}

static void unref_keys(gpointer data)
{
    if (data != NULL) {
        g_hash_table_unref(data);
    }
}

YamlTree *yaml_parse(const char *text, gsize size, const char *name, Diagnostics *diagnostics)
{
    YamlTree *tree = g_new0(YamlTree, 1);
    tree->nodes = g_ptr_array_new_with_free_func(yaml_node_free);
    Reader reader = {.tree = tree, .diagnostics = diagnostics, .text = text, .name = g_intern_string(name)};
    if (!check_bytes(&reader, size)) {
        return tree;
    }
    reader.open = g_ptr_array_new();
    reader.seen = g_ptr_array_new_with_free_func(unref_keys);
    reader.anchors = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    read_all(&reader, size);
    g_ptr_array_unref(reader.open);
    g_ptr_array_unref(reader.seen);
    g_hash_table_unref(reader.anchors);
    if (reader.failed || (reader.broken && tree->root != NULL && tree->root->kind != YAML_MAP)) {
        tree->root = NULL;
    } else if (reader.broken) {
        return tree;
    } else if (tree->root == NULL) {
        diagnostics_add(diagnostics, &(Place){reader.name, 1, 1}, "the file is empty");
    }
    return tree;
}
