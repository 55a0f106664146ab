#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/crew.h"

typedef struct {
    int own, started; /* priorities as getpriority tells them: more is less */
} Seen;

static int own_priority(void)
{
    return getpriority(PRIO_PROCESS, (id_t)gettid());
}

static gpointer look(gpointer data)
{
    int *seen = data;
    *seen = own_priority();
    return NULL;
}

static gpointer stand_back(gpointer data)
{
    Seen *seen = data;
    crew_stand_back();
    seen->own = own_priority();
    g_thread_join(crew_thread("look", look, &seen->started, NULL));
    return NULL;
}

static void a_thread_stands_back_alone(void **state)
{
    (void)state;
    int before = own_priority();
    Seen seen = {before, before};
    g_thread_join(crew_thread("back", stand_back, &seen, NULL));
    assert_true(seen.own > before);
    assert_int_equal(seen.started, seen.own);
    assert_int_equal(own_priority(), before);
}

static gpointer count(gpointer data)
{
    g_atomic_int_inc((gint *)data);
    return NULL;
}

static void all_of_a_crew_have_ended(void **state)
{
    (void)state;
    gint ran = 0;
    crew_run("count", 4, count, &ran);
    assert_int_equal(g_atomic_int_get(&ran), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_stands_back_alone),
        cmocka_unit_test(all_of_a_crew_have_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
