#include "graph/room.h"

#include <string.h>

const RoomPlaces room_places = {"/proc/meminfo", "/proc/self/cgroup", "/sys/fs/cgroup"};

/* --- the kernel's small files --- */

static char *room_read(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    char *text = NULL;
    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

/* The number in a file; otherwise where there is none: the file is missing, or says "max" or -1. */
static guint64 room_number(const char *folder, const char *name, guint64 otherwise)
{
    g_autofree char *text = room_read(folder, name);
    return text != NULL && g_ascii_isdigit(*text) ? g_ascii_strtoull(text, NULL, 10) : otherwise;
}

/* The number after a word at the beginning of a line; 0 where there is none. */
static guint64 room_field(const char *text, const char *word)
{
    gsize length = strlen(word);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, word, length) == 0) {
            return g_ascii_strtoull(line + length, NULL, 10);
        }
    }
    return 0;
}

/* --- one group --- */

typedef struct {
    guint64 memory;
    guint processors;
} Room;

typedef void (*RoomLook)(const char *folder, Room *room);

static void room_limit_memory(const char *folder, const char *limit, const char *used, const char *idle, Room *room)
{
    g_autofree char *stat = room_read(folder, "memory.stat");
    guint64 most = room_number(folder, limit, G_MAXUINT64), now = room_number(folder, used, 0);
    now -= MIN(now, room_field(stat, idle));
    room->memory = MIN(room->memory, most - MIN(most, now));
}

static void room_limit_processors(guint64 quota, guint64 period, Room *room)
{
    if (quota > 0 && period > 0) {
        guint64 whole = quota / period + (quota % period != 0);
        room->processors = (guint)MIN(room->processors, whole);
    }
}

static void room_look_v2(const char *folder, Room *room)
{
    g_autofree char *max = room_read(folder, "cpu.max");
    char *period = NULL;
    room_limit_memory(folder, "memory.max", "memory.current", "inactive_file ", room);
    if (max != NULL && g_ascii_isdigit(*max)) {
        guint64 quota = g_ascii_strtoull(max, &period, 10);
        room_limit_processors(quota, g_ascii_strtoull(period, NULL, 10), room);
    }
}

static void room_look_v1_memory(const char *folder, Room *room)
{
    room_limit_memory(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ", room);
}

static void room_look_v1_cpu(const char *folder, Room *room)
{
    room_limit_processors(room_number(folder, "cpu.cfs_quota_us", 0), room_number(folder, "cpu.cfs_period_us", 0),
                          room);
}

/* --- all groups --- */

/* The group's folder and all above it. In a container the path may be one of the host: the folders that are not there
 * say nothing, the topmost one is the container's own. */
static void room_climb(const char *top, const char *group, RoomLook look, Room *room)
{
    g_autofree char *joined = g_build_filename(top, group, NULL);
    g_autofree char *at = g_canonicalize_filename(joined, NULL);
    while (g_str_has_prefix(at, top) && strlen(at) > strlen(top)) {
        look(at, room);
        char *above = g_path_get_dirname(at);
        g_free(at);
        at = above;
    }
    look(top, room);
}

/* A line of /proc/self/cgroup: NUMBER:CONTROLLERS:PATH; v2 has none of them. */
static void room_look_line(const RoomPlaces *places, const char *line, Room *room)
{
    g_auto(GStrv) parts = g_strsplit(line, ":", 3);
    if (g_strv_length(parts) < 3) {
        return;
    }
    g_auto(GStrv) controllers = g_strsplit(parts[1], ",", -1);
    g_autofree char *memory = g_build_filename(places->groups, "memory", NULL);
    g_autofree char *cpu = g_build_filename(places->groups, "cpu", NULL);
    if (*parts[1] == '\0') {
        room_climb(places->groups, parts[2], room_look_v2, room);
    }
    if (g_strv_contains((const char *const *)controllers, "memory")) {
        room_climb(memory, parts[2], room_look_v1_memory, room);
    }
    if (g_strv_contains((const char *const *)controllers, "cpu")) {
        room_climb(cpu, parts[2], room_look_v1_cpu, room);
    }
}

static Room room_find(const RoomPlaces *places)
{
    Room room = {.memory = G_MAXUINT64, .processors = G_MAXUINT};
    g_autofree char *text = NULL;
    if (g_file_get_contents(places->self, &text, NULL, NULL)) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        for (guint i = 0; lines[i] != NULL; i++) {
            room_look_line(places, lines[i], &room);
        }
    }
    return room;
}

guint64 room_memory(const RoomPlaces *places)
{
    g_autofree char *text = NULL;
    guint64 host =
        g_file_get_contents(places->meminfo, &text, NULL, NULL) ? room_field(text, "MemAvailable:") << 10 : 0;
    return MIN(host, room_find(places).memory);
}

guint room_processors(const RoomPlaces *places, guint most)
{
    return MAX(1, MIN(most, room_find(places).processors));
}
