/* Whole builds that need no machine: recipes without steps, over a small disk that somebody packed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/disk.h>
#include <ingot/error.h>
#include <ingot/format.h>
#include <ingot/manifest.h>
#include <string.h>

#include "bake/bake.h"
#include "base/file.h"
#include "base/process.h"
#include "base/terminal.h"
#include "cli/keptrecipe.h"
#include "format/all.h"

#define HOST_KEY "/etc/ssh/ssh_host_rsa_key"
#define LOG "/var/log/syslog"
#define NOTE "/srv/note"

typedef struct {
    IngotWorkdir *workdir;
    char *cache, *log;
    IngotStore *store;
    IngotProgress *progress;
} Fixture;

static void shell(const Fixture *fixture, const char *script)
{
    g_autofree char *text = g_strconcat("set -e; cd \"$0\"\n", script, NULL);
    const char *const argv[] = {"sh", "-c", text, ingot_workdir_path(fixture->workdir), NULL};
    g_autoptr(GError) error = NULL;
    if (!ingot_process_run(argv, NULL, NULL, &error)) {
        fail_msg("%s", error->message);
    }
}

/* As `ingot pack` does it: base:1 is the disk of a machine that has run. */
static void pack(const Fixture *fixture)
{
    shell(fixture,
          "mkdir -p root/etc/ssh root/etc/systemd/system root/usr/sbin root/var/lib/dpkg root/var/log root/srv\n"
          "printf 'ID=debian\\nVERSION_ID=12\\n' >root/etc/os-release\n"
          "echo 0123456789abcdef0123456789abcdef >root/etc/machine-id\n"
          "echo key >root/etc/ssh/ssh_host_rsa_key; echo line >root/var/log/syslog; echo x >root/srv/note\n"
          "touch root/usr/sbin/sshd\n"
          "printf 'Package: a\\nStatus: install ok installed\\nVersion: 1\\nArchitecture: all\\n' "
          ">root/var/lib/dpkg/status\n"
          "truncate -s 24M disk.raw\n"
          "echo 'start=2048,type=83,bootable' | sfdisk -q disk.raw\n"
          "mke2fs -q -t ext4 -E offset=1048576 -d root disk.raw 22M\n");
    g_autofree char *path = ingot_workdir_file(fixture->workdir, "disk.raw");
    const IngotPackOptions options = {.threads = 1};
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(path, "raw", NULL);
    g_autoptr(IngotPacked) packed = ingot_store_pack(fixture->store, blocks, &options, NULL);
    g_autoptr(json_t) config = ingot_config_new("amd64", packed->index->disk_size);
    const IngotPackedDisk disk = {{packed->digest, packed->size}, packed->index};
    IngotDescriptor manifest;
    assert_true(ingot_store_add_image(fixture->store, "base", "1", config, NULL, &disk, 1, &manifest, NULL));
}

static int set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->workdir = ingot_workdir_new(NULL);
    fixture->cache = ingot_workdir_file(fixture->workdir, "cache");
    fixture->log = ingot_workdir_file(fixture->workdir, "log");
    g_autofree char *store = ingot_workdir_file(fixture->workdir, "store");
    fixture->store = ingot_store_open(store, NULL);
    fixture->progress = terminal_progress_new(TRUE);
    assert_true(terminal_progress_log(fixture->progress, fixture->log, NULL));
    pack(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    ingot_progress_free(fixture->progress);
    ingot_store_free(fixture->store);
    ingot_workdir_free(fixture->workdir);
    g_free(fixture->cache);
    g_free(fixture->log);
    g_free(fixture);
    return 0;
}

/* FALSE: an error. */
static gboolean try_build(const Fixture *fixture, const char *name, const char *rest, gboolean *cached, GError **error)
{
    g_autofree char *path = ingot_workdir_file(fixture->workdir, "recipe.yaml");
    g_autofree char *text = g_strdup_printf("name: %s\n%s\n", name, rest);
    assert_true(g_file_set_contents(path, text, -1, NULL));
    g_autoptr(Recipe) recipe = recipe_load(path, NULL, error);
    const BakeOptions options = {
        .host = {.store = fixture->store, .cache = fixture->cache, .accel = MACHINE_TCG, .progress = fixture->progress},
        .name = name,
        .tag = "1",
    };
    IngotDescriptor manifest;
    return recipe != NULL && bake(recipe, &options, &manifest, cached, error);
}

static gboolean build_cached(const Fixture *fixture, const char *name, const char *rest)
{
    g_autoptr(GError) error = NULL;
    gboolean cached = FALSE;
    if (!try_build(fixture, name, rest, &cached, &error)) {
        fail_msg("%s", error->message);
    }
    return cached;
}

static void build(const Fixture *fixture, const char *name, const char *rest)
{
    assert_false(build_cached(fixture, name, rest));
}

static IngotImage *image_of(const Fixture *fixture, const char *name)
{
    g_autofree char *text = g_strconcat(name, ":1", NULL);
    g_autoptr(IngotReference) reference = ingot_reference_parse(text, NULL);
    IngotImage *image = ingot_store_image(fixture->store, reference, NULL);
    assert_non_null(image);
    return image;
}

/* The path's text in the image; NULL: it is not there. Free it. */
static char *read_in(const Fixture *fixture, const char *name, const char *path)
{
    g_autoptr(IngotImage) image = image_of(fixture, name);
    g_autoptr(IngotDisk) disk =
        ingot_disk_open(ingot_image_part(image, 0)->path, ingot_image_part(image, 0)->index, NULL);
    g_autofree char *raw = ingot_workdir_file(fixture->workdir, "look.raw");
    g_autofree char *out = ingot_workdir_file(fixture->workdir, "look.out");
    assert_true(ingot_format_export(&format_raw, &(IngotFormatInput){.disk = disk}, raw, NULL, NULL));
    g_autofree char *script = g_strdup_printf("rm -f look.out; debugfs -R 'dump %s look.out' "
                                              "'look.raw?offset=1048576' 2>/dev/null >&2; rm look.raw\n",
                                              path);
    shell(fixture, script);
    char *text = NULL;
    g_file_get_contents(out, &text, NULL, NULL);
    if (text != NULL && *text == '\0') {
        g_clear_pointer(&text, g_free); /* debugfs makes its file before it looks */
    }
    return text;
}

static gboolean left(const Fixture *fixture, const char *name, const char *path)
{
    g_autofree char *text = read_in(fixture, name, path);
    return text != NULL;
}

static gboolean said(const Fixture *fixture, const char *words)
{
    g_autofree char *text = NULL;
    assert_true(g_file_get_contents(fixture->log, &text, NULL, NULL));
    return strstr(text, words) != NULL;
}

static gboolean same_disk(const Fixture *fixture, const char *one, const char *other)
{
    g_autoptr(IngotImage) a = image_of(fixture, one), b = image_of(fixture, other);
    return ingot_digest_equal(&ingot_manifest_disk(a->manifest, 0)->disk.digest,
                              &ingot_manifest_disk(b->manifest, 0)->disk.digest);
}

/* What a machine left on a disk that was only packed is in no image that a build makes of it. */
static void what_was_only_packed_is_sealed(void **state)
{
    const Fixture *fixture = *state;
    assert_true(left(fixture, "base", HOST_KEY));
    build(fixture, "web", "source: {from: base:1}");
    assert_true(said(fixture, "attached: the recipe, with 0 files"));
    assert_false(left(fixture, "web", HOST_KEY));
    assert_false(left(fixture, "web", "/etc/machine-id"));
    assert_true(left(fixture, "web", NOTE));
}

static void what_a_build_has_sealed_stays_as_it_is(void **state)
{
    const Fixture *fixture = *state;
    build(fixture, "web", "source: {from: base:1}");
    build(fixture, "again", "source: {from: web:1}");
    assert_true(same_disk(fixture, "web", "again"));
    build(fixture, "third", "source: {from: again:1}");
    assert_true(same_disk(fixture, "web", "third"));
    assert_true(build_cached(fixture, "third", "source: {from: again:1}"));
}

/* A policy that is there since then counts: an image that is cached is given no name either. */
static void what_is_cached_is_judged_by_the_policy_of_its_source(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(IngotImage) base = image_of(fixture, "base");
    const IngotDescriptor manifest = base->entry->manifest;
    g_autofree char *policy = ingot_workdir_file(fixture->workdir, "policy.json");
    g_autofree char *digest = ingot_digest_to_text(&manifest.digest);
    g_autofree char *source = g_strdup_printf("source: {from: \"r.example/base@%s\"}", digest);
    g_autoptr(GError) error = NULL;
    gboolean cached;
    build(fixture, "web", source);
    assert_true(build_cached(fixture, "web", source));
    g_autoptr(IngotImage) web = image_of(fixture, "web");
    assert_true(ingot_store_tag(fixture->store, "kept", "1", &web->entry->manifest, NULL));
    assert_true(ingot_store_remove(fixture->store, web->entry, NULL, NULL));
    assert_true(g_file_set_contents(policy, "{\"default\":[{\"type\":\"reject\"}]}", -1, NULL));
    g_setenv("INGOT_POLICY", policy, TRUE);
    gboolean built = try_build(fixture, "web", source, &cached, &error);
    g_unsetenv("INGOT_POLICY");
    assert_false(built);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_REFUSED));
    g_autoptr(IngotReference) named = ingot_reference_parse("web:1", NULL);
    g_autoptr(IngotStoreEntry) there = ingot_store_find(fixture->store, named, NULL);
    assert_null(there);
    assert_true(build_cached(fixture, "web", source));
}

/* What a parent keeps is not its child's. */
static void what_the_source_has_kept_is_removed_where_the_recipe_does_not_keep_it(void **state)
{
    const Fixture *fixture = *state;
    build(fixture, "web", "source: {from: base:1}\nseal: {keep: [host-keys]}");
    assert_true(left(fixture, "web", HOST_KEY));
    build(fixture, "same", "source: {from: web:1}\nseal: {keep: [host-keys]}");
    assert_true(same_disk(fixture, "web", "same"));
    assert_false(said(fixture, "seal.keep"));
    build(fixture, "child", "source: {from: same:1}");
    assert_false(left(fixture, "child", HOST_KEY));
}

static void what_the_recipe_removes_is_removed_without_a_step(void **state)
{
    const Fixture *fixture = *state;
    build(fixture, "web", "source: {from: base:1}");
    build(fixture, "bare", "source: {from: web:1}\nseal: {remove: [/srv/note]}");
    assert_true(left(fixture, "web", NOTE));
    assert_false(left(fixture, "bare", NOTE));
}

static void what_is_gone_cannot_be_kept(void **state)
{
    const Fixture *fixture = *state;
    build(fixture, "web", "source: {from: base:1}");
    assert_false(said(fixture, "seal.keep"));
    build(fixture, "late", "source: {from: web:1}\nseal: {keep: [host-keys]}");
    assert_true(said(fixture, "seal.keep: there is no host-keys to keep: the source is sealed already"));
    assert_true(same_disk(fixture, "web", "late"));
}

/* By the digests that the config has. */
static void the_recipe_of_an_image_comes_back(void **state)
{
    const Fixture *fixture = *state;
    build(fixture, "web", "source: {from: base:1}\nvariables: {port: 8080}");
    g_autoptr(IngotImage) image = image_of(fixture, "web");
    g_auto(KeptRecipe) kept = {0};
    g_autofree char *folder = ingot_workdir_file(fixture->workdir, "back");
    assert_true(kept_recipe_of_store(fixture->store, &image->entry->manifest, &kept, NULL));
    assert_true(kept.has_tar_digest);
    assert_string_equal(json_string_value(json_object_get(kept.variables, "port")), "8080");
    g_autofree char *path = kept_recipe_unpack(&kept, folder, NULL);
    assert_non_null(path);
    shell(fixture, "cmp recipe.yaml back/recipe.yaml");
}

/* The files of an image that is there stay attached to it. */
static void an_image_without_its_files_is_another(void **state)
{
    const Fixture *fixture = *state;
    build(fixture, "web", "source: {from: base:1}");
    assert_true(build_cached(fixture, "web", "source: {from: base:1}\nevidence: {files: true}"));
    assert_false(build_cached(fixture, "web", "source: {from: base:1}\nevidence: {files: false}"));
}

/* "COMMIT clean", or "COMMIT dirty", of the config. Free it. */
static char *origin_of(const Fixture *fixture, const char *name)
{
    g_autoptr(IngotImage) image = image_of(fixture, name);
    const json_t *git = json_object_get(image->config, "git");
    return g_strdup_printf("%s %s", json_string_value(json_object_get(git, "commit")),
                           json_is_true(json_object_get(git, "dirty")) ? "dirty" : "clean");
}

static void commit_all(const Fixture *fixture)
{
    shell(fixture, "[ -d .git ] || { git init -q; printf '*\\n!recipe.yaml\\n!.gitignore\\n' >.gitignore; }\n"
                   "git add .\n"
                   "git -c user.name=n -c user.email=e@example commit -q -m change\n");
}

static void expect_origin(const Fixture *fixture, const char *name, gboolean clean)
{
    g_autofree char *origin = origin_of(fixture, name);
    g_autofree char *script =
        g_strdup_printf("[ '%s' = \"$(git rev-parse HEAD) %s\" ]", origin, clean ? "clean" : "dirty");
    shell(fixture, script);
}

/* A gate that asks for a clean commit can be satisfied by a commit. */
static void what_is_committed_after_its_build_is_made_again(void **state)
{
    const Fixture *fixture = *state;
    static const char source[] = "source: {from: base:1}";
    build(fixture, "web", "source: {from: base:1}\nseal: {keep: [logs]}");
    commit_all(fixture);
    build(fixture, "web", source);
    expect_origin(fixture, "web", FALSE);
    assert_true(build_cached(fixture, "web", source));
    commit_all(fixture);
    assert_false(build_cached(fixture, "web", source));
    assert_true(said(fixture, "was not built from a clean commit"));
    expect_origin(fixture, "web", TRUE);
    assert_true(build_cached(fixture, "web", source));
    g_autofree char *first = origin_of(fixture, "web");
    shell(fixture, "echo '!other' >>.gitignore; echo x >other");
    assert_true(build_cached(fixture, "web", source));
    commit_all(fixture);
    assert_true(build_cached(fixture, "web", source));
    g_autofree char *last = origin_of(fixture, "web");
    assert_string_equal(first, last);
}

/* The commit is that of what the image is made of, whatever becomes of the work tree while it is made. */
static void what_changes_while_it_is_built_changes_nothing_of_it(void **state)
{
    const Fixture *fixture = *state;
    static const char program[] = "#!/bin/sh\n"
                                  "PATH=$OLD_PATH\n"
                                  "cd '%s' && sh -c \"$CHANGE\" && exec qemu-img \"$@\"\n";
    g_autofree char *text = g_strdup_printf(program, ingot_workdir_path(fixture->workdir));
    g_autofree char *folder = ingot_workdir_file(fixture->workdir, "bin");
    g_autofree char *wrapper = g_build_filename(folder, "qemu-img", NULL);
    g_autofree char *old = g_strdup(g_getenv("PATH")), *path = g_strconcat(folder, ":", old, NULL);
    assert_true(ingot_file_make_folder(folder, NULL) && g_file_set_contents_full(wrapper, text, -1, 0, 0755, NULL));
    build(fixture, "web", "source: {from: base:1}\nseal: {keep: [logs]}");
    commit_all(fixture);
    g_setenv("OLD_PATH", old, TRUE);
    g_setenv("PATH", path, TRUE);
    g_setenv("CHANGE", "git checkout -q recipe.yaml", TRUE);
    build(fixture, "web", "source: {from: base:1}");
    expect_origin(fixture, "web", FALSE);
    g_setenv("CHANGE", "echo '# later' >>recipe.yaml", TRUE);
    build(fixture, "web", "source: {from: base:1}\nseal: {keep: [logs]}");
    g_setenv("PATH", old, TRUE);
    shell(fixture, "tail -1 recipe.yaml | grep -q later");
    expect_origin(fixture, "web", TRUE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_only_packed_is_sealed),
        TEST(what_a_build_has_sealed_stays_as_it_is),
        TEST(what_is_cached_is_judged_by_the_policy_of_its_source),
        TEST(what_the_source_has_kept_is_removed_where_the_recipe_does_not_keep_it),
        TEST(what_the_recipe_removes_is_removed_without_a_step),
        TEST(what_is_gone_cannot_be_kept),
        TEST(the_recipe_of_an_image_comes_back),
        TEST(an_image_without_its_files_is_another),
        TEST(what_is_committed_after_its_build_is_made_again),
        TEST(what_changes_while_it_is_built_changes_nothing_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
