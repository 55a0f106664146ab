/* Keys of a plan: one input changed is a miss from exactly that stage on, and what changes nothing is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include "base/file.h"
#include "plan/plan.h"

#define PAIRS 3                 /* a shell step, a file step: stages 2n - 1 and 2n for n from 1 */
#define STAGES (1 + 2 * PAIRS)  /* the first boots */
#define NONE STAGES             /* no stage's key changes */
#define SHELL_OF(n) (2 * (n)-1) /* stages of a pair */
#define FILE_OF(n) (2 * (n))

typedef struct {
    char *folder;
    GString *text; /* of the recipe */
    const char *source, *salt;
    const char *token; /* "token=VALUE" */
    Recipe *recipe;    /* the last one that was planned; the one before stays for its plan */
    Recipe *before;
} Fixture;

static char *path_of(const Fixture *f, const char *name)
{
    return g_build_filename(f->folder, name, NULL);
}

static void write_file(const Fixture *f, const char *name, const char *text)
{
    g_autofree char *path = path_of(f, name);
    g_autofree char *folder = g_path_get_dirname(path);
    assert_true(ingot_file_make_folder(folder, NULL));
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static int set_up(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    f->folder = g_dir_make_tmp("ingot-plan-XXXXXX", NULL);
    f->source = "source";
    f->salt = "salt";
    f->token = "token=hunter2";
    f->text = g_string_new("name: web\n"
                           "source: {from: debian}\n"
                           "machine: {memory: 512M}\n"
                           "variables: {colour: red, token: {secret: true}}\n"
                           "description: a site\n"
                           "steps:\n");
    for (guint n = 1; n <= PAIRS; n++) {
        g_autofree char *page = g_strdup_printf("tree-%u/sub/page", n);
        g_string_append_printf(f->text,
                               "  - {shell: 'echo %u', env: {A: '1', B: '2'}}\n"
                               "  - {file: {from: tree-%u, to: /srv/%u}}\n",
                               n, n, n);
        write_file(f, page, "hello");
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *f = *state;
    ingot_file_remove_tree(f->folder, NULL);
    g_free(f->folder);
    g_string_free(f->text, TRUE);
    recipe_free(f->recipe);
    recipe_free(f->before);
    g_free(f);
    return 0;
}

static Recipe *load(const Fixture *f)
{
    g_autofree char *path = path_of(f, "web.yaml");
    const char *const vars[] = {f->token, NULL};
    const RecipeInputs inputs = {.vars = vars};
    write_file(f, "web.yaml", f->text->str);
    g_autoptr(GError) error = NULL;
    Recipe *recipe = recipe_load(path, &inputs, &error);
    if (recipe == NULL) {
        fail_msg("%s", error->message);
    }
    return recipe;
}

static Plan *plan_recipe(const Fixture *f, const Recipe *recipe)
{
    g_autoptr(GError) error = NULL;
    Plan *plan = plan_new(recipe, f->source, f->salt, &error);
    if (plan == NULL) {
        fail_msg("%s", error->message);
    }
    return plan;
}

static Plan *plan_now(Fixture *f)
{
    recipe_free(f->before);
    f->before = f->recipe;
    f->recipe = load(f);
    return plan_recipe(f, f->recipe);
}

static void edit(const Fixture *f, const char *from, const char *to)
{
    assert_int_equal(g_string_replace(f->text, from, to, 0), 1);
}

/* Stages before `first` keep their keys; that one and all after it get others. */
static void expect_keys(const Plan *before, const Plan *after, guint first)
{
    assert_int_equal(before->stages->len, after->stages->len);
    for (guint i = 0; i < before->stages->len; i++) {
        assert_int_equal(ingot_digest_equal(&plan_stage(before, i)->key, &plan_stage(after, i)->key), i < first);
    }
}

static void expect_miss_from(const Plan *before, Fixture *f, guint first)
{
    g_autoptr(Plan) after = plan_now(f);
    expect_keys(before, after, first);
    assert_int_equal(ingot_digest_equal(&before->image, &after->image), first == NONE);
}

/* The same with the step of a stage changed in both trees, by a value that is not taken. */
static void expect_step_change(Fixture *f, guint stage, const char *key, json_t *value, guint first)
{
    g_autoptr(Plan) before = plan_now(f);
    g_autoptr(Recipe) recipe = load(f);
    json_t *const trees[] = {recipe->tree, recipe->public_tree};
    for (guint i = 0; i < G_N_ELEMENTS(trees); i++) {
        json_object_set(json_array_get(json_object_get(trees[i], "steps"), stage - 1), key, value);
    }
    g_autoptr(Plan) after = plan_recipe(f, recipe);
    expect_keys(before, after, first);
    assert_int_equal(ingot_digest_equal(&before->image, &after->image), first == NONE);
}

/* --- what matters --- */

static void nothing_changed(void **state)
{
    g_autoptr(Plan) before = plan_now(*state);
    assert_int_equal(before->stages->len, STAGES);
    assert_null(plan_stage(before, 0)->step);
    expect_miss_from(before, *state, NONE);
}

static void every_stage_has_a_key_of_its_own(void **state)
{
    g_autoptr(Plan) plan = plan_now(*state);
    for (guint i = 0; i < STAGES; i++) {
        assert_int_equal(plan_find_key(plan, &plan_stage(plan, i)->key), (int)i);
    }
    assert_int_equal(plan_find_key(plan, &plan->image), -1);
}

static void one_byte_of_a_steps_text(void **state)
{
    const Fixture *f = *state;
    for (guint n = 1; n <= PAIRS; n++) {
        g_autoptr(Plan) before = plan_now(*state);
        g_autofree char *old = g_strdup_printf("'echo %u'", n), *new = g_strdup_printf("'echo %u '", n);
        edit(f, old, new);
        expect_miss_from(before, *state, SHELL_OF(n));
    }
}

static void how_a_step_runs(void **state)
{
    static const char *const flags[] = {"shutdown", "offline"};
    for (guint i = 0; i < G_N_ELEMENTS(flags); i++) {
        for (guint stage = 1; stage < STAGES; stage++) {
            expect_step_change(*state, stage, flags[i], json_true(), stage);
        }
    }
}

static void a_variables_value(void **state)
{
    Fixture *f = *state;
    edit(f, "echo 2", "echo ${colour}");
    g_autoptr(Plan) before = plan_now(f);
    edit(f, "colour: red", "colour: blue");
    expect_miss_from(before, f, SHELL_OF(2));
}

static void a_variable_that_nothing_uses(void **state)
{
    g_autoptr(Plan) before = plan_now(*state);
    edit(*state, "colour: red", "colour: blue");
    expect_miss_from(before, *state, NONE);
}

static void memory_of_the_machine(void **state)
{
    g_autoptr(Plan) before = plan_now(*state);
    edit(*state, "512M", "513M");
    expect_miss_from(before, *state, 0);
}

static void another_source(void **state)
{
    Fixture *f = *state;
    g_autoptr(Plan) before = plan_now(f);
    f->source = "Source";
    expect_miss_from(before, f, 0);
}

static void order_of_steps(void **state)
{
    Fixture *f = *state;
    g_autoptr(Plan) before = plan_now(f);
    edit(f, "echo 2", "echo x");
    edit(f, "echo 3", "echo 2");
    edit(f, "echo x", "echo 3");
    expect_miss_from(before, f, SHELL_OF(2));
}

/* --- files --- */

static void change_a_byte(const char *tree)
{
    g_autofree char *page = g_build_filename(tree, "sub", "page", NULL);
    assert_true(g_file_set_contents(page, "hellO", 5, NULL));
}

static void change_a_mode(const char *tree)
{
    g_autofree char *page = g_build_filename(tree, "sub", "page", NULL);
    assert_int_equal(g_chmod(page, 0751), 0);
}

static void add_setuid(const char *tree)
{
    g_autofree char *page = g_build_filename(tree, "sub", "page", NULL);
    assert_int_equal(g_chmod(page, 04755), 0);
}

static void change_a_name(const char *tree)
{
    g_autofree char *page = g_build_filename(tree, "sub", "page", NULL);
    g_autofree char *other = g_build_filename(tree, "sub", "Page", NULL);
    assert_int_equal(g_rename(page, other), 0);
}

static void add_a_file(const char *tree)
{
    g_autofree char *path = g_build_filename(tree, "sub", ".new", NULL);
    assert_true(g_file_set_contents(path, "", 0, NULL));
}

static void add_a_folder(const char *tree)
{
    g_autofree char *path = g_build_filename(tree, "new", NULL);
    assert_int_equal(g_mkdir(path, 0755), 0);
}

static void add_a_link(const char *tree)
{
    g_autofree char *path = g_build_filename(tree, "link", NULL);
    assert_int_equal(symlink("sub/page", path), 0);
}

static void change_a_link(const char *tree)
{
    g_autofree char *path = g_build_filename(tree, "link", NULL);
    assert_int_equal(g_remove(path), 0);
    assert_int_equal(symlink("sub/Page", path), 0);
}

static void any_change_of_a_tree(void **state)
{
    static void (*const changes[])(const char *) = {change_a_byte, change_a_mode, add_setuid, change_a_name,
                                                    add_a_file,    add_a_folder,  add_a_link, change_a_link};
    for (guint n = 1; n <= PAIRS; n++) {
        g_autofree char *name = g_strdup_printf("tree-%u", n);
        g_autofree char *tree = path_of(*state, name);
        for (guint i = 0; i < G_N_ELEMENTS(changes); i++) {
            g_autoptr(Plan) before = plan_now(*state);
            changes[i](tree);
            expect_miss_from(before, *state, FILE_OF(n));
        }
    }
}

static void remove_a_file(const char *tree)
{
    g_autofree char *page = g_build_filename(tree, "sub", "page", NULL);
    assert_int_equal(g_unlink(page), 0);
}

static void remove_the_tree(const char *tree)
{
    assert_true(ingot_file_remove_tree(tree, NULL));
}

/* Between the plan and the end of the step. */
static void a_file_that_changes_meanwhile_is_an_error(void **state)
{
    Fixture *f = *state;
    static const struct {
        void (*change)(const char *tree);
        const char *named;
    } cases[] = {
        {change_a_byte, "tree-1/sub/page changed while"}, {change_a_mode, "tree-1/sub/page changed while"},
        {change_a_name, "tree-1/sub/page changed while"}, {add_a_file, "changed while the build ran; build again"},
        {remove_a_file, "tree-1/sub/page changed while"}, {remove_the_tree, "tree-1: "}};
    g_autofree char *tree = path_of(f, "tree-1");
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        remove_the_tree(tree);
        write_file(f, "tree-1/sub/page", "hello");
        g_autoptr(Plan) plan = plan_now(f);
        for (guint stage = 0; stage < plan->stages->len; stage++) {
            assert_true(plan_check_files(plan_stage(plan, stage), NULL));
        }
        g_autoptr(GError) error = NULL;
        cases[i].change(tree);
        assert_false(plan_check_files(plan_stage(plan, FILE_OF(1)), &error));
        if (strstr(error->message, cases[i].named) == NULL) {
            fail_msg("case %u: %s", i, error->message);
        }
        assert_true(plan_check_files(plan_stage(plan, FILE_OF(2)), NULL));
    }
}

static void one_byte_of_a_script_file(void **state)
{
    Fixture *f = *state;
    write_file(f, "do.sh", "true");
    edit(f, "shell: 'echo 3'", "script: do.sh");
    g_autoptr(Plan) before = plan_now(f);
    write_file(f, "do.sh", "tru3");
    expect_miss_from(before, f, SHELL_OF(3));
}

/* The same files checked out by somebody with another umask. */
static void the_umask_says_nothing(void **state)
{
    g_autofree char *sub = path_of(*state, "tree-1/sub"), *page = path_of(*state, "tree-1/sub/page");
    assert_int_equal(g_chmod(sub, 0755), 0);
    assert_int_equal(g_chmod(page, 0644), 0);
    g_autoptr(Plan) before = plan_now(*state);
    assert_int_equal(g_chmod(sub, 0700), 0);
    assert_int_equal(g_chmod(page, 0600), 0);
    expect_miss_from(before, *state, NONE);
}

static void link_to(Fixture *f, const char *name, const char *target)
{
    g_autofree char *path = path_of(f, name);
    g_remove(path);
    assert_int_equal(symlink(target, path), 0);
}

static void a_script_behind_a_link(void **state)
{
    Fixture *f = *state;
    write_file(f, "shared/do.sh", "true");
    link_to(f, "do.sh", "shared/do.sh");
    edit(f, "shell: 'echo 3'", "script: do.sh");
    g_autoptr(Plan) before = plan_now(f);
    write_file(f, "shared/do.sh", "tru3");
    expect_miss_from(before, f, SHELL_OF(3));
}

static void a_folder_behind_a_link(void **state)
{
    Fixture *f = *state;
    write_file(f, "release-1/a/page", "one");
    write_file(f, "release-2/a/page", "two");
    link_to(f, "current", "release-1");
    edit(f, "from: tree-2,", "from: current,");
    g_autoptr(Plan) before = plan_now(f);
    write_file(f, "release-1/a/page", "on3");
    g_autoptr(Plan) edited = plan_now(f);
    expect_miss_from(before, f, FILE_OF(2));
    link_to(f, "current", "release-2");
    expect_miss_from(edited, f, FILE_OF(2));
}

static void links_inside_a_folder_are_links(void **state)
{
    Fixture *f = *state;
    write_file(f, "elsewhere", "one");
    link_to(f, "tree-1/link", "../elsewhere");
    link_to(f, "tree-1/dangling", "nowhere");
    g_autoptr(Plan) before = plan_now(f);
    write_file(f, "elsewhere", "two");
    expect_miss_from(before, f, NONE);
}

static void a_link_that_leads_nowhere_is_an_error(void **state)
{
    Fixture *f = *state;
    write_file(f, "target", "one");
    link_to(f, "do.sh", "target");
    edit(f, "shell: 'echo 3'", "script: do.sh");
    g_autoptr(Recipe) recipe = load(f);
    link_to(f, "do.sh", "nowhere");
    g_autoptr(GError) error = NULL;
    assert_null(plan_new(recipe, f->source, f->salt, &error));
    assert_non_null(strstr(error->message, "do.sh"));
}

/* Two names that no terminal could tell apart. */
static void names_that_are_not_text_differ(void **state)
{
    Fixture *f = *state;
    write_file(f, "tree-1/a\xff", "one");
    write_file(f, "tree-1/a\xfe", "two");
    g_autoptr(Plan) before = plan_now(f);
    write_file(f, "tree-1/a\xff", "on3");
    g_autoptr(Plan) first = plan_now(f);
    expect_miss_from(before, f, FILE_OF(1));
    write_file(f, "tree-1/a\xfe", "tw0");
    expect_miss_from(first, f, FILE_OF(1));
}

static void times_of_files_say_nothing(void **state)
{
    g_autoptr(Plan) before = plan_now(*state);
    g_autofree char *page = path_of(*state, "tree-1/sub/page");
    assert_int_equal(g_utime(page, &(struct utimbuf){1, 1}), 0);
    expect_miss_from(before, *state, NONE);
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
    Fixture *f = *state;
    g_autoptr(Recipe) recipe = load(f);
    g_autofree char *tree = path_of(f, "tree-2");
    assert_true(ingot_file_remove_tree(tree, NULL));
    g_autoptr(GError) error = NULL;
    assert_null(plan_new(recipe, f->source, f->salt, &error));
    assert_non_null(strstr(error->message, tree));
}

/* --- what does not matter --- */

static void what_is_said_of_caching(void **state)
{
    g_autoptr(json_t) name = json_string("another"), age = json_integer(60), cache = json_string("disk");
    for (guint stage = 1; stage < STAGES; stage++) {
        expect_step_change(*state, stage, "name", name, NONE);
        expect_step_change(*state, stage, "max_age", age, NONE);
        expect_step_change(*state, stage, "cache", cache, NONE);
    }
}

static void what_is_said_of_a_stage_is_kept_apart(void **state)
{
    Fixture *f = *state;
    edit(f, "{shell: 'echo 1'", "{name: first, max_age: 2m, cache: \"off\", shutdown: true, shell: 'echo 1'");
    edit(f, "{shell: 'echo 2'", "{cache: disk, offline: true, shell: 'echo 2'");
    g_autoptr(Plan) plan = plan_now(f);
    const PlanStage *one = plan_stage(plan, SHELL_OF(1)), *two = plan_stage(plan, SHELL_OF(2));
    assert_string_equal(one->title, "first");
    assert_int_equal(one->max_age, 120);
    assert_int_equal(one->keep, PLAN_KEEP_NOTHING);
    assert_true(one->shutdown);
    assert_false(one->offline);
    assert_string_equal(two->title, "echo 2");
    assert_int_equal(two->max_age, 0);
    assert_int_equal(two->keep, PLAN_KEEP_DISK);
    assert_false(two->shutdown);
    assert_true(two->offline);
    assert_int_equal(plan_stage(plan, SHELL_OF(3))->keep, PLAN_KEEP_MEMORY);
}

/* The same value with all its objects' keys the other way round. */
static json_t *reversed(const json_t *value)
{
    if (json_is_array(value)) {
        json_t *list = json_array();
        for (size_t i = 0; i < json_array_size(value); i++) {
            json_array_append_new(list, reversed(json_array_get(value, i)));
        }
        return list;
    }
    if (!json_is_object(value)) {
        return json_deep_copy(value);
    }
    json_t *object = json_object();
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *name;
    json_t *item;
    json_object_foreach((json_t *)value, name, item)
    {
        g_ptr_array_insert(names, 0, (gpointer)name);
    }
    for (guint i = 0; i < names->len; i++) {
        name = g_ptr_array_index(names, i);
        json_object_set_new(object, name, reversed(json_object_get(value, name)));
    }
    return object;
}

static void expect_no_change_by_order_of_keys(Fixture *f)
{
    g_autoptr(Plan) before = plan_now(f);
    g_autoptr(json_t) tree = reversed(f->recipe->tree), public_tree = reversed(f->recipe->public_tree);
    Recipe other = *f->recipe;
    other.tree = tree;
    other.public_tree = public_tree;
    g_autoptr(Plan) after = plan_recipe(f, &other);
    expect_keys(before, after, NONE);
    assert_true(ingot_digest_equal(&before->image, &after->image));
}

static void order_of_keys(void **state)
{
    expect_no_change_by_order_of_keys(*state);
}

static void where_the_recipe_lies(void **state)
{
    Fixture *f = *state;
    g_autoptr(Plan) before = plan_now(f);
    g_autofree char *old = f->folder;
    f->folder = g_strconcat(old, "-moved", NULL);
    assert_int_equal(g_rename(old, f->folder), 0);
    expect_miss_from(before, f, NONE);
}

static void what_only_the_image_has(void **state)
{
    Fixture *f = *state;
    g_autoptr(Plan) before = plan_now(f);
    edit(f, "a site", "a shop");
    g_autoptr(Plan) after = plan_now(f);
    expect_keys(before, after, NONE);
    assert_false(ingot_digest_equal(&before->image, &after->image));
}

/* Of two names of one digest, the image says the one that was asked for. */
static void the_name_of_the_source_is_of_the_image_alone(void **state)
{
    Fixture *f = *state;
    g_autoptr(Plan) before = plan_now(f);
    edit(f, "{from: debian}", "{from: debian:1.0.0}");
    g_autoptr(Plan) after = plan_now(f);
    expect_keys(before, after, NONE);
    assert_false(ingot_digest_equal(&before->image, &after->image));
}

/* --- outputs --- */

static void outputs_are_one_more_stage(void **state)
{
    Fixture *f = *state;
    g_autoptr(Plan) without = plan_now(f);
    g_string_append(f->text, "outputs: [qcow2]\n");
    g_autoptr(Plan) before = plan_now(f);
    assert_int_equal(before->stages->len, STAGES + 1);
    for (guint i = 0; i < STAGES; i++) {
        assert_true(ingot_digest_equal(&plan_stage(without, i)->key, &plan_stage(before, i)->key));
    }
    const PlanStage *last = plan_stage(before, STAGES);
    assert_string_equal(last->title, "ready for qcow2");
    assert_int_equal(last->max_age, 0);
    edit(f, "[qcow2]", "[qcow2, raw]");
    g_autoptr(Plan) after = plan_now(f);
    expect_keys(before, after, STAGES);
    assert_false(ingot_digest_equal(&before->image, &after->image));
}

/* Its script is Ingot's own: a word in it that is a secret elsewhere is none. */
static void outputs_use_no_secret(void **state)
{
    Fixture *f = *state;
    g_string_append(f->text, "outputs: [qcow2]\n");
    f->token = "token=initramfs";
    g_autoptr(Plan) before = plan_now(f);
    assert_false(plan_stage(before, STAGES)->secret);
    f->token = "token=hunter2";
    g_autoptr(Plan) after = plan_now(f);
    assert_true(ingot_digest_equal(&plan_stage(before, STAGES)->key, &plan_stage(after, STAGES)->key));
}

/* --- secrets --- */

/* The text of a shell step holds the secret. */
static void use_secret(const Fixture *f, guint n)
{
    g_autofree char *old = g_strdup_printf("'echo %u'", n), *new = g_strdup_printf("'echo %u ${token}'", n);
    edit(f, old, new);
}

static void stop_using_secret(const Fixture *f)
{
    edit(f, " ${token}", "");
}

static void a_secrets_value(void **state)
{
    Fixture *f = *state;
    for (guint n = 1; n <= PAIRS; n++) {
        use_secret(f, n);
        f->token = "token=hunter2";
        g_autoptr(Plan) before = plan_now(f);
        f->token = "token=hunter3";
        expect_miss_from(before, f, SHELL_OF(n));
        stop_using_secret(f);
    }
}

/* What a test asks for may hang on it, though no step does. */
static void a_secret_in_a_test_is_of_the_image(void **state)
{
    Fixture *f = *state;
    g_string_append(f->text, "tests: [{shell: 'grep ${token} /etc/app'}]\n");
    f->token = "token=hunter2";
    g_autoptr(Plan) before = plan_now(f);
    f->token = "token=hunter3";
    g_autoptr(Plan) after = plan_now(f);
    expect_keys(before, after, NONE);
    assert_false(ingot_digest_equal(&before->image, &after->image));
    f->token = "token=hunter2";
    g_autoptr(Plan) again = plan_now(f);
    assert_true(ingot_digest_equal(&before->image, &again->image));
}

static void the_salt(void **state)
{
    Fixture *f = *state;
    for (guint n = 1; n <= PAIRS; n++) {
        use_secret(f, n);
        f->salt = "salt";
        g_autoptr(Plan) before = plan_now(f);
        f->salt = "Salt";
        expect_miss_from(before, f, SHELL_OF(n));
        stop_using_secret(f);
    }
}

static void a_secret_that_nothing_uses(void **state)
{
    Fixture *f = *state;
    g_autoptr(Plan) before = plan_now(f);
    f->token = "token=hunter3";
    f->salt = "Salt";
    expect_miss_from(before, f, NONE);
}

static void only_its_own_stage_uses_a_secret(void **state)
{
    Fixture *f = *state;
    for (guint n = 1; n <= PAIRS; n++) {
        use_secret(f, n);
        g_autoptr(Plan) plan = plan_now(f);
        for (guint i = 0; i < STAGES; i++) {
            g_autofree char *inputs = ingot_json_canonical(plan_stage(plan, i)->inputs);
            assert_int_equal(plan_stage(plan, i)->secret, i == SHELL_OF(n));
            assert_null(strstr(inputs, "hunter2"));
            assert_null(strstr(plan_stage(plan, i)->title, "hunter2"));
        }
        stop_using_secret(f);
    }
}

/* A step that says the value itself, where another one has it as a variable. */
static void a_secret_that_was_written_out(void **state)
{
    Fixture *f = *state;
    edit(f, "'echo 2'", "'echo hunter2'");
    g_autoptr(Plan) plan = plan_now(f);
    g_autofree char *inputs = ingot_json_canonical(plan_stage(plan, SHELL_OF(2))->inputs);
    assert_true(plan_stage(plan, SHELL_OF(2))->secret);
    assert_null(strstr(inputs, "hunter2"));
}

/* Two secrets in the environment of one step. */
static void use_two_secrets(const Fixture *f, const char *environment)
{
    g_autofree char *step = g_strdup_printf("{shell: 'echo 2', env: %s}", environment);
    edit(f, "token: {secret: true}", "token: {secret: true}, other: {secret: true, default: swordfish}");
    edit(f, "{shell: 'echo 2', env: {A: '1', B: '2'}}", step);
}

static void order_of_keys_with_secrets(void **state)
{
    use_two_secrets(*state, "{A: '${token}', B: '${other}'}");
    expect_no_change_by_order_of_keys(*state);
}

static void secrets_that_change_places(void **state)
{
    Fixture *f = *state;
    use_two_secrets(f, "{A: '${token}', B: '${other}'}");
    g_autoptr(Plan) before = plan_now(f);
    edit(f, "{A: '${token}', B: '${other}'}", "{A: '${other}', B: '${token}'}");
    expect_miss_from(before, f, SHELL_OF(2));
}

/* In the order of the text it is the same two values. */
static void secrets_whose_names_change_places(void **state)
{
    Fixture *f = *state;
    use_two_secrets(f, "{A: '${token}', B: '${other}'}");
    g_autoptr(Plan) before = plan_now(f);
    edit(f, "{A: '${token}', B: '${other}'}", "{B: '${token}', A: '${other}'}");
    expect_miss_from(before, f, SHELL_OF(2));
}

/* --- finding a stage --- */

static void a_person_names_a_stage(void **state)
{
    Fixture *f = *state;
    edit(f, "{shell: 'echo 2'", "{name: install, shell: 'echo 2'");
    g_autoptr(Plan) plan = plan_now(f);
    assert_int_equal(plan_find(plan, "1", NULL), 1);
    assert_int_equal(plan_find(plan, "6", NULL), 6);
    assert_int_equal(plan_find(plan, "install", NULL), SHELL_OF(2));
    assert_int_equal(plan_find(plan, "echo 3", NULL), SHELL_OF(3));
    assert_int_equal(plan_find(plan, "boot", NULL), 0);
}

/* No step is taken for another one in silence. */
static void a_name_of_two_stages_is_an_error(void **state)
{
    static const char *const names[] = {"dup", "2"};
    static const char *const said[] = {"two steps are named 'dup': ", "'2' is the number of one step and the name of"};
    Fixture *f = *state;
    edit(f, "{shell: 'echo 1'", "{name: dup, shell: 'echo 1'");
    edit(f, "{shell: 'echo 2'", "{name: dup, shell: 'echo 2'");
    edit(f, "{shell: 'echo 3'", "{name: '2', shell: 'echo 3'");
    g_autoptr(Plan) plan = plan_now(f);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GError) error = NULL;
        assert_int_equal(plan_find(plan, names[i], &error), -1);
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_non_null(strstr(error->message, said[i]));
    }
}

static void a_name_of_no_stage_is_an_error(void **state)
{
    static const char *const names[] = {"inztall", "7", "-1", ""};
    Fixture *f = *state;
    edit(f, "{shell: 'echo 2'", "{name: install, shell: 'echo 2'");
    g_autoptr(Plan) plan = plan_now(f);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GError) error = NULL;
        assert_int_equal(plan_find(plan, names[i], &error), -1);
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_int_equal(strstr(error->message, "did you mean 'install'?") != NULL, i == 0);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_changed),
        TEST(every_stage_has_a_key_of_its_own),
        TEST(one_byte_of_a_steps_text),
        TEST(how_a_step_runs),
        TEST(a_variables_value),
        TEST(a_variable_that_nothing_uses),
        TEST(memory_of_the_machine),
        TEST(another_source),
        TEST(order_of_steps),
        TEST(any_change_of_a_tree),
        TEST(a_file_that_changes_meanwhile_is_an_error),
        TEST(one_byte_of_a_script_file),
        TEST(the_umask_says_nothing),
        TEST(a_script_behind_a_link),
        TEST(a_folder_behind_a_link),
        TEST(links_inside_a_folder_are_links),
        TEST(a_link_that_leads_nowhere_is_an_error),
        TEST(names_that_are_not_text_differ),
        TEST(times_of_files_say_nothing),
        TEST(a_file_that_cannot_be_read_is_an_error),
        TEST(what_is_said_of_caching),
        TEST(what_is_said_of_a_stage_is_kept_apart),
        TEST(order_of_keys),
        TEST(where_the_recipe_lies),
        TEST(what_only_the_image_has),
        TEST(the_name_of_the_source_is_of_the_image_alone),
        TEST(outputs_are_one_more_stage),
        TEST(outputs_use_no_secret),
        TEST(a_secrets_value),
        TEST(a_secret_in_a_test_is_of_the_image),
        TEST(the_salt),
        TEST(a_secret_that_nothing_uses),
        TEST(only_its_own_stage_uses_a_secret),
        TEST(a_secret_that_was_written_out),
        TEST(order_of_keys_with_secrets),
        TEST(secrets_that_change_places),
        TEST(secrets_whose_names_change_places),
        TEST(a_person_names_a_stage),
        TEST(a_name_of_two_stages_is_an_error),
        TEST(a_name_of_no_stage_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
