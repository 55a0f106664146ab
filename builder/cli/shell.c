#include <gio/gio.h>
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/command.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "cli/fetchedrecipe.h"
#include "cli/inputs.h"
#include "guest/pass.h"
#include "guest/sshcommand.h"
#include "prospect/prospect.h"
#include "verbs.h"
#include "walk/walk.h"

/* An ssh session on our terminal; its status becomes ours. */
static gboolean log_in(const Machine *machine, const GuestKey *key, char **command, GError **error)
{
    g_autoptr(GPtrArray) words = sshcommand_words(key, machine_port(machine, 22), (const char *const *)command);
    g_autoptr(GSubprocess) child =
        g_subprocess_newv((const char *const *)words->pdata, G_SUBPROCESS_FLAGS_STDIN_INHERIT, error);
    if (child == NULL || !g_subprocess_wait(child, NULL, error) || !ingot_interrupt_check(error)) {
        return FALSE;
    }
    ingot_command_exit_with(g_subprocess_get_if_exited(child) ? g_subprocess_get_exit_status(child)
                                                              : 128 + g_subprocess_get_term_sig(child));
    return TRUE;
}

/* By the build's own way in, which a hardened machine has too. */
static gboolean run_by_session(Guest *guest, char **command, GError **error)
{
    int status;
    if (!pass_run(guest, (const char *const *)command, STDOUT_FILENO, STDERR_FILENO, &status, error)) {
        return FALSE;
    }
    ingot_command_exit_with(status);
    return TRUE;
}

/* By ssh where root may log in, since that has a terminal and passes input on. */
static gboolean enter(Walk *walk, const GuestKey *key, const char *recipe, char **command, GError **error)
{
    g_autoptr(GError) why = NULL;
    if (sshcommand_try(walk_machine(walk), key, SSHCOMMAND_TRY_SECONDS, &why)) {
        return log_in(walk_machine(walk), key, command, error);
    }
    if (!ingot_interrupt_check(error)) {
        return FALSE;
    }
    if (*command == NULL) {
        g_autofree char *word = ingot_text_word(recipe);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                    "ssh does not let root in (%s); `ingot shell %s -- COMMAND` runs a command all the same",
                    why->message, word);
        return FALSE;
    }
    ingot_progress_message(ingot_command_progress(),
                           "ssh does not let root in: the command runs by the build's own way in, without input");
    return run_by_session(walk_guest(walk), command, error);
}

/* The stage that --at names, else the deepest that is kept; -1 with an error. */
static int stage_of(const Prospect *prospect, const char *at, GError **error)
{
    if (prospect->plan == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "what the recipe is based on has to be built first");
        return -1;
    }
    if (at != NULL) {
        return plan_find(prospect->plan, at, error);
    }
    if (prospect->best == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "nothing is kept of this recipe: build it first");
        return -1;
    }
    return plan_find_key(prospect->plan, &node_run(prospect->best)->key);
}

static gboolean visit(const GraphRecipe *one, BakeOptions *options, const char *at, const char *accel, char **command,
                      GError **error)
{
    g_autoptr(Prospect) prospect = prospect_new(one, options, error);
    int stage = prospect == NULL ? -1 : stage_of(prospect, at, error);
    /* What works here is found out, and noted in the cache, only where there is something to look into. */
    if (stage < 0 || !machine_accel(accel, options->host.cache, &options->host.accel, NULL, error)) {
        return FALSE;
    }
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(error);
    g_autoptr(GuestKey) key = workdir == NULL ? NULL : guest_key_new(ingot_workdir_path(workdir), error);
    if (key == NULL) {
        return FALSE;
    }
    WalkInput input = {.recipe = one->recipe,
                       .plan = prospect->plan,
                       .host = &options->host,
                       .options = &options->walk,
                       .key = key,
                       .workdir = workdir,
                       .refresh = -1};
    g_autoptr(Walk) walk = walk_visit(&input, (guint)stage, error);
    return walk != NULL && enter(walk, key, one->recipe->path, command, error);
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(Inputs) given = {0};
    g_autofree char *at = NULL, *accel = NULL;
    const GOptionEntry entries[] = {
        {"at", 0, 0, G_OPTION_ARG_STRING, &at, "After this step: its number, or its name (the last that is kept)",
         "STEP"},
        INPUTS_OPTIONS(given),
        {"accel", 0, 0, G_OPTION_ARG_STRING, &accel, "auto, kvm or tcg", "WHAT"},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_shell, entries, 1, -1, &argc, &argv, error)) {
        return FALSE;
    }
    const IngotCommon *common = ingot_command_common();
    RecipeInputs inputs = inputs_of(&given);
    g_autoptr(FetchedRecipes) fetched = fetched_recipes_new();
    inputs.fetch = fetched_recipes_get;
    inputs.fetch_user = fetched;
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    g_ptr_array_add(paths, argv[1]);
    g_autoptr(Graph) graph = graph_load(paths, &inputs, error);
    const GraphRecipe *one = graph == NULL ? NULL : graph_only(graph, error);
    g_autoptr(IngotStore) store = ingot_store_open_lazy(common->store);
    BakeOptions options = {.host = {.store = store, .cache = common->cache, .progress = ingot_command_progress()}};
    return one != NULL && visit(one, &options, at, accel, argv + 2, error);
}

const IngotVerb verb_shell = {
    "shell", "RECIPE [-- COMMAND...]", "look into the machine as it was after a step",
    "Resumes the machine that a build has kept and opens a shell in it, as root, or runs a command. What is done there "
    "is\n"
    "thrown away. After a step that failed, the machine before it is the last that is kept: that is where you land.\n"
    "The command's words arrive as they are, and its exit status is the one that ingot ends with. A machine that lets "
    "nobody\n"
    "in by ssh runs the command all the same, without input.\n"
    "\n"
    "Examples:\n"
    "  ingot shell recipes/web.yaml\n"
    "  ingot shell recipes/web.yaml --at 'install nginx' -- dpkg -l nginx-light\n"
    "  ingot shell recipes/web.yaml -- sh -c 'ss -ltn; df -h'\n",
    run};
