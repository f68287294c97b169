/* test_gateway_reload.c - a gateway without workers takes another configuration, goes back, and refuses what is
 * not good; and it reads the file that its path means at that moment. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flashgate/base/log.h"

#include "gateway/gateway.h"
#include "gateway/reload.h"

static struct gateway gateway;
static struct configuration *started; /* its options are those of the start, to the end */
static struct fg_error error;
static char folder[64], here[4096], said[4096];
static struct fg_buffer words;

/* --- files -------------------------------------------------------------------------------------------- */

static void write_file(const char *name, const char *yaml)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fprintf(file, "log: { level: error }\n%s", yaml) > 0);
    assert_int_equal(fclose(file), 0);
}

static void write_limit(const char *name, const char *id, unsigned rate)
{
    char yaml[256];
    snprintf(yaml, sizeof yaml, "limits: [{ id: %s, rate: %u/s, max_keys: 8 }]\n", id, rate);
    write_file(name, yaml);
}

/* --- a gateway ---------------------------------------------------------------------------------------- */

static void start(const char *path)
{
    if (configuration_load(path, CONFIGURATION_START, &started, &error) != FG_OK)
        fail_msg("%s", error.text);
    gateway.options = &started->options;
    if (reload_open(&gateway, path, started, &gateway.reload, &error) != FG_OK)
        fail_msg("%s", error.text);
}

static void stop(void)
{
    reload_close(&gateway.reload);
    if (started != NULL)
        configuration_release(&started);
}

static void note(const struct configuration_change *change, void *argument)
{
    (void)argument;
    fg_buffer_add_format(&words, "%s\n", change->words);
}

static const char *changes(void)
{
    said[words.length] = '\0';
    return said;
}

static enum fg_result reload(void)
{
    words = fg_buffer_over(said, sizeof said - 1);
    return reload_file(gateway.reload, note, NULL, &error);
}

static enum fg_result roll_back(void)
{
    words = fg_buffer_over(said, sizeof said - 1);
    return reload_rollback(gateway.reload, note, NULL, &error);
}

static uint64_t generation(void)
{
    return reload_configuration(gateway.reload)->generation;
}

static uint64_t rate(void)
{
    const struct fg_config_list *limits = &reload_configuration(gateway.reload)->options.limits;
    return ((const struct fg_limit_definition *)limits->items)->rate.count;
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/flashgate-reload-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(folder), 0);
    fg_log_configure("test", FG_LOG_ERROR, FG_LOG_LOGFMT);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    stop();
    assert_int_equal(chdir(here), 0);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* --- stories ------------------------------------------------------------------------------------------ */

static void test_takes_a_changed_file(void **state)
{
    (void)state;
    write_limit("g.yaml", "a", 5);
    start("g.yaml");
    assert_int_equal(generation(), 1);
    write_limit("g.yaml", "a", 6);
    assert_int_equal(reload(), FG_OK);
    assert_int_equal(generation(), 2);
    assert_int_equal(rate(), 6);
    assert_int_equal(reload_configuration(gateway.reload)->origin, CONFIGURATION_FILE);
    assert_non_null(strstr(changes(), "limit a: rate 5/s → 6/s"));
}

static void test_the_same_file_is_no_new_generation(void **state)
{
    (void)state;
    write_limit("g.yaml", "a", 5);
    start("g.yaml");
    assert_int_equal(reload(), FG_OK);
    assert_int_equal(generation(), 1);
    assert_int_equal(reload_counts(gateway.reload).good, 1);
    assert_int_equal(roll_back(), FG_REFUSED); /* nothing was replaced */
}

static void test_a_bad_file_changes_nothing(void **state)
{
    (void)state;
    write_limit("g.yaml", "a", 5);
    start("g.yaml");
    write_limit("g.yaml", "a, rate: 1/s, nonsense", 6);
    assert_int_equal(reload(), FG_INVALID);
    assert_non_null(strstr(error.text, "g.yaml:2:"));
    assert_int_equal(unlink("g.yaml"), 0);
    assert_int_equal(reload(), FG_INVALID);
    assert_int_equal(generation(), 1);
    assert_int_equal(rate(), 5);
    assert_int_equal(reload_counts(gateway.reload).refused, 2);
}

/* Either all of a file is taken or nothing; why is said even if the value is longer than the answer. */
static void test_what_needs_a_restart_refuses_the_rest(void **state)
{
    (void)state;
    char yaml[2048] = "redis: { address: \"h:1\", password_file: /", *end = yaml + strlen(yaml);
    write_file("g.yaml", "redis: { address: \"h:1\" }\nmax_backlog: 5\n");
    start("g.yaml");
    memset(end, 'x', 1500);
    strcpy(end + 1500, " }\nmax_backlog: 6\n");
    write_file("g.yaml", yaml);
    assert_int_equal(reload(), FG_REFUSED);
    assert_non_null(strstr(error.text, "redis.password_file: none → /xxx"));
    assert_non_null(strstr(error.text, "restart the gateway"));
    assert_int_equal(generation(), 1);
    assert_int_equal(atomic_load(&gateway.max_backlog), 5);
    assert_non_null(strstr(changes(), "max_backlog: 5 → 6"));
}

static void test_goes_back_step_by_step(void **state)
{
    (void)state;
    write_limit("g.yaml", "a", 1);
    start("g.yaml");
    for (unsigned i = 2; i <= 3; i++) {
        write_limit("g.yaml", "a", i);
        assert_int_equal(reload(), FG_OK);
    }
    for (unsigned i = 2; i >= 1; i--) {
        assert_int_equal(roll_back(), FG_OK);
        assert_int_equal(rate(), i);
    }
    assert_int_equal(generation(), 5); /* it never goes down: workers tell by it what they run */
    assert_int_equal(reload_configuration(gateway.reload)->origin, CONFIGURATION_ROLLBACK);
    assert_int_equal(roll_back(), FG_REFUSED);
    assert_int_equal(reload(), FG_OK); /* the file still says 3 */
    assert_int_equal(rate(), 3);
    assert_int_equal(roll_back(), FG_OK);
    assert_int_equal(rate(), 1);
}

static void test_goes_back_at_most_sixteen(void **state)
{
    (void)state;
    write_limit("g.yaml", "a", 1);
    start("g.yaml");
    for (unsigned i = 2; i <= 40; i++) {
        write_limit("g.yaml", "a", i);
        assert_int_equal(reload(), FG_OK);
    }
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(roll_back(), FG_OK);
    assert_int_equal(rate(), 24);
    assert_int_equal(roll_back(), FG_REFUSED);
}

/* The working folder may go away, or be another one by then. */
static void test_a_relative_path_means_the_same_file_later(void **state)
{
    (void)state;
    const char *const paths[] = { "g.yaml", "./g.yaml", "conf/g.yaml", "conf/../conf/./g.yaml" };
    assert_int_equal(mkdir("conf", 0700), 0);
    for (size_t i = 0; i < FG_COUNT_OF(paths); i++) {
        write_limit("g.yaml", "a", 1);
        write_limit("conf/g.yaml", "a", 1);
        assert_int_equal(chdir(folder), 0);
        start(paths[i]);
        write_limit("g.yaml", "a", 2);
        write_limit("conf/g.yaml", "a", 2);
        assert_int_equal(chdir("/"), 0);
        assert_int_equal(reload(), FG_OK);
        assert_int_equal(rate(), 2);
        assert_int_equal(roll_back(), FG_OK);
        assert_int_equal(rate(), 1);
        stop();
    }
}

/* Files come as releases/N, with a link to the one that counts, which is swapped. */
static void test_a_swapped_link_is_followed(void **state)
{
    (void)state;
    char path[128];
    assert_int_equal(mkdir("one", 0700), 0);
    assert_int_equal(mkdir("two", 0700), 0);
    write_limit("one/g.yaml", "a", 1);
    write_limit("two/g.yaml", "a", 2);
    assert_int_equal(symlink("one", "current"), 0);
    snprintf(path, sizeof path, "%s/current/g.yaml", folder);
    start(path);
    assert_int_equal(symlink("two", "next"), 0);
    assert_int_equal(rename("next", "current"), 0);
    assert_int_equal(reload(), FG_OK);
    assert_int_equal(rate(), 2);
}

static void test_another_share_is_no_new_generation(void **state)
{
    (void)state;
    write_limit("g.yaml", "a, scope: cluster", 8);
    start("g.yaml");
    const struct settings *before = reload_settings(gateway.reload);
    reload_share(gateway.reload, 0); /* as it is */
    assert_ptr_equal(reload_settings(gateway.reload), before);
    reload_share(gateway.reload, 4);
    assert_int_equal(reload_settings(gateway.reload)->share, 4);
    assert_int_equal(generation(), 1);
    write_limit("g.yaml", "a, scope: cluster", 9);
    assert_int_equal(reload(), FG_OK);
    assert_int_equal(reload_settings(gateway.reload)->share, 4);
}

/* A worker that does not take what it is given: its settings stay, and after many nothing new is made. */
static void test_keeps_what_somebody_holds(void **state)
{
    (void)state;
    enum {
        MANY = 100
    };
    struct settings *held[MANY] = { NULL };
    unsigned taken = 0;
    write_limit("g.yaml", "a", 1);
    start("g.yaml");
    for (unsigned i = 0; i < MANY; i++) {
        held[i] = settings_hold(reload_settings(gateway.reload));
        write_limit("g.yaml", "a", i + 2);
        taken += reload() == FG_OK;
    }
    assert_int_equal(taken, 64);
    assert_non_null(strstr(error.text, "have not taken"));
    assert_int_equal(
        ((const struct fg_limit_definition *)held[0]->configuration->options.limits.items)
            ->rate.count,
        1);
    for (unsigned i = 0; i < MANY; i++)
        settings_let_go(&held[i]);
    reload_tend(gateway.reload);
    assert_int_equal(reload(), FG_OK);
    assert_int_equal(rate(), MANY + 1);
}

/* --- tokens ------------------------------------------------------------------------------------------- */

#define ONE            "Bearer one-0123456789-0123456789-0123456789"
#define TWO            "Bearer two-0123456789-0123456789-0123456789"
#define OPEN_TO_TOKENS "listen: { admin: [\"unix:a.sock\", \"127.0.0.1:9182\"] }\n"

static void write_tokens(const char *lines)
{
    FILE *file = fopen("tokens", "w");
    assert_non_null(file);
    assert_true(fputs(lines, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod("tokens", 0600), 0);
}

static unsigned role(const char *authorization)
{
    const struct gateway_options *options = &reload_configuration(gateway.reload)->options;
    return fg_access_role(options->admin_access, fg_text_of(authorization));
}

static void test_tokens_are_swapped_under_the_same_file_name(void **state)
{
    (void)state;
    write_tokens("read one-0123456789-0123456789-0123456789\n");
    write_file("g.yaml", OPEN_TO_TOKENS "admin_tokens: tokens\n");
    start("g.yaml");
    assert_int_equal(role(ONE), FG_ROLE_READ);
    write_tokens("write two-0123456789-0123456789-0123456789\n");
    assert_int_equal(reload(), FG_OK);
    assert_non_null(strstr(changes(), "admin_tokens: other tokens or roles in /"));
    assert_int_equal(generation(), 2);
    assert_int_equal(role(ONE), 0);
    assert_int_equal(role(TWO), FG_ROLE_WRITE);
    assert_int_equal(reload(), FG_OK);
    assert_int_equal(generation(), 2);
}

static void test_a_bad_token_file_changes_nothing(void **state)
{
    (void)state;
    write_tokens("read one-0123456789-0123456789-0123456789\n");
    write_file("g.yaml", OPEN_TO_TOKENS "admin_tokens: tokens\n");
    start("g.yaml");
    write_tokens("write two-0123456789-0123456789-0123456789\nread short\n");
    assert_int_equal(reload(), FG_INVALID);
    assert_non_null(strstr(error.text, "g.yaml:3:"));
    assert_non_null(strstr(error.text, "/tokens:2: expected a token"));
    assert_int_equal(unlink("tokens"), 0);
    assert_int_equal(reload(), FG_INVALID);
    assert_int_equal(role(ONE), FG_ROLE_READ);
    assert_int_equal(role(TWO), 0);
}

static void test_no_tcp_without_tokens(void **state)
{
    struct configuration *configuration;
    (void)state;
    write_file("g.yaml", OPEN_TO_TOKENS);
    assert_int_equal(configuration_load("g.yaml", CONFIGURATION_START, &configuration, &error),
                     FG_INVALID);
    assert_non_null(strstr(error.text, "g.yaml:2:18: listen.admin has 127.0.0.1:9182"));
    write_tokens("read one-0123456789-0123456789-0123456789\n");
    write_file("g.yaml", OPEN_TO_TOKENS "admin_tokens: tokens\n");
    start("g.yaml");
    write_file("g.yaml", OPEN_TO_TOKENS);
    assert_int_equal(reload(), FG_INVALID); /* nor while it runs */
    assert_int_equal(role(ONE), FG_ROLE_READ);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_takes_a_changed_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_same_file_is_no_new_generation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_bad_file_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_needs_a_restart_refuses_the_rest, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_goes_back_step_by_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_goes_back_at_most_sixteen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_relative_path_means_the_same_file_later, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_swapped_link_is_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_share_is_no_new_generation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keeps_what_somebody_holds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tokens_are_swapped_under_the_same_file_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_bad_token_file_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_tcp_without_tokens, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
