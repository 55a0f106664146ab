/* Rows of the tables of keys that several kinds share. */
#pragma once

#include "recipe/keys.h"

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
        .name = "name", .help = "What it is called in messages and reports.", .kind = KIND_STRING                      \
    }
#define TEST_TIMEOUT                                                                                                   \
    {                                                                                                                  \
        .name = "timeout", .help = "How long to wait until it holds.", .kind = KIND_DURATION, .fallback = "60s"        \
    }
#define EXPECT                                                                                                         \
    {                                                                                                                  \
        .name = "expect", .help = "The exit codes that mean success.", .kind = KIND_INTEGER, .list = TRUE, .least = 0, \
        .most = 255, .fallback = "[0]"                                                                                 \
    }
#define RUN_AS                                                                                                         \
    {                                                                                                                  \
        .name = "user", .help = "The user who runs it.", .kind = KIND_STRING, .pattern = USER, .hint = USER_HINT,      \
        .fallback = "root"                                                                                             \
    }
#define STEP_CACHE                                                                                                     \
    {                                                                                                                  \
        .name = "cache",                                                                                               \
        .help = "What is kept after the step for later builds: disk and memory, the disk alone, or nothing.",          \
        .kind = KIND_WORD, .words = WORDS("memory", "disk", "off"), .fallback = "memory"                               \
    }
/* What every step may say of how it is kept and run. */
#define STEP_COMMON                                                                                                    \
    NAME,                                                                                                              \
        {.name = "max_age",                                                                                            \
         .help = "How old its outcome may be before the step is run again; 1d for steps that call a package manager, " \
                 "else for ever.",                                                                                     \
         .kind = KIND_DURATION},                                                                                       \
        STEP_CACHE,                                                                                                    \
        {.name = "shutdown",                                                                                           \
         .help = "Whether the machine is shut down after the step; the next one boots it again.",                      \
         .kind = KIND_BOOLEAN,                                                                                         \
         .fallback = "false"},                                                                                         \
    {                                                                                                                  \
        .name = "offline", .help = "Whether the step works on the disk without booting the machine.",                  \
        .kind = KIND_BOOLEAN, .fallback = "false"                                                                      \
    }
#define STEP_RUN                                                                                                       \
    RUN_AS, EXPECT,                                                                                                    \
        {.name = "env",                                                                                                \
         .help = "Environment variables.",                                                                             \
         .kind = KIND_MAP,                                                                                             \
         .pattern = "^[A-Za-z_][A-Za-z0-9_]*$",                                                                        \
         .hint = "a variable's name",                                                                                  \
         .fallback = "{}"},                                                                                            \
        {.name = "workdir",                                                                                            \
         .help = "The folder in the machine to run in; the user's home if it is left out.",                            \
         .kind = KIND_STRING,                                                                                          \
         .pattern = ABSOLUTE,                                                                                          \
         .hint = ABSOLUTE_HINT},                                                                                       \
    {                                                                                                                  \
        .name = "timeout", .help = "How long it may take.", .kind = KIND_DURATION, .fallback = "30m"                   \
    }
