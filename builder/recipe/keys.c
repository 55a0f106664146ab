#include "recipe/keys.h"

#include "recipe/rules.h"

#define WORDS(...)                                                                                                     \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        __VA_ARGS__, NULL                                                                                              \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        .name = NULL                                                                                                   \
    }

#define PACKAGE "^[A-Za-z0-9][A-Za-z0-9+._:~=-]*$"
#define PACKAGE_HINT "a package's name"
#define ABSOLUTE "^/"
#define ABSOLUTE_HINT "an absolute path"
#define USER "^[A-Za-z_][A-Za-z0-9_.-]*$"
#define USER_HINT "a user's name"

#define NAME                                                                                                           \
    {                                                                                                                  \
        .name = "name", .kind = KIND_STRING                                                                            \
    }
#define TEST_TIMEOUT                                                                                                   \
    {                                                                                                                  \
        .name = "timeout", .kind = KIND_DURATION, .fallback = "60s"                                                    \
    }
#define EXPECT                                                                                                         \
    {                                                                                                                  \
        .name = "expect", .kind = KIND_INTEGER, .list = TRUE, .least = 0, .most = 255, .fallback = "[0]"               \
    }
#define RUN_AS                                                                                                         \
    {                                                                                                                  \
        .name = "user", .kind = KIND_STRING, .pattern = USER, .hint = USER_HINT, .fallback = "root"                    \
    }
/* What every step may say of how it is kept and run. */
#define STEP_COMMON                                                                                                    \
    NAME, {.name = "max_age", .kind = KIND_DURATION},                                                                  \
        {.name = "cache", .kind = KIND_WORD, .words = WORDS("memory", "disk", "off"), .fallback = "memory"},           \
        {.name = "shutdown", .kind = KIND_BOOLEAN, .fallback = "false"},                                               \
    {                                                                                                                  \
        .name = "offline", .kind = KIND_BOOLEAN, .fallback = "false"                                                   \
    }
#define STEP_RUN                                                                                                       \
    RUN_AS, EXPECT,                                                                                                    \
        {.name = "env",                                                                                                \
         .kind = KIND_MAP,                                                                                             \
         .pattern = "^[A-Za-z_][A-Za-z0-9_]*$",                                                                        \
         .hint = "a variable's name",                                                                                  \
         .fallback = "{}"},                                                                                            \
        {.name = "workdir", .kind = KIND_STRING, .pattern = ABSOLUTE, .hint = ABSOLUTE_HINT},                          \
    {                                                                                                                  \
        .name = "timeout", .kind = KIND_DURATION, .fallback = "30m"                                                    \
    }

/* --- source --- */

static const Key bootstrap_keys[] = {
    {.name = "distribution", .kind = KIND_WORD, .words = WORDS("debian"), .fallback = "debian"},
    {.name = "suite",
     .kind = KIND_STRING,
     .required = TRUE,
     .pattern = "^[a-z0-9][a-z0-9.+/-]*$",
     .hint = "a suite like 'bookworm'"},
    {.name = "mirror",
     .kind = KIND_STRING,
     .pattern = "^(https?|file|copy)://[^ ]+$",
     .hint = "a mirror's URL, http, https, file or copy"},
    {.name = "components",
     .kind = KIND_STRING,
     .list = TRUE,
     .pattern = "^[a-z0-9][a-z0-9.-]*$",
     .hint = "a component like 'main'",
     .fallback = "[main]"},
    {.name = "packages", .kind = KIND_STRING, .list = TRUE, .pattern = PACKAGE, .hint = PACKAGE_HINT, .fallback = "[]"},
    {.name = "max_age", .kind = KIND_DURATION, .fallback = "7d"},
    END,
};
static const Shape bootstrap_shape = {"bootstrap", bootstrap_keys, NULL};

static const Key image_keys[] = {
    {.name = "path", .kind = KIND_HOST_PATH},
    {.name = "url", .kind = KIND_STRING, .pattern = "^https?://[^ ]+$", .hint = "an http or https URL"},
    {.name = "sha256",
     .kind = KIND_STRING,
     .required = TRUE,
     .pattern = "^[0-9a-f]{64}$",
     .hint = "64 hex digits in lower case, as sha256sum prints them"},
    {.name = "format", .kind = KIND_WORD, .words = WORDS("raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi")},
    END,
};
static const Shape image_shape = {"image", image_keys, rule_image};

static const Key source_bootstrap_keys[] = {
    {.name = "bootstrap", .kind = KIND_OBJECT, .required = TRUE, .spread = TRUE, .shape = &bootstrap_shape},
    END,
};
static const Key source_image_keys[] = {
    {.name = "image", .kind = KIND_OBJECT, .required = TRUE, .spread = TRUE, .shape = &image_shape},
    END,
};
static const Key source_from_keys[] = {
    {.name = "from", .kind = KIND_STRING, .required = TRUE, .as = "reference"},
    END,
};
static const Key source_recipe_keys[] = {
    {.name = "recipe", .kind = KIND_HOST_PATH, .required = TRUE, .as = "path"},
    END,
};
static const Shape source_bootstrap_shape = {"sourceBootstrap", source_bootstrap_keys, NULL};
static const Shape source_image_shape = {"sourceImage", source_image_keys, NULL};
static const Shape source_from_shape = {"sourceFrom", source_from_keys, rule_from};
static const Shape source_recipe_shape = {"sourceRecipe", source_recipe_keys, NULL};
static const Variant sources[] = {
    {"bootstrap", "bootstrap", &source_bootstrap_shape},
    {"image", "image", &source_image_shape},
    {"from", "from", &source_from_shape},
    {"recipe", "recipe", &source_recipe_shape},
    {NULL, NULL, NULL},
};
static const Choice source_choice = {"source", sources};

/* --- machine --- */

static const Key machine_keys[] = {
    {.name = "cpus", .kind = KIND_INTEGER, .least = 1, .most = 64, .fallback = "2"},
    {.name = "memory", .kind = KIND_SIZE, .least = 64 << 20, .fallback = "1G"},
    {.name = "disk", .kind = KIND_SIZE, .least = 1 << 20},
    {.name = "disks", .kind = KIND_SIZE, .list = TRUE, .least = 1 << 20},
    {.name = "firmware", .kind = KIND_WORD, .words = WORDS("bios", "uefi"), .fallback = "bios"},
    END,
};
static const Shape machine_shape = {"machine", machine_keys, rule_machine};

/* --- steps --- */

static const Key step_shell_keys[] = {
    STEP_COMMON,
    {.name = "shell", .kind = KIND_SCRIPT, .required = TRUE, .as = "script"},
    STEP_RUN,
    END,
};
static const Key step_script_keys[] = {
    STEP_COMMON,
    {.name = "script", .kind = KIND_HOST_PATH, .required = TRUE, .as = "path"},
    STEP_RUN,
    END,
};
/* from and to are paths here or in the machine, as direction has it: check.c looks at them. */
static const Key transfer_keys[] = {
    {.name = "from", .kind = KIND_STRING, .required = TRUE},
    {.name = "to", .kind = KIND_STRING, .required = TRUE},
    {.name = "direction", .kind = KIND_WORD, .words = WORDS("up", "down"), .fallback = "up"},
    {.name = "mode", .kind = KIND_MODE},
    {.name = "owner",
     .kind = KIND_STRING,
     .pattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*$",
     .hint = "user:group"},
    END,
};
static const Shape transfer_shape = {"transfer", transfer_keys, rule_transfer};
static const Key step_file_keys[] = {
    STEP_COMMON,
    {.name = "file", .kind = KIND_OBJECT, .required = TRUE, .spread = TRUE, .shape = &transfer_shape},
    END,
};
static const Key step_reboot_keys[] = {
    NAME,
    {.name = "cache", .kind = KIND_WORD, .words = WORDS("memory", "disk", "off"), .fallback = "memory"},
    {.name = "reboot", .kind = KIND_BOOLEAN, .required = TRUE},
    END,
};
static const Shape step_shell_shape = {"stepShell", step_shell_keys, rule_step};
static const Shape step_script_shape = {"stepScript", step_script_keys, rule_step};
static const Shape step_file_shape = {"stepFile", step_file_keys, rule_step};
static const Shape step_reboot_shape = {"stepReboot", step_reboot_keys, rule_reboot};
static const Variant steps[] = {
    {"shell", "shell", &step_shell_shape},
    {"script", "shell", &step_script_shape},
    {"file", "file", &step_file_shape},
    {"reboot", "reboot", &step_reboot_shape},
    {NULL, NULL, NULL},
};
static const Choice step_choice = {"step", steps};

/* --- tests --- */

static const Key test_shell_keys[] = {
    NAME, {.name = "shell", .kind = KIND_SCRIPT, .required = TRUE, .as = "script"}, EXPECT, RUN_AS, TEST_TIMEOUT, END,
};
static const Key test_service_keys[] = {
    NAME,
    {.name = "service",
     .kind = KIND_STRING,
     .required = TRUE,
     .pattern = "^[A-Za-z0-9@:._\\\\-]+$",
     .hint = "a systemd unit's name"},
    TEST_TIMEOUT,
    END,
};
static const Key test_port_keys[] = {
    NAME,
    {.name = "port", .kind = KIND_INTEGER, .required = TRUE, .least = 1, .most = 65535},
    TEST_TIMEOUT,
    END,
};
static const Key test_package_keys[] = {
    NAME,
    {.name = "package", .kind = KIND_STRING, .required = TRUE, .pattern = PACKAGE, .hint = PACKAGE_HINT},
    TEST_TIMEOUT,
    END,
};
static const Key content_keys[] = {
    {.name = "path", .kind = KIND_STRING, .required = TRUE, .pattern = ABSOLUTE, .hint = ABSOLUTE_HINT},
    {.name = "exists", .kind = KIND_BOOLEAN, .fallback = "true"},
    {.name = "mode", .kind = KIND_MODE},
    {.name = "content", .kind = KIND_REGEX},
    END,
};
static const Shape content_shape = {"content", content_keys, rule_content};
static const Key test_file_keys[] = {
    NAME,
    {.name = "file", .kind = KIND_OBJECT, .required = TRUE, .spread = TRUE, .shape = &content_shape},
    TEST_TIMEOUT,
    END,
};
static const Key request_keys[] = {
    {.name = "port", .kind = KIND_INTEGER, .least = 1, .most = 65535, .fallback = "80"},
    {.name = "path", .kind = KIND_STRING, .pattern = ABSOLUTE, .hint = ABSOLUTE_HINT, .fallback = "/"},
    {.name = "status", .kind = KIND_INTEGER, .least = 100, .most = 599, .fallback = "200"},
    {.name = "body", .kind = KIND_REGEX},
    END,
};
static const Shape request_shape = {"request", request_keys, NULL};
static const Key test_http_keys[] = {
    NAME,
    {.name = "http", .kind = KIND_OBJECT, .required = TRUE, .spread = TRUE, .shape = &request_shape},
    TEST_TIMEOUT,
    END,
};
static const Shape test_shell_shape = {"testShell", test_shell_keys, NULL};
static const Shape test_service_shape = {"testService", test_service_keys, NULL};
static const Shape test_port_shape = {"testPort", test_port_keys, NULL};
static const Shape test_package_shape = {"testPackage", test_package_keys, NULL};
static const Shape test_file_shape = {"testFile", test_file_keys, NULL};
static const Shape test_http_shape = {"testHttp", test_http_keys, NULL};
static const Variant tests[] = {
    {"shell", "shell", &test_shell_shape},
    {"service", "service", &test_service_shape},
    {"port", "port", &test_port_shape},
    {"package", "package", &test_package_shape},
    {"file", "file", &test_file_shape},
    {"http", "http", &test_http_shape},
    {NULL, NULL, NULL},
};
static const Choice test_choice = {"test", tests};

/* --- the rest --- */

static const Key variable_keys[] = {
    {.name = "default", .kind = KIND_SCALAR},
    {.name = "required", .kind = KIND_BOOLEAN, .fallback = "false"},
    {.name = "secret", .kind = KIND_BOOLEAN, .fallback = "false"},
    {.name = "description", .kind = KIND_STRING},
    END,
};
static const Shape variable_shape = {"variable", variable_keys, NULL};

/* The words of seal.keep are the rules of seal/rules.c. */
static const Key seal_keys[] = {
    {.name = "keep",
     .kind = KIND_WORD,
     .list = TRUE,
     .words =
         WORDS("machine-id", "host-keys", "random-seed", "leases", "logs", "package-cache", "history", "temporary"),
     .fallback = "[]"},
    {.name = "remove",
     .kind = KIND_STRING,
     .list = TRUE,
     .pattern = "^/[^/]",
     .hint = "an absolute path below /",
     .fallback = "[]"},
    END,
};
static const Shape seal_shape = {"seal", seal_keys, NULL};

static const Key session_keys[] = {
    {.name = "user", .kind = KIND_STRING, .pattern = USER, .hint = USER_HINT, .fallback = "root"},
    {.name = "password", .kind = KIND_STRING, .secrets = TRUE, .hidden = TRUE},
    {.name = "key", .kind = KIND_HOST_PATH},
    {.name = "sudo", .kind = KIND_BOOLEAN},
    {.name = "proxy", .kind = KIND_WORD, .words = WORDS("pass", "off"), .fallback = "pass"},
    END,
};
static const Shape session_shape = {"session", session_keys, rule_session};

static const Key recipe_keys[] = {
    {.name = "name",
     .kind = KIND_STRING,
     .required = TRUE,
     .pattern = "^[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*$",
     .hint = "an image's name: lower-case letters and digits, with single '.', '_' or any '-' between, parts by '/'"},
    {.name = "version",
     .kind = KIND_STRING,
     .pattern = "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$",
     .hint = "MAJOR.MINOR.PATCH with an optional -SUFFIX"},
    {.name = "description", .kind = KIND_STRING},
    {.name = "variables",
     .kind = KIND_VARIABLES,
     .pattern = "^[A-Za-z_][A-Za-z0-9_]*$",
     .hint = "a variable's name: letters, digits and '_'",
     .shape = &variable_shape,
     .fallback = "{}"},
    {.name = "source", .kind = KIND_CHOICE, .required = TRUE, .choice = &source_choice},
    {.name = "machine", .kind = KIND_OBJECT, .shape = &machine_shape, .fallback = "{}"},
    {.name = "session", .kind = KIND_OBJECT, .shape = &session_shape, .fallback = "{}"},
    {.name = "steps", .kind = KIND_CHOICE, .list = TRUE, .secrets = TRUE, .choice = &step_choice, .fallback = "[]"},
    {.name = "tests", .kind = KIND_CHOICE, .list = TRUE, .secrets = TRUE, .choice = &test_choice, .fallback = "[]"},
    {.name = "seal", .kind = KIND_OBJECT, .shape = &seal_shape, .fallback = "{}"},
    {.name = "outputs", .kind = KIND_FORMAT, .list = TRUE, .fallback = "[]"},
    {.name = "annotations",
     .kind = KIND_MAP,
     .pattern = "^[A-Za-z0-9][A-Za-z0-9._/-]*$",
     .hint = "a key like 'org.example.team'",
     .fallback = "{}"},
    END,
};
const Shape recipe_shape = {"recipe", recipe_keys, rule_recipe};
