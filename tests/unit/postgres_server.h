/* postgres_server.h - tests/fixtures/postgresql for unit tests: a server of the program's own, that ends with the
 * program however it ends. */
#ifndef FLASHGATE_TESTS_UNIT_POSTGRES_SERVER_H
#define FLASHGATE_TESTS_UNIT_POSTGRES_SERVER_H

#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct postgres_server {
    pid_t pid;
    FILE *commands, *answers;
    char folder[128]; /* of its socket */
};

/* What it answers behind "ok". */
static inline const char *postgres_server_do(struct postgres_server *server, const char *command)
{
    static char line[128];
    fprintf(server->commands, "%s\n", command);
    fflush(server->commands);
    assert_non_null(fgets(line, sizeof line, server->answers));
    line[strcspn(line, "\n")] = '\0';
    assert_int_equal(strncmp(line, "ok", 2), 0);
    return line[2] == ' ' ? line + 3 : "";
}

static inline void postgres_server_start(struct postgres_server *server)
{
    int commands[2], answers[2];
    assert_int_equal(pipe(commands), 0);
    assert_int_equal(pipe(answers), 0);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0) {
        dup2(commands[0], STDIN_FILENO);
        dup2(answers[1], STDOUT_FILENO);
        close(commands[0]);
        close(commands[1]);
        close(answers[0]);
        close(answers[1]);
        execl("tests/fixtures/postgresql", "postgresql", (char *)NULL);
        _exit(127);
    }
    close(commands[0]);
    close(answers[1]);
    server->commands = fdopen(commands[1], "w");
    server->answers = fdopen(answers[0], "r");
    snprintf(server->folder, sizeof server->folder, "%s", postgres_server_do(server, "start"));
}

static inline void postgres_server_stop(struct postgres_server *server)
{
    int status;
    fclose(server->commands);
    assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
    fclose(server->answers);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#endif
