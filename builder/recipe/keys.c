#include "recipe/keys.h"

#include "recipe/kinds.h"
#include "recipe/recipe.h"
#include "recipe/rows.h"
#include "recipe/rules.h"

/* --- source --- */

#define ENTRY(kind) &recipe_source_##kind,
static const Variant *const sources[] = {RECIPE_SOURCES(ENTRY) NULL};
#undef ENTRY
static const Choice source_choice = {"source", "What the machine starts from.", sources};

/* --- machine --- */

static const Key machine_keys[] = {
    {.name = "cpus", .help = "Its processors.", .kind = KIND_INTEGER, .least = 1, .most = 64, .fallback = "2"},
    {.name = "memory", .help = "Its memory.", .kind = KIND_SIZE, .least = 64 << 20, .fallback = "1G"},
    {.name = "disk",
     .help = "Its disk; as large as the source's if it is left out.",
     .kind = KIND_SIZE,
     .least = 1 << 20},
    {.name = "disks",
     .help = "Further disks, empty at first: their sizes. Nothing of them is in the image.",
     .kind = KIND_SIZE,
     .list = TRUE,
     .least = 1 << 20,
     .most_items = RECIPE_DISKS_MAX},
    {.name = "firmware",
     .help = "Its firmware.",
     .kind = KIND_WORD,
     .words = WORDS("bios", "uefi"),
     .fallback = "bios"},
    END,
};
static const Shape machine_shape = {
    .name = "machine", .help = "The machine that is built and tested.", .keys = machine_keys};

/* --- steps --- */

#define ENTRY(kind) &recipe_step_##kind,
static const Variant *const steps[] = {RECIPE_STEPS(ENTRY) NULL};
#undef ENTRY
static const Choice step_choice = {"step", "One provisioning action.", steps};

/* --- tests --- */

#define ENTRY(kind) &recipe_test_##kind,
static const Variant *const tests[] = {RECIPE_TESTS(ENTRY) NULL};
#undef ENTRY
static const Choice test_choice = {"test", "What must hold in the machine that boots the sealed image.", tests};

/* --- the rest --- */

static const Key variable_keys[] = {
    {.name = "default", .help = "Its value where nobody sets one.", .kind = KIND_SCALAR},
    {.name = "required", .help = "It must be set by who builds.", .kind = KIND_BOOLEAN, .fallback = "false"},
    {.name = "secret",
     .help = "Its value is masked everywhere; it may be used in the texts of steps and tests only.",
     .kind = KIND_BOOLEAN,
     .fallback = "false"},
    {.name = "description", .help = "What it is for.", .kind = KIND_STRING},
    END,
};
static const Shape variable_shape = {.name = "variable", .help = "A variable's declaration.", .keys = variable_keys};

/* The words of seal.keep are the rules of seal/rules.c. */
static const Key seal_keys[] = {
    {.name = "keep",
     .help = "What it leaves in the image.",
     .kind = KIND_WORD,
     .list = TRUE,
     .words = WORDS("machine-id", "host-keys", "random-seed", "credentials", "certificate", "storage-names",
                    "registrations", "leases", "devices", "cloud-init", "resolver", "logs", "package-cache", "history",
                    "backups", "spools", "temporary"),
     .fallback = "[]"},
    {.name = "remove",
     .help = "Paths (globs) that it removes besides.",
     .kind = KIND_STRING,
     .list = TRUE,
     .pattern = "^(/+(?!\\.\\.?(/|$))[^/]+)+/*$",
     .hint = "an absolute path below /, without '..'",
     .fallback = "[]"},
    END,
};
static const Shape seal_shape = {.name = "seal", .help = "What the seal does otherwise than usual.", .keys = seal_keys};

static const Key session_keys[] = {
    {.name = "user",
     .help = "The user who logs in.",
     .kind = KIND_STRING,
     .pattern = USER,
     .hint = USER_HINT,
     .fallback = "root"},
    {.name = "password",
     .help = "The user's password: a secret, also where it stands here as it is.",
     .kind = KIND_STRING,
     .secrets = TRUE,
     .hidden = TRUE},
    {.name = "key",
     .help = "The user's private ssh key, a file relative to the recipe's folder.",
     .kind = KIND_HOST_PATH},
    {.name = "sudo",
     .help = "Whether the user becomes root by sudo; true unless the user is root.",
     .kind = KIND_BOOLEAN},
    {.name = "proxy",
     .help = "Whether steps get this host's proxy settings.",
     .kind = KIND_WORD,
     .words = WORDS("pass", "off"),
     .fallback = "pass"},
    END,
};
static const Shape session_shape = {
    .name = "session",
    .help = "How the builder gets into the machine, and what it tells steps of this host's network.",
    .keys = session_keys,
    .rule = rule_session};

static const Key evidence_keys[] = {
    {.name = "files",
     .help = "Whether the files that steps read are attached with the recipe, for whoever may pull the image.",
     .kind = KIND_BOOLEAN,
     .fallback = "true"},
    END,
};
static const Shape evidence_shape = {
    .name = "evidence", .help = "What is attached to the image otherwise than usual.", .keys = evidence_keys};

static const Key recipe_keys[] = {
    {.name = "name",
     .help = "The image's name.",
     .kind = KIND_STRING,
     .required = TRUE,
     .pattern = "^[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*$",
     .hint = "an image's name: lower-case letters and digits, with single '.', '_' or any '-' between, parts by '/'"},
    {.name = "version",
     .help = "The image's version, MAJOR.MINOR.PATCH with an optional -SUFFIX.",
     .kind = KIND_STRING,
     .pattern = "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$",
     .hint = "MAJOR.MINOR.PATCH with an optional -SUFFIX"},
    {.name = "description", .help = "What the image is for, in one line.", .kind = KIND_STRING},
    {.name = "variables",
     .help = "Values that stand for ${name}: a default, or a declaration.",
     .kind = KIND_VARIABLES,
     .pattern = "^[A-Za-z_][A-Za-z0-9_]*$",
     .hint = "a variable's name: letters, digits and '_'",
     .shape = &variable_shape,
     .fallback = "{}"},
    {.name = "source", .kind = KIND_CHOICE, .required = TRUE, .choice = &source_choice},
    {.name = "machine", .kind = KIND_OBJECT, .shape = &machine_shape, .fallback = "{}"},
    {.name = "session", .kind = KIND_OBJECT, .shape = &session_shape, .fallback = "{}"},
    {.name = "steps",
     .help = "What is done in the machine, in order.",
     .kind = KIND_CHOICE,
     .list = TRUE,
     .secrets = TRUE,
     .choice = &step_choice,
     .fallback = "[]"},
    {.name = "tests",
     .help = "What must hold before there is an image.",
     .kind = KIND_CHOICE,
     .list = TRUE,
     .secrets = TRUE,
     .choice = &test_choice,
     .fallback = "[]"},
    {.name = "seal", .kind = KIND_OBJECT, .shape = &seal_shape, .fallback = "{}"},
    {.name = "outputs",
     .help = "The formats that the guest is made ready for, so that it runs on what they are for.",
     .kind = KIND_FORMAT,
     .list = TRUE,
     .fallback = "[]"},
    {.name = "evidence", .kind = KIND_OBJECT, .shape = &evidence_shape, .fallback = "{}"},
    {.name = "annotations",
     .help = "Annotations of the image's manifest.",
     .kind = KIND_MAP,
     .pattern = "^[A-Za-z0-9][A-Za-z0-9._/-]*$",
     .hint = "a key like 'org.example.team'",
     .fallback = "{}"},
    END,
};
const Shape recipe_shape = {.name = "recipe",
                            .help = "A recipe of Ingot: what a machine image is made from, step by step.",
                            .keys = recipe_keys,
                            .rule = rule_recipe};
