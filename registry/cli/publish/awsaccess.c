#include "cli/publish/awsaccess.h"

#include <ingot/error.h>
#include <string.h>

#include "base/file.h"

#define FILE_MAX (1u << 20) /* bytes */
#define REGION "us-east-1"  /* where nothing says another */

/* The shared files, each NULL where it is not there. */
typedef struct {
    GKeyFile *credentials, *config;
    char *section, *config_section; /* of the profile: "web", and "profile web" */
} AwsFiles;

static void files_clear(AwsFiles *files)
{
    g_clear_pointer(&files->credentials, g_key_file_unref);
    g_clear_pointer(&files->config, g_key_file_unref);
    g_clear_pointer(&files->section, g_free);
    g_clear_pointer(&files->config_section, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AwsFiles, files_clear)

/* NULL where it is not set, or empty. */
static const char *variable(const char *name)
{
    const char *value = g_getenv(name);
    return value == NULL || *value == '\0' ? NULL : value;
}

static const char *either(const char *one, const char *other)
{
    return variable(one) != NULL ? variable(one) : variable(other);
}

/* *file NULL: it is not there. */
static gboolean read_ini(const char *told, const char *usual, GKeyFile **file, GError **error)
{
    g_autofree char *home = g_build_filename(g_get_home_dir(), ".aws", usual, NULL);
    const char *path = variable(told) != NULL ? variable(told) : home;
    GError *problem = NULL;
    g_autoptr(GBytes) bytes = ingot_file_read(path, FILE_MAX, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_error_free(problem);
        return TRUE;
    }
    g_autoptr(GKeyFile) ini = g_key_file_new();
    if (bytes == NULL || !g_key_file_load_from_bytes(ini, bytes, G_KEY_FILE_NONE, &problem)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: not a file of AWS's profiles: %s", path,
                    problem->message);
        g_error_free(problem);
        return FALSE;
    }
    *file = g_steal_pointer(&ini);
    return TRUE;
}

/* The profile's value in the one file, else in the other; NULL: neither has it. Free it. */
static char *in_files(const AwsFiles *files, const char *key)
{
    char *value =
        files->credentials == NULL ? NULL : g_key_file_get_string(files->credentials, files->section, key, NULL);
    return value != NULL || files->config == NULL
               ? value
               : g_key_file_get_string(files->config, files->config_section, key, NULL);
}

static gboolean open_files(AwsFiles *files, GError **error)
{
    const char *profile = either("AWS_PROFILE", "AWS_DEFAULT_PROFILE");
    files->section = g_strdup(profile == NULL ? "default" : profile);
    files->config_section =
        strcmp(files->section, "default") == 0 ? g_strdup("default") : g_strconcat("profile ", files->section, NULL);
    return read_ini("AWS_SHARED_CREDENTIALS_FILE", "credentials", &files->credentials, error) &&
           read_ini("AWS_CONFIG_FILE", "config", &files->config, error);
}

/* A login is taken whole from one place: a key of one and a secret of another would fit nothing. */
static gboolean find_login(const AwsFiles *files, S3Access *access, GError **error)
{
    gboolean told = variable("AWS_ACCESS_KEY_ID") != NULL || variable("AWS_SECRET_ACCESS_KEY") != NULL;
    access->key = told ? g_strdup(variable("AWS_ACCESS_KEY_ID")) : in_files(files, "aws_access_key_id");
    access->secret = told ? g_strdup(variable("AWS_SECRET_ACCESS_KEY")) : in_files(files, "aws_secret_access_key");
    access->token = told ? g_strdup(variable("AWS_SESSION_TOKEN")) : in_files(files, "aws_session_token");
    if (access->key != NULL && access->secret != NULL) {
        return TRUE;
    }
    if (told) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "$%s is not set, which belongs to $%s",
                    access->key == NULL ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                    access->key == NULL ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "S3 needs a login: set $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY (`aws configure "
                    "export-credentials --format env` prints those of a role), or write aws_access_key_id and "
                    "aws_secret_access_key of the profile '%s' into ~/.aws/credentials",
                    files->section);
    }
    return FALSE;
}

gboolean aws_access_find(S3Access *access, GError **error)
{
    g_auto(AwsFiles) files = {0};
    if (!open_files(&files, error) || !find_login(&files, access, error)) {
        return FALSE;
    }
    const char *region = either("AWS_REGION", "AWS_DEFAULT_REGION"),
               *endpoint = either("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
    access->region = region != NULL ? g_strdup(region) : in_files(&files, "region");
    access->region = access->region == NULL ? g_strdup(REGION) : access->region;
    if (access->endpoint == NULL) {
        access->endpoint = endpoint != NULL ? g_strdup(endpoint) : in_files(&files, "endpoint_url");
    }
    return TRUE;
}
