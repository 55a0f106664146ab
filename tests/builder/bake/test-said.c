/* What a build says of its image: no more than is so, and no secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>

#include "bake/recipetar.h"
#include "bake/said.h"
#include "base/file.h"
#include "base/process.h"

#define OUTSIDE "  - file: {from: ../outside, to: /srv/}\n  - file: {from: way-out, to: /srv/}\n"

typedef struct {
    IngotWorkdir *workdir;
    char *folder;
} Fixture;

static void put(const Fixture *fixture, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(fixture->folder, name, NULL);
    g_autofree char *parent = g_path_get_dirname(path);
    assert_int_equal(g_mkdir_with_parents(parent, 0755), 0);
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static int set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->workdir = ingot_workdir_new(NULL);
    fixture->folder = ingot_workdir_file(fixture->workdir, "recipes");
    put(fixture, "web.yaml",
        "name: web\n"
        "variables: {token: {secret: true, default: hunter2secret}}\n"
        "source: {from: base:1}\n"
        "steps:\n"
        "  - shell: echo ${token}\n"
        "  - file: {from: site/, to: /srv/site}\n" OUTSIDE "tests:\n"
        "  - port: 22\n");
    put(fixture, "site/b.html", "page b");
    put(fixture, "site/a.html", "page a");
    put(fixture, "site/key", "the token is hunter2secret.\n");
    put(fixture, "unnamed", "no step reads this");
    put(fixture, "../outside", "of another project");
    g_autofree char *link = g_build_filename(fixture->folder, "way-out", NULL);
    assert_int_equal(symlink("../outside", link), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    ingot_workdir_free(fixture->workdir);
    g_free(fixture->folder);
    g_free(fixture);
    return 0;
}

static Recipe *recipe_of(const Fixture *fixture)
{
    g_autofree char *path = g_build_filename(fixture->folder, "web.yaml", NULL);
    g_autoptr(GError) error = NULL;
    Recipe *recipe = recipe_load(path, NULL, &error);
    assert_null(error);
    return recipe;
}

/* "NAME NAME …", in the tar's order. */
static char *names_in(GBytes *tar)
{
    GString *names = g_string_new(NULL);
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    archive_read_support_format_tar(archive);
    assert_int_equal(archive_read_open_memory(archive, g_bytes_get_data(tar, NULL), g_bytes_get_size(tar)), ARCHIVE_OK);
    while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
        g_string_append_printf(names, "%s%s", names->len == 0 ? "" : " ", archive_entry_pathname(entry));
    }
    archive_read_free(archive);
    return g_string_free(names, FALSE);
}

static void the_tar_has_what_the_recipe_names(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Recipe) recipe = recipe_of(fixture);
    g_auto(RecipeTar) tar = {0}, again = {0};
    assert_true(recipe_tar_make(recipe, &tar, NULL));
    g_autofree char *names = names_in(tar.tar);
    assert_string_equal(names, "web.yaml site/a.html site/b.html");
    gsize size;
    const char *bytes = g_bytes_get_data(tar.tar, &size);
    assert_null(memmem(bytes, size, "hunter2secret", strlen("hunter2secret")));
    assert_string_equal(json_string_value(json_object_get(tar.annotations, RECIPE_TAR_PATH)), "web.yaml");
    const char *left = json_string_value(json_object_get(tar.annotations, RECIPE_TAR_LEFT_OUT));
    assert_non_null(strstr(left, "site/key: has a secret"));
    assert_non_null(strstr(left, "../outside: outside"));
    assert_non_null(strstr(left, "way-out: outside"));
    assert_true(recipe_tar_make(recipe, &again, NULL));
    assert_true(g_bytes_equal(tar.tar, again.tar));
}

static Recipe *recipe_with_steps(const Fixture *fixture, const char *steps)
{
    g_autofree char *text = g_strdup_printf("name: web\nsource: {from: base:1}\n%s\n", steps);
    put(fixture, "web.yaml", text);
    return recipe_of(fixture);
}

static void close_to_others(const Fixture *fixture, const char *name, mode_t mode)
{
    g_autofree char *path = g_build_filename(fixture->folder, name, NULL);
    assert_int_equal(chmod(path, mode), 0);
}

/* A key that a step uploads, and that the seal removes, is nobody's who pulls the image. */
static void what_looks_private_stays_here(void **state)
{
    const Fixture *fixture = *state;
    static const struct {
        const char *name, *text, *why;
        mode_t mode;
    } files[] = {
        {"in/a/deploy_key", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n", "a private key", 0644},
        {"in/server.pem", "a certificate\n-----BEGIN EC PRIVATE KEY-----\n", "a private key", 0644},
        {"in/signing.asc", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "a private key", 0644},
        {"in/putty.ppk", "PuTTY-User-Key-File-3: ssh-ed25519\n", "a private key", 0644},
        {"in/age.txt", "# public key: age1\nAGE-SECRET-KEY-1QQ\n", "a private key", 0644},
        {"in/closed", "token", "only its owner", 0600},
        {"in/.env", "TOKEN=x", "by its name", 0644},
        {"in/store.p12", "x", "by its name", 0644},
    };
    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        put(fixture, files[i].name, files[i].text);
        close_to_others(fixture, files[i].name, files[i].mode);
    }
    put(fixture, "in/page", "of a public key: -----BEGIN PUBLIC KEY-----");
    put(fixture, "in/.git/config", "url = https://x:token@git.example/web");
    put(fixture, "in/shut/note", "x");
    close_to_others(fixture, "in/shut", 0700);
    g_autoptr(Recipe) recipe =
        recipe_with_steps(fixture, "steps: [{file: {from: in, to: /srv/}}, {file: {from: in/.git/config, to: /srv/}},\n"
                                   "        {file: {from: in/shut/note, to: /srv/}}]");
    g_auto(RecipeTar) tar = {0};
    assert_true(recipe_tar_make(recipe, &tar, NULL));
    g_autofree char *names = names_in(tar.tar);
    assert_string_equal(names, "web.yaml in/page");
    assert_int_equal(tar.files, 1);
    const char *left = json_string_value(json_object_get(tar.annotations, RECIPE_TAR_LEFT_OUT));
    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *start = g_strconcat(files[i].name, ": ", NULL);
        const char *line = strstr(left, start);
        assert_non_null(line);
        assert_non_null(g_strstr_len(line, (gssize)strcspn(line, "\n"), files[i].why));
    }
    static const char *const others[] = {"in/.git: git's own", "in/shut: only its owner", "in/.git/config: git's own",
                                         "in/shut/note: only its owner"};
    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        assert_non_null(strstr(left, others[i]));
    }
    assert_int_equal(tar.left_out->len, G_N_ELEMENTS(files) + G_N_ELEMENTS(others));
}

static void a_recipe_can_keep_its_files(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Recipe) recipe =
        recipe_with_steps(fixture, "steps: [{file: {from: site/a.html, to: /srv/}}]\nevidence: {files: false}");
    g_auto(RecipeTar) tar = {0};
    assert_true(recipe_tar_make(recipe, &tar, NULL));
    g_autofree char *names = names_in(tar.tar);
    assert_string_equal(names, "web.yaml");
    assert_string_equal(json_string_value(json_object_get(tar.annotations, RECIPE_TAR_LEFT_OUT)),
                        "site/a.html: the recipe says so (evidence.files)");
}

/* The first recipe that a report names, and the values that it says. */
static void expect_report(const Fixture *fixture, const RecipeInputs *inputs, gboolean by_digest, const char *variables)
{
    g_autofree char *path = g_build_filename(fixture->folder, "cis.yaml", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(Recipe) recipe = recipe_load(path, inputs, &error);
    assert_null(error);
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    const CheckReport report = {.suite = (char *)"", .good = none, .bad = none};
    g_autoptr(json_t) said = said_of_tests(recipe, &report, NULL);
    const json_t *named = json_array_get(json_object_get(said, "configuration"), 0);
    assert_string_equal(json_string_value(json_object_get(named, "name")), "cis.yaml");
    assert_int_equal(json_object_get(named, "digest") != NULL, by_digest);
    const json_t *values = json_object_get(json_object_get(said, "ingot"), "variables");
    g_autofree char *text = values == NULL ? NULL : ingot_json_canonical(values);
    assert_int_equal(text == NULL, variables == NULL);
    assert_true(text == NULL || strcmp(text, variables) == 0);
}

/* A digest stands for the recipe as its text is: a test that was run with other values is another one. */
static void a_report_names_by_digest_what_was_run(void **state)
{
    const Fixture *fixture = *state;
    static const char *const set[] = {"level=0", NULL}, *const same[] = {"level=2", "size=1", NULL};
    static const char *const derived[] = {"host=b", NULL}, *const hidden[] = {"token=hunter3secret", NULL};
    put(fixture, "cis.yaml",
        "name: cis\n"
        "variables: {level: 2, size: 3, host: a, url: \"http://${host}\", token: {secret: true, default: x}}\n"
        "source: {from: base:1}\n"
        "steps: [{shell: \"echo ${size}\"}]\n"
        "tests: [{shell: \"scan ${level} ${url} ${token}\"}]\n");
    expect_report(fixture, NULL, TRUE, NULL);
    RecipeInputs inputs = {.vars = set};
    expect_report(fixture, &inputs, FALSE, "{\"level\":\"0\"}");
    inputs.tests_only = TRUE;
    expect_report(fixture, &inputs, FALSE, "{\"level\":\"0\"}");
    inputs.vars = same; /* no test uses the size */
    expect_report(fixture, &inputs, TRUE, NULL);
    inputs.vars = derived;
    expect_report(fixture, &inputs, FALSE, "{\"url\":\"http://b\"}");
    inputs.vars = hidden;
    expect_report(fixture, &inputs, FALSE, "{\"token\":\"***\"}");
    inputs.vars = NULL;
    g_setenv("INGOT_VAR_level", "0", TRUE);
    expect_report(fixture, &inputs, FALSE, "{\"level\":\"0\"}");
    inputs.defaults_only = TRUE;
    expect_report(fixture, &inputs, TRUE, NULL);
    g_unsetenv("INGOT_VAR_level");
    g_autoptr(json_t) kept =
        json_pack("{s:s, s:s, s:s, s:s}", "level", "0", "size", "3", "host", "a", "url", "http://a");
    inputs = (RecipeInputs){.kept = kept, .vars = hidden};
    expect_report(fixture, &inputs, FALSE, "{\"level\":\"0\",\"token\":\"***\"}");
}

static void git(const Fixture *fixture, const char *words)
{
    g_autofree char *line =
        g_strdup_printf("git -C '%s' -c user.name=n -c user.email=e@example %s", fixture->folder, words);
    int status;
    assert_true(g_spawn_command_line_sync(line, NULL, NULL, &status, NULL));
    assert_int_equal(status, 0);
}

/* A repository with all of the fixture's folder in it, and a recipe that reads nothing else. */
static void commit_all(const Fixture *fixture)
{
    g_autofree char *path = g_build_filename(fixture->folder, "web.yaml", NULL), *text = NULL;
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_auto(GStrv) around = g_strsplit(text, OUTSIDE, 2);
    g_autofree char *within = g_strjoinv("", around);
    put(fixture, "web.yaml", within);
    git(fixture, "init -q -b main");
    git(fixture, "add .");
    git(fixture, "commit -q -m one");
}

static const char *parameter(const json_t *predicate, const char *key)
{
    const json_t *definition = json_object_get(predicate, "buildDefinition");
    return json_string_value(json_object_get(json_object_get(definition, "externalParameters"), key));
}

static void provenance_has_no_login(void **state)
{
    const Fixture *fixture = *state;
    commit_all(fixture);
    git(fixture, "checkout -q -b topic");
    git(fixture, "remote add origin https://somebody:open-sesame@git.example/team/web.git");
    g_autoptr(Recipe) recipe = recipe_of(fixture);
    g_autoptr(json_t) config = json_pack("{s:{s:s}}", "base", "reference", "h.example/base:1");
    g_auto(Origin) origin = {0};
    origin_ask(recipe, &origin);
    g_autoptr(json_t) predicate = said_of_build(recipe, config, &origin, 0);
    assert_string_equal(parameter(predicate, "repository"), "https://git.example/team/web.git");
    assert_string_equal(parameter(predicate, "branch"), "topic");
    assert_string_equal(parameter(predicate, "commit"), origin.commit);
    g_autofree char *text = ingot_json_canonical(predicate);
    assert_null(strstr(text, "open-sesame"));
    assert_null(strstr(text, "hunter2secret"));
    assert_non_null(strstr(text, "\"variables\":{\"token\":\"***\"}"));
    assert_non_null(strstr(text, "\"clean\":true"));
    assert_non_null(strstr(text, "urn:ingot:builder:local"));
    assert_non_null(strstr(text, "\"startedOn\":\"1970-01-01T00:00:00Z\""));
    git(fixture, "remote set-url origin /srv/git/web.git"); /* a path of this host says nothing to others */
    g_auto(Origin) moved = {0};
    origin_ask(recipe, &moved);
    g_autoptr(json_t) local = said_of_build(recipe, config, &moved, 0);
    assert_null(parameter(local, "repository"));
    recipe->image = g_strdup("h.example/team/base@sha256:0"); /* it was unpacked below somebody's work tree */
    g_auto(Origin) carried = {0};
    origin_ask(recipe, &carried);
    assert_null(carried.commit);
    assert_null(carried.place.url);
}

static void outside_of_a_repository_nothing_is_clean(void **state)
{
    g_autoptr(Recipe) recipe = recipe_of(*state);
    g_autoptr(json_t) config = json_object();
    g_auto(Origin) origin = {0};
    origin_ask(recipe, &origin);
    g_autoptr(json_t) predicate = said_of_build(recipe, config, &origin, 0);
    g_autofree char *text = ingot_json_canonical(predicate);
    assert_non_null(strstr(text, "\"clean\":false"));
    assert_null(parameter(predicate, "repository"));
    assert_null(parameter(predicate, "commit"));
}

/* Whether a build that began with a clean commit still counts as clean after that was done. */
static gboolean stays_clean(const Fixture *fixture, void (*change)(const Fixture *))
{
    commit_all(fixture);
    g_autoptr(Recipe) recipe = recipe_of(fixture);
    g_auto(Origin) origin = {0};
    origin_ask(recipe, &origin);
    assert_true(origin.clean);
    g_autofree char *commit = g_strdup(origin.commit);
    change(fixture);
    origin_settle(&origin, recipe, NULL);
    assert_string_equal(origin.commit, commit);
    return origin.clean;
}

static void nothing_changes(const Fixture *fixture)
{
    (void)fixture;
}

static void a_file_is_edited(const Fixture *fixture)
{
    put(fixture, "site/a.html", "another page");
}

static void another_commit_is_made(const Fixture *fixture)
{
    put(fixture, "site/a.html", "another page");
    git(fixture, "commit -q -a -m two");
}

static void the_repository_goes(const Fixture *fixture)
{
    git(fixture, "update-ref -d HEAD");
}

static void what_git_ignores_comes(const Fixture *fixture)
{
    put(fixture, ".git/info/exclude", "site/late\n");
    put(fixture, "site/late", "a page of a build");
}

static void what_changes_under_a_build_is_not_clean(void **state)
{
    static const struct {
        void (*change)(const Fixture *);
        gboolean clean;
    } cases[] = {{nothing_changes, TRUE},
                 {a_file_is_edited, FALSE},
                 {another_commit_is_made, FALSE},
                 {what_git_ignores_comes, FALSE},
                 {the_repository_goes, FALSE}};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        void *own;
        set_up(&own);
        assert_int_equal(stays_clean(own, cases[i].change), cases[i].clean);
        tear_down(&own);
    }
}

/* Git calls each of these work trees clean. NULL: the commit has all that the image is made of; else what it lacks. */
static void what_the_commit_lacks_is_not_clean(void **state)
{
    static const struct {
        const char *steps, *ignored, *mark, *lacks;
    } cases[] = {
        {"[{file: {from: in/, to: /srv/}}]", "unnamed", NULL, NULL},
        {"[{file: {from: in/, to: /srv/}}]", "in/out", NULL, "in/out"},
        {"[{file: {from: in/out/page, to: /srv/}}]", "in/out", NULL, "in/out/page"},
        {"[{file: {from: in/way, to: /srv/}}]", "in/out", NULL, "in/out"},
        {"[{file: {from: in/way, to: /srv/}}]", "way", NULL, "in/way"},
        {"[{script: in/run.sh}]", "in/out", NULL, NULL},
        {"[{script: in/run.sh}]", "*.sh", NULL, "in/run.sh"},
        {"[{shell: echo}]", "web.yaml", NULL, "web.yaml"},
        {"[{file: {from: in/, to: /srv/}}]", "unnamed", "assume-unchanged", "in/kept \"\\ \303\274"},
        {"[{file: {from: in/, to: /srv/}}]", "unnamed", "skip-worktree", "in/kept \"\\ \303\274"},
        {"[{file: {from: ../outside, to: /srv/}}]", "unnamed", NULL, "outside"},
        {"[{file: {from: way-out, to: /srv/}}]", "unnamed", NULL, "way-out"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        void *own;
        set_up(&own);
        const Fixture *fixture = own;
        put(fixture, "in/out/page", "made");
        put(fixture, "in/run.sh", "true");
        put(fixture, "in/kept \"\\ \303\274", "kept");
        g_autofree char *link = g_build_filename(fixture->folder, "in/way", NULL);
        assert_int_equal(symlink("out", link), 0);
        put(fixture, ".gitignore", cases[i].ignored);
        g_autofree char *steps = g_strconcat("steps: ", cases[i].steps, NULL);
        g_autoptr(Recipe) recipe = recipe_with_steps(fixture, steps);
        commit_all(fixture);
        g_autofree char *mark =
            g_strdup_printf("update-index --%s 'in/kept \"\\ \303\274'", cases[i].mark == NULL ? "" : cases[i].mark);
        if (cases[i].mark != NULL) {
            git(fixture, mark);
            put(fixture, "in/kept \"\\ \303\274", "changed");
        }
        g_auto(Origin) origin = {0};
        origin_ask(recipe, &origin);
        assert_int_equal(origin.clean, cases[i].lacks == NULL);
        assert_true(cases[i].lacks == NULL || strstr(origin.unclean, cases[i].lacks) != NULL);
        tear_down(&own);
    }
}

/* Files of a submodule are those of the commit that the repository names of it. */
static void a_submodule_is_in_the_commit(void **state)
{
    const Fixture *fixture = *state;
    put(fixture, "../module/page", "of the module");
    git(fixture, "init -q ../module");
    git(fixture, "-C ../module add .");
    git(fixture, "-C ../module commit -q -m one");
    commit_all(fixture);
    git(fixture, "-c protocol.file.allow=always submodule --quiet add ../module parts");
    g_autoptr(Recipe) recipe = recipe_with_steps(fixture, "steps: [{file: {from: parts/page, to: /srv/}}]");
    git(fixture, "add .");
    git(fixture, "commit -q -m two");
    g_auto(Origin) origin = {0}, ignored = {0};
    origin_ask(recipe, &origin);
    assert_true(origin.clean);
    put(fixture, ".git/modules/parts/info/exclude", "later\n");
    put(fixture, "parts/later", "made");
    g_autoptr(Recipe) other = recipe_with_steps(fixture, "steps: [{file: {from: parts/later, to: /srv/}}]");
    git(fixture, "commit -q -a -m three");
    origin_ask(other, &ignored);
    assert_false(ignored.clean);
    assert_non_null(strstr(ignored.unclean, "parts/later"));
}

/* Whatever the configuration has git pass over. */
static void an_untracked_file_is_not_clean(void **state)
{
    const Fixture *fixture = *state;
    commit_all(fixture);
    git(fixture, "config status.showUntrackedFiles no");
    put(fixture, "new", "of nobody");
    g_autoptr(Recipe) recipe = recipe_of(fixture);
    g_auto(Origin) origin = {0};
    origin_ask(recipe, &origin);
    assert_false(origin.clean);
}

/* The recipe was read from a changed file, which has been committed or put back since. */
static void a_recipe_that_was_loaded_with_other_text_is_not_clean(void **state)
{
    const Fixture *fixture = *state;
    commit_all(fixture);
    put(fixture, "web.yaml", "name: web\nsource: {from: base:2}\n");
    g_autoptr(Recipe) recipe = recipe_of(fixture);
    git(fixture, "checkout -q web.yaml");
    g_auto(Origin) origin = {0};
    origin_ask(recipe, &origin);
    origin_settle(&origin, recipe, NULL);
    assert_false(origin.clean);
}

/* What ${git.commit} stands for in the image is the commit that its provenance names. */
static void a_recipe_that_names_another_commit_is_not_clean(void **state)
{
    const Fixture *fixture = *state;
    put(fixture, "web.yaml", "name: web\nsource: {from: base:1}\nannotations: {commit: \"${git.commit}\"}\n");
    commit_all(fixture);
    g_autoptr(Recipe) recipe = recipe_of(fixture);
    g_auto(Origin) origin = {0}, later = {0};
    origin_ask(recipe, &origin);
    origin_settle(&origin, recipe, NULL);
    assert_true(origin.clean);
    git(fixture, "commit -q --allow-empty -m two");
    origin_ask(recipe, &later);
    origin_settle(&later, recipe, NULL);
    assert_false(later.clean);
}

int main(void)
{
    umask(022);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_tar_has_what_the_recipe_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_looks_private_stays_here, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_recipe_can_keep_its_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_report_names_by_digest_what_was_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(provenance_has_no_login, set_up, tear_down),
        cmocka_unit_test(what_changes_under_a_build_is_not_clean),
        cmocka_unit_test(what_the_commit_lacks_is_not_clean),
        cmocka_unit_test_setup_teardown(a_submodule_is_in_the_commit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_untracked_file_is_not_clean, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_recipe_that_was_loaded_with_other_text_is_not_clean, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_recipe_that_names_another_commit_is_not_clean, set_up, tear_down),
        cmocka_unit_test_setup_teardown(outside_of_a_repository_nothing_is_clean, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("said", tests, NULL, NULL);
}
