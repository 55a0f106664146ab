/* What a build fetches and pushes where one node of several is bad, here or in the registry: the others still pass. */
#include "../cache/registry.h"

#include "base/terminal.h"
#include "cache/share.h"
#include "walk/sharing.h"

typedef struct {
    BuildHost host;
    WalkOptions options;
    Source source;
    IngotProgress *progress;
    IngotWorkdir *workdir;
    WalkInput input;
} Build;

static void build_clear(Build *build)
{
    ingot_progress_free(build->progress);
    ingot_workdir_free(build->workdir);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Build, build_clear)

/* A build of the plan with a cache of that name, which shares it with the registry. */
static void build_begin(const Fixture *f, const char *cache, Build *build)
{
    static const GuestKey key = {.public_line = (char *)"ssh-ed25519 AAAA"};
    g_autofree char *log = sample_path(f->sample, "log");
    build->progress = terminal_progress_new(TRUE);
    build->workdir = ingot_workdir_new(NULL);
    assert_true(terminal_progress_log(build->progress, log, NULL));
    build->host = (BuildHost){.store = f->store, .cache = cache, .accel = MACHINE_TCG, .progress = build->progress};
    build->options = (WalkOptions){.cache_from = f->where, .cache_to = f->where};
    build->source = (Source){.path = f->sample->source, .format = (char *)"raw"};
    build->input = (WalkInput){.host = &build->host,
                               .options = &build->options,
                               .recipe = g_ptr_array_index(f->sample->recipes, 0),
                               .plan = f->plan,
                               .source = &build->source,
                               .key = &key,
                               .workdir = build->workdir,
                               .refresh = -1};
}

static void expect_said(const Fixture *f, const char *text)
{
    g_autofree char *log = sample_path(f->sample, "log"), *said = NULL;
    assert_true(g_file_get_contents(log, &said, NULL, NULL));
    if (strstr(said, text) == NULL) {
        fail_msg("'%s' is not in '%s'", text, said);
    }
}

static void push_all(const Fixture *f)
{
    g_auto(Build) build = {0};
    g_autoptr(GError) error = NULL;
    build_begin(f, f->sample->cache, &build);
    if (!sharing_push(&build.input, &error)) {
        fail_msg("%s", error->message);
    }
}

/* The stage of the node that a build with an empty cache fetches; -1: none. */
static int fetch(const Fixture *f)
{
    g_autofree char *cache = sample_path(f->sample, "fresh");
    g_auto(Build) build = {0};
    g_autoptr(GError) error = NULL;
    build_begin(f, cache, &build);
    assert_true(ingot_file_remove_tree(cache, NULL) && ingot_file_make_folder(cache, NULL));
    if (!sharing_fetch(&build.input, &error)) {
        fail_msg("%s", error->message);
    }
    g_autoptr(GPtrArray) nodes = nodes_list(cache, NULL);
    assert_true(nodes->len < 2);
    return nodes->len == 0 ? -1 : plan_find_key(f->plan, &node_run(g_ptr_array_index(nodes, 0))->key);
}

static void a_damaged_node_here_is_removed_and_the_others_pushed(void **state)
{
    Fixture *f = *state;
    f->fingerprint = NULL;
    g_autoptr(Node) boot = keep_after(f, "a", "boot", f->now - RECENT, "boot");
    g_autoptr(Node) one = keep_after(f, "aa", "one", f->now - RECENT, "one");
    g_autoptr(Node) two = keep_after(f, "aaa", "two", f->now - RECENT, "two");
    g_autofree char *memory = node_file(one, NODE_MEMORY);
    assert_true(g_file_set_contents(memory, "damaged", -1, NULL));
    push_all(f);
    expect_said(f, "what was kept after 'one' is discarded: ");
    assert_false(sample_has(f->sample, "one"));
    assert_true(sample_has(f->sample, "boot") && sample_has(f->sample, "two"));
    assert_int_equal(fetch(f), 2);
    push_all(f); /* and once more, with nothing left to complain of */
}

static void what_is_bad_in_the_registry_is_passed_over(void **state)
{
    Fixture *f = *state;
    f->fingerprint = NULL;
    g_autoptr(Node) one = keep_after(f, "aa", "one", f->now - RECENT, "one");
    g_autoptr(Node) two = keep_after(f, "aaa", "two", f->now - RECENT, "two");
    push_all(f);
    assert_int_equal(fetch(f), 2);
    for (int stage = 2; stage > 0; stage--) {
        g_autoptr(json_t) manifest = get_manifest(f, (guint)stage);
        json_t *memory = json_array_get(json_object_get(manifest, "layers"), 2);
        set_size(memory, (json_int_t)1 << 50);
        put_manifest(f, (guint)stage, manifest);
        assert_int_equal(fetch(f), stage == 2 ? 1 : -1);
        expect_said(f, stage == 2 ? "the machine after 'two' is not fetched: "
                                  : "the machine after 'one' is not fetched: ");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_damaged_node_here_is_removed_and_the_others_pushed),
        TEST(what_is_bad_in_the_registry_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
