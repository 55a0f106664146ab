/* What an image says of itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "bake/config.h"
#include "base/file.h"

/* The config of a recipe, over a source that says so of its firmware (JSON; NULL: nothing). */
static json_t *config_of(const char *machine, const char *source, gboolean booted)
{
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(workdir, "web.yaml");
    g_autofree char *text =
        g_strdup_printf("name: web\nsource: {from: base:1}\nmachine: %s\nseal: {keep: [host-keys]}\n", machine);
    assert_true(g_file_set_contents(path, text, -1, NULL));
    g_autoptr(Recipe) recipe = recipe_load(path, NULL, NULL);
    assert_non_null(recipe);
    g_autoptr(json_t) steps = json_array();
    g_autoptr(json_t) said = json_object();
    if (source != NULL) {
        json_object_set_new(said, "firmware", json_loads(source, 0, NULL));
    }
    const Origin nowhere = {0};
    const ConfigFacts facts = {.recipe = recipe, .origin = &nowhere, .source = said, .steps = steps, .booted = booted};
    return config_new(&facts);
}

static void expect_firmware(const char *machine, const char *source, gboolean booted, const char *expected)
{
    g_autoptr(json_t) config = config_of(machine, source, booted);
    g_autofree char *text = ingot_json_canonical(json_object_get(config, "firmware"));
    assert_string_equal(text, expected);
}

/* The firmware that the disk was booted with is one that it says. */
static void the_firmware_is_the_one_that_was_used(void **state)
{
    (void)state;
    static const char uefi[] = "{firmware: uefi}", bios[] = "{firmware: bios}";
    expect_firmware(uefi, NULL, TRUE, "[\"uefi\"]");
    expect_firmware(uefi, "[\"bios\"]", TRUE, "[\"uefi\"]");
    expect_firmware(bios, "[\"uefi\"]", TRUE, "[\"bios\"]");
    expect_firmware(bios, "[\"bios\",\"uefi\"]", TRUE, "[\"bios\",\"uefi\"]");
    expect_firmware(uefi, "[\"bios\",\"uefi\"]", TRUE, "[\"bios\",\"uefi\"]");
}

/* Nobody has tried it otherwise: what the source says stands. */
static void the_firmware_of_a_disk_that_was_not_booted_is_its_sources(void **state)
{
    (void)state;
    expect_firmware("{firmware: uefi}", "[\"bios\"]", FALSE, "[\"bios\"]");
    expect_firmware("{firmware: uefi}", NULL, FALSE, "[\"uefi\"]");
}

static void the_config_says_that_the_disk_is_sealed(void **state)
{
    (void)state;
    g_autoptr(json_t) config = config_of("{cpus: 1}", NULL, FALSE);
    g_autofree char *text = ingot_json_canonical(json_object_get(config, "seal"));
    assert_string_equal(text, "{\"keep\":[\"host-keys\"]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_firmware_is_the_one_that_was_used),
        cmocka_unit_test(the_firmware_of_a_disk_that_was_not_booted_is_its_sources),
        cmocka_unit_test(the_config_says_that_the_disk_is_sealed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
