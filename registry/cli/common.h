/* What several verbs do alike. */
#pragma once

#include <ingot/format.h>
#include <ingot/options.h>
#include <ingot/reference.h>
#include <ingot/store.h>

IngotStore *cli_store(GError **error);
/* For a verb that reads: nothing is made where there is no store. */
IngotStore *cli_store_to_read(void);
/* "sha256:0123456789ab" for tables. Free it. */
char *cli_short_digest(const IngotDigest *digest);
/* Prints the result of a verb: the digest alone with -q, else "TEXT DIGEST". */
void cli_print_result(const char *text, const IngotDigest *digest);
/* A reference with a host, or an error that says so. */
IngotReference *cli_remote_reference(const char *text, GError **error);
/* A registry's HOST[:PORT] alone. Free it. */
char *cli_host(const char *text, GError **error);
/* -F, -o and --disk of the verbs that write an image's disks. */
typedef struct {
    char *format, *path, *disk; /* as given; free them with cli_output_clear */
} CliOutput;
#define CLI_OUTPUT_OPTIONS(output)                                                                                     \
    {"format",                                                                                                         \
     'F',                                                                                                              \
     0,                                                                                                                \
     G_OPTION_ARG_STRING,                                                                                              \
     &(output).format,                                                                                                 \
     "what to write it as: raw unless it is given, `ingot formats` lists them",                                        \
     "FORMAT"},                                                                                                        \
        {"output",                                                                                                     \
         'o',                                                                                                          \
         0,                                                                                                            \
         G_OPTION_ARG_FILENAME,                                                                                        \
         &(output).path,                                                                                               \
         "the file, the new folder or the block device to write it to (-: stdout, raw alone)",                         \
         "FILE"},                                                                                                      \
    {                                                                                                                  \
        "disk", 0, 0, G_OPTION_ARG_STRING, &(output).disk, "of an image of several disks, only this one (0 on)", "N"   \
    }
/* --pull of the verbs that take an image of the store or of a registry. */
#define CLI_PULL_OPTION(when)                                                                                          \
    {                                                                                                                  \
        "pull", 0, 0, G_OPTION_ARG_STRING, &(when),                                                                    \
            "ask the registry: missing (where the store has none, the default), always, never", "WHEN"                 \
    }
/* --allow-revoked of the verbs that take an image: sets a gboolean, which cli_remote_options takes. */
#define CLI_ALLOW_OPTION(allow)                                                                                        \
    {                                                                                                                  \
        "allow-revoked", 0, 0, G_OPTION_ARG_NONE, &(allow), "take an image that its registry has revoked or disabled", \
            NULL                                                                                                       \
    }
/* --policy of the same verbs: sets a text, which is for environment_use_policy. */
#define CLI_POLICY_OPTION(policy)                                                                                      \
    {                                                                                                                  \
        "policy", 0, 0, G_OPTION_ARG_FILENAME, &(policy), "which images may be used, signed by whom (policy.json)",    \
            "FILE"                                                                                                     \
    }
/* --arch of the same verbs: sets a text, which is for environment_use_architecture. */
#define CLI_ARCH_OPTION(architecture)                                                                                  \
    {                                                                                                                  \
        "arch", 0, 0, G_OPTION_ARG_STRING, &(architecture),                                                            \
            "of a name that stands for images of several architectures, the one for this (this machine's)", "ARCH"     \
    }
/* The options of the environment, and --allow-revoked. */
IngotRemoteOptions *cli_remote_options(gboolean allow);
void cli_output_clear(CliOutput *output);
/* The format that is asked for; NULL and an error where it does not exist, or can't be written where it is to. */
const IngotFormat *cli_output_format(const CliOutput *output, GError **error);
/* Whether it goes where the bytes are taken one after the other: nothing else is printed then. */
gboolean cli_output_is_stream(const CliOutput *output);
/* Writes an image's disks there. */
gboolean cli_output_write(const CliOutput *output, const IngotImage *image, const IngotFormat *format, GError **error);
void cli_print_json(const json_t *value);
