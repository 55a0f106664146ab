#include <ingot/error.h>
#include <ingot/transfer.h>
#include <stdio.h>

#include "bake/said.h"
#include "bake/trial.h"
#include "base/command.h"
#include "base/file.h"
#include "cli/inputs.h"
#include "cli/keptrecipe.h"
#include "cli/unpack.h"
#include "emit/emit.h"
#include "evidence/testresult.h"
#include "remote/environment.h"
#include "transfer/asks.h"
#include "transfer/attachments.h"
#include "trust/keyfile.h"
#include "verbs.h"

typedef struct {
    char *recipe, *environment, *key, *accel, *pull, *policy;
    Inputs given;
} TestArguments;

static void test_arguments_clear(TestArguments *arguments)
{
    g_free(arguments->recipe);
    g_free(arguments->environment);
    g_free(arguments->key);
    g_free(arguments->accel);
    g_free(arguments->pull);
    g_free(arguments->policy);
    inputs_clear(&arguments->given);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TestArguments, test_arguments_clear)

/* One test of one image, which all works on. */
typedef struct {
    const TestArguments *arguments;
    IngotReference *reference;
    IngotStore *store;
    const IngotImage *image;
    IngotWorkdir *workdir;
    const TrustKey *key; /* signs the report; NULL: nobody does */
} Testing;

/* The recipe that was given, else the image's own, with the variables that it was built with. */
static Recipe *testing_recipe(const Testing *testing, GError **error)
{
    RecipeInputs inputs = inputs_of(&testing->arguments->given);
    if (testing->arguments->recipe != NULL) {
        inputs.tests_only = TRUE;
        return recipe_load(testing->arguments->recipe, &inputs, error);
    }
    g_auto(KeptRecipe) kept = {0};
    g_autofree char *folder = ingot_workdir_file(testing->workdir, "recipe");
    g_autofree char *path = !kept_recipe_of_store(testing->store, &testing->image->entry->manifest, &kept, error)
                                ? NULL
                                : kept_recipe_unpack(&kept, folder, error);
    g_autoptr(json_t) none = json_object();
    inputs.kept = kept.variables != NULL ? kept.variables : none;
    inputs.within = folder;
    Recipe *recipe = path == NULL ? NULL : recipe_load(path, &inputs, error);
    if (recipe == NULL) {
        g_prefix_error(error, "the image's own recipe cannot be used (--recipe FILE names another): ");
    }
    return recipe;
}

/* A recipe's tests are for the machine that it builds. */
static gboolean testing_can(const IngotImage *image, GError **error)
{
    const char *architecture = json_string_value(json_object_get(image->config, "architecture"));
    if (g_strcmp0(architecture, "amd64") != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: it is an image for %s, and those for amd64 alone are tested; `ingot run` may boot it",
                    image->entry->name, architecture);
        return FALSE;
    }
    return ingot_manifest_has_one_disk(image->manifest, image->entry->name, error);
}

static CheckReport *testing_run(const Testing *testing, const Recipe *recipe, GError **error)
{
    BuildHost host = {
        .store = testing->store, .cache = ingot_command_common()->cache, .progress = ingot_command_progress()};
    g_autofree char *folder = ingot_workdir_file(testing->workdir, "check");
    if (!machine_accel(testing->arguments->accel, host.cache, &host.accel, NULL, error) ||
        !ingot_file_make_folder(folder, error)) {
        return NULL;
    }
    g_auto(GStrv) disks = unpack_disks(testing->image, testing->workdir, error);
    g_autoptr(GuestKey) key = disks == NULL ? NULL : guest_key_new(ingot_workdir_path(testing->workdir), error);
    g_autofree guint16 *ports = check_ports(recipe);
    const TrialOptions trial = {.host = &host,
                                .recipe = recipe,
                                .key = key,
                                .disk = disks == NULL ? NULL : disks[0],
                                .format = "raw",
                                .folder = folder,
                                .ports = ports};
    Booted booted;
    ingot_progress_begin(host.progress, 0, "boot %s", testing->image->entry->name);
    if (key == NULL || !trial_boot(&trial, &booted, error)) {
        return NULL;
    }
    g_autoptr(Machine) machine = booted.machine;
    g_autoptr(Guest) guest = booted.guest; /* freed first: it speaks to the machine */
    ingot_progress_end(host.progress, NULL);
    ingot_progress_begin(host.progress, 0, "test");
    CheckReport *report = check_run(recipe, machine, guest, host.progress, error);
    if (report != NULL) {
        ingot_progress_end(host.progress, "%u passed, %u failed", report->good->len, report->bad->len);
    }
    return report;
}

/* To the store's image and, where the reference has a host, to the registry's: this report alone, not what else the
 * store has of the image. */
static gboolean testing_attach(const Testing *testing, const json_t *predicate, IngotDescriptor *attached,
                               GError **error)
{
    const IngotDescriptor *image = &testing->image->entry->manifest;
    if (!emit_statement(testing->store, image, testing->image->entry->name, TEST_RESULT_PREDICATE, predicate,
                        testing->key, attached, error)) {
        return FALSE;
    }
    if (testing->reference->host == NULL) {
        return TRUE;
    }
    g_autoptr(IngotRemote) remote = environment_remote(testing->reference->host, error);
    if (remote == NULL || !attachment_push(testing->store, remote, testing->reference->name, image, attached, error)) {
        g_prefix_error(error, "the report is attached in the store, but not in the registry: ");
        return FALSE;
    }
    return TRUE;
}

static json_t *titles(const GPtrArray *names)
{
    json_t *list = json_array();
    for (guint i = 0; i < names->len; i++) {
        json_array_append_new(list, ingot_json_text(g_ptr_array_index(names, i)));
    }
    return list;
}

static void testing_print(const Testing *testing, const CheckReport *report, const IngotDescriptor *attached)
{
    char image[INGOT_DIGEST_TEXT_SIZE], digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&testing->image->entry->manifest.digest, image);
    ingot_digest_write_text(&attached->digest, digest);
    const char *result = report->bad->len == 0 ? "PASSED" : "FAILED";
    const IngotReference *reference = testing->reference;
    g_autofree char *place =
        reference->host == NULL ? NULL : g_strdup_printf("%s/%s", reference->host, reference->name);
    if (ingot_command_common()->json) {
        g_autoptr(json_t) all =
            ingot_json_pack("{s:s, s:s, s:s, s:o, s:o}", "digest", image, "report", digest, "result", result, "passed",
                            titles(report->good), "failed", titles(report->bad));
        ingot_json_set_string(all, "registry", place);
        g_autofree char *text = ingot_json_pretty(all);
        fputs(text, stdout);
    } else if (ingot_command_common()->quiet) {
        printf("%s\n", digest);
    } else {
        printf("%s: %u of %u tests passed\nreport %s\nattached to %s in the store%s%s\n", result, report->good->len,
               report->count, digest, image, place == NULL ? "" : " and in ", place == NULL ? "" : place);
    }
    fflush(stdout);
}

/* Before the machine boots: nobody may have meant it, as of the environment. */
static void testing_tell_chosen(const Recipe *recipe)
{
    g_autoptr(GString) names = g_string_new(NULL);
    const char *name;
    json_t *value;
    json_object_foreach(recipe->chosen, name, value)
    {
        g_string_append_printf(names, "%s%s", names->len == 0 ? "" : ", ", name);
    }
    if (names->len > 0) {
        ingot_progress_message(
            ingot_command_progress(),
            "%s is run with other values than its defaults (%s): the report says them, and counts for"
            " no gate that names the recipe by its digest",
            recipe->name, names->str);
    }
}

static gboolean testing_do(const Testing *testing, GError **error)
{
    g_autoptr(Recipe) recipe = testing_recipe(testing, error);
    if (recipe == NULL) {
        return FALSE;
    }
    if (json_array_size(json_object_get(recipe->tree, "tests")) == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: the recipe has no tests (--recipe FILE names another)", recipe->name);
        return FALSE;
    }
    testing_tell_chosen(recipe);
    g_autoptr(CheckReport) report = testing_run(testing, recipe, error);
    g_autoptr(json_t) predicate =
        report == NULL ? NULL : said_of_tests(recipe, report, testing->arguments->environment);
    IngotDescriptor attached;
    if (predicate == NULL || !testing_attach(testing, predicate, &attached, error)) {
        return FALSE;
    }
    testing_print(testing, report, &attached);
    if (report->bad->len > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "%u of %u tests failed; the report that says so is attached to the image", report->bad->len,
                    report->count);
        return FALSE;
    }
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(TestArguments) arguments = {0};
    const GOptionEntry entries[] = {
        {"recipe", 0, 0, G_OPTION_ARG_FILENAME, &arguments.recipe,
         "Run the tests of this recipe, on the machine that it describes (the image's own)", "FILE"},
        {"in", 0, 0, G_OPTION_ARG_STRING, &arguments.environment, "Where the test is run, for the report: staging, say",
         "NAME"},
        {"key", 0, 0, G_OPTION_ARG_FILENAME, &arguments.key,
         "Sign the report with this private key: a file, or a URI (pkcs11:...)", "FILE|URI"},
        INPUTS_OPTIONS(arguments.given),
        {"accel", 0, 0, G_OPTION_ARG_STRING, &arguments.accel, "auto, kvm or tcg", "WHAT"},
        {"pull", 0, 0, G_OPTION_ARG_STRING, &arguments.pull,
         "Ask the registry: missing (where the store has none), always (the default of a tag that moves), never",
         "WHEN"},
        {"policy", 0, 0, G_OPTION_ARG_FILENAME, &arguments.policy,
         "Which images may be used, signed by whom (policy.json)", "FILE"},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_test, entries, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    environment_use_policy(arguments.policy);
    IngotPull pull;
    g_autoptr(IngotReference) reference = ingot_reference_parse(argv[1], error);
    if (reference == NULL || !ingot_pull_parse_current(arguments.pull, reference, &pull, error)) {
        return FALSE;
    }
    /* A wrong passphrase is told before the machine boots. */
    g_autoptr(TrustKey) key = arguments.key == NULL ? NULL : trust_keyfile_read_private(arguments.key, error);
    if (arguments.key != NULL && key == NULL) {
        return FALSE;
    }
    g_autoptr(IngotRemoteOptions) remote = ingot_remote_options_from_environment();
    const IngotPullOptions pulling = {.progress = ingot_command_progress(), .remote = remote};
    g_autoptr(IngotStore) store = ingot_store_open(ingot_command_common()->store, error);
    g_autoptr(IngotImage) image = store == NULL ? NULL : ingot_transfer_image(store, reference, pull, &pulling, error);
    g_autoptr(IngotWorkdir) workdir = image == NULL || !testing_can(image, error) ? NULL : ingot_workdir_new(error);
    const Testing testing = {&arguments, reference, store, image, workdir, key};
    return workdir != NULL && testing_do(&testing, error);
}

const IngotVerb verb_test = {
    "test", "REF", "boot a stored image, run tests, and attach their report",
    "Boots a throw-away copy of the image, runs the tests of its own recipe (or of --recipe) as a build does, and "
    "attaches\n"
    "the report to the image: in the store and, where REF has a registry's host, there too. Gates of pipelines read "
    "it.\n"
    "Ends with 0 where all tests passed, with 1 where one failed: the report that is attached says FAILED then. Where\n"
    "the machine can't be tested at all, nothing is attached. With --key the report is signed, as gates with keys ask "
    "for\n"
    "(the passphrase is $INGOT_PASSPHRASE, or typed). A registry's tag that may move, as those of channels do, is "
    "looked\n"
    "up there: the image that it names now is tested. A version or a digest that the store has is tested as it is "
    "there;\n"
    "--pull says otherwise.\n"
    "\n"
    "Examples:\n"
    "  ingot test web:1.0.0\n"
    "  ingot test registry.example/team/web:test --recipe cis.yaml --in staging --key ci.key\n",
    run};
