/* test_state.c - a door: what its table allows, and that a forbidden move ends the program. */
#include "unit.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flashgate/base/state.h"

enum {
    CLOSED,
    OPEN,
    LOCKED
};

static const struct fg_state door[] = {
    [CLOSED] = { "closed", FG_STATE_BIT(OPEN) | FG_STATE_BIT(LOCKED) },
    [OPEN] = { "open", FG_STATE_BIT(CLOSED) },
    [LOCKED] = { "locked", FG_STATE_BIT(CLOSED) },
};

static void allowed_moves(void **state)
{
    (void)state;
    uint8_t it = CLOSED;
    fg_state_move(door, &it, OPEN);
    assert_int_equal(it, OPEN);
    fg_state_move(door, &it, CLOSED);
    fg_state_move(door, &it, LOCKED);
    assert_int_equal(it, LOCKED);
    assert_true(fg_state_may_move(door, OPEN, CLOSED));
    assert_false(fg_state_may_move(door, OPEN, LOCKED));
    assert_false(fg_state_may_move(door, OPEN, OPEN));
    assert_false(fg_state_may_move(door, OPEN, 200));
}

static void a_forbidden_move_aborts_and_says_which(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        uint8_t it = OPEN;
        fg_state_move(door, &it, LOCKED);
        _exit(0);
    }
    close(ends[1]);
    char said[512] = "";
    ssize_t length = read(ends[0], said, sizeof said - 1);
    assert_true(length > 0);
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(said, "from open to locked"));
    assert_non_null(strstr(said, "test_state.c:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allowed_moves),
        cmocka_unit_test(a_forbidden_move_aborts_and_says_which),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
