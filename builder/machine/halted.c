/* A machine that has halted itself: each of its processors waits for an interrupt that it has switched off.
 *
 * QEMU calls such a machine running. It is told by two looks at the registers: a processor may stand so for a moment,
 * until another one wakes it. */
#include "machine/inside.h"

#define LOOK_USEC G_USEC_PER_SEC /* between two looks */
#define INTERRUPTS 0x200u        /* the bit of the flags that lets them in */

/* What QEMU prints of each processor: "RIP=… RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1". */
static gboolean halted_by_registers(const char *text)
{
    g_autoptr(GRegex) regex = g_regex_new("FL=([0-9a-fA-F]{8}) .*HLT=([01])", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    gboolean halted = g_regex_match(regex, text, 0, &match);
    while (halted && g_match_info_matches(match)) {
        g_autofree char *flags = g_match_info_fetch(match, 1), *waits = g_match_info_fetch(match, 2);
        halted = *waits == '1' && (g_ascii_strtoull(flags, NULL, 16) & INTERRUPTS) == 0;
        g_match_info_next(match, NULL);
    }
    return halted;
}

static gboolean halted_now(Machine *machine)
{
    g_autoptr(json_t) answer = qmp_command(machine->qmp, "human-monitor-command",
                                           ingot_json_pack("{s:s}", "command-line", "info registers -a"), NULL);
    return json_is_string(answer) && halted_by_registers(json_string_value(answer));
}

gboolean machine_look_halted(Machine *machine)
{
    gint64 now = g_get_monotonic_time();
    if (!machine->halted && now - machine->looked >= LOOK_USEC) {
        gboolean still = halted_now(machine);
        machine->halted = still && machine->still;
        machine->still = still;
        machine->looked = now;
    }
    return machine->halted;
}

gboolean machine_has_halted(const Machine *machine)
{
    return machine->halted;
}
