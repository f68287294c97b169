/* live.c - the screen: enter, draw, wait for a key or the next second, leave.
 *
 * A frame is made in memory, cut to the screen, and written at once, over the frame before, so nothing flickers.
 * A call to a server may block for seconds; therefore the handlers of signals leave the screen and end the
 * program themselves, with calls that are safe there. */
#include "live.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "flashgate/base/clock.h"

static const char enter_screen[] = "\033[?1049h\033[?25l"; /* alternate screen, no cursor */
static const char leave_screen[] = "\033[?25h\033[?1049l";
static const char home[] = "\033[H";

enum {
    ROWS_DEFAULT = 24,
    COLUMNS_DEFAULT = 80,
    CTRL_C = 3
};

/* Read by signal handlers, so they are the file's: set before the handlers are. */
static struct termios terminal_before;
static bool has_keys; /* standard input is a terminal, and its settings were changed */

/* --- the terminal ----------------------------------------------------------------------------------- */

static bool write_all(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, length);

        if (written < 0 && errno != EINTR)
            return false;
        bytes += written > 0 ? written : 0;
        length -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

static void leave(void)
{
    (void)write_all(leave_screen, sizeof leave_screen - 1);
    if (has_keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
}

static void on_interrupt(int number)
{
    (void)number;
    leave();
    _exit(0);
}

/* The signal comes again when this returns, and then does what it always does. */
static void on_end(int number)
{
    leave();
    (void)raise(number);
}

static void on_resize(int number)
{
    (void)number; /* it only ends a poll() */
}

static void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

    (void)sigfillset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
}

/* Keys come at once and unseen; Ctrl-Z would leave the shell on the wrong screen, so it does nothing. */
static void take_keys(void)
{
    struct termios settings;

    if (tcgetattr(STDIN_FILENO, &terminal_before) != 0)
        return;
    settings = terminal_before;
    settings.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    settings.c_cc[VMIN] = 1;
    settings.c_cc[VTIME] = 0;
    settings.c_cc[VSUSP] = _POSIX_VDISABLE;
    has_keys = tcsetattr(STDIN_FILENO, TCSANOW, &settings) == 0;
}

static void enter(void)
{
    handle(SIGINT, on_interrupt, 0);
    handle(SIGTERM, on_end, (int)SA_RESETHAND);
    handle(SIGHUP, on_end, (int)SA_RESETHAND);
    handle(SIGQUIT, on_end, (int)SA_RESETHAND);
    handle(SIGWINCH, on_resize, 0);
    take_keys();
    (void)write_all(enter_screen, sizeof enter_screen - 1);
}

/* --- a frame ---------------------------------------------------------------------------------------- */

/* Prints at most `columns` characters of the line at `text`; where it ends. */
static const char *fit_line(const char *text, size_t columns, FILE *out)
{
    bool in_sequence = false;

    for (; *text != '\0' && *text != '\n'; text++) {
        bool is_continuation = ((unsigned char)*text & 0xc0) == 0x80;

        if (*text == '\033')
            in_sequence = true;
        if (!in_sequence && !is_continuation && columns-- == 0)
            break;
        fputc(*text, out);
        if (*text == 'm')
            in_sequence = false;
    }
    return text + strcspn(text, "\n");
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;

    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

void fg_view_fit(const char *text, size_t rows, size_t columns, FILE *out)
{
    size_t lines = count_lines(text);
    size_t shown = lines <= rows ? lines : rows - 1;

    for (size_t i = 0; i < shown; i++) {
        fputs("\033[K", out); /* before: behind a full line it would take the last character */
        text = fit_line(text, columns, out) + 1;
        fputs("\033[0m", out);
        fputs(i + 1 < rows ? "\n" : "", out);
    }
    if (shown < lines)
        fprintf(out, "\033[K(%zu more lines)", lines - shown);
    else if (lines < rows)
        fputs("\033[J", out);
}

/* A stream whose bytes are *text_r when it was closed. */
static FILE *open_text(char **text_r, size_t *length_r)
{
    FILE *out = open_memstream(text_r, length_r);

    if (out == NULL)
        abort();
    return out;
}

static bool draw(const struct fg_ctl *ctl, const struct fg_view *view)
{
    struct winsize size = { 0 };
    struct fg_ctl inner = *ctl;
    char *text, *frame;
    size_t length;

    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    inner.out = open_text(&text, &length);
    view->print(&inner, view->context, true);
    (void)fclose(inner.out);
    FILE *out = open_text(&frame, &length);
    fputs(home, out);
    fg_view_fit(text, size.ws_row > 0 ? size.ws_row : ROWS_DEFAULT,
                size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT, out);
    (void)fclose(out);
    bool is_good = write_all(frame, length);
    free(text);
    free(frame);
    return is_good;
}

/* --- the loop --------------------------------------------------------------------------------------- */

enum event {
    NEXT_SECOND,
    RESIZED,
    ENOUGH
};

static enum event take_key(void)
{
    char key = 0;

    if (read(STDIN_FILENO, &key, 1) <= 0)
        has_keys = false; /* nobody is there any more */
    return key == 'q' || key == 'Q' || key == CTRL_C ? ENOUGH : RESIZED;
}

static enum event wait_until(uint64_t next_ns)
{
    struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
    uint64_t now_ns = fg_clock_steady_ns();
    int left_ms = next_ns > now_ns ? (int)((next_ns - now_ns + FG_MS_IN_NS - 1) / FG_MS_IN_NS) : 0;
    int ready = poll(&keys, has_keys ? 1 : 0, left_ms);

    if (ready > 0)
        return take_key();
    return ready < 0 ? RESIZED : NEXT_SECOND;
}

static enum fg_result run(const struct fg_ctl *ctl, const struct fg_view *view,
                          struct fg_error *error)
{
    enum event event;

    for (;;) {
        uint64_t next_ns = fg_clock_steady_ns() + FG_SECOND_IN_NS;

        do {
            if (!draw(ctl, view))
                return fg_error_set(error, FG_UNREACHABLE, "the terminal is gone");
            event = wait_until(next_ns);
        } while (event == RESIZED);
        if (event == ENOUGH)
            return FG_OK;
        (void)view->read(ctl, view->context);
    }
}

enum fg_result fg_view_show(const struct fg_ctl *ctl, const struct fg_view *view,
                            struct fg_error *error)
{
    bool somebody_answers = view->read(ctl, view->context);

    if (!somebody_answers || !ctl->may_live || ctl->is_set[FG_OWN_ONCE] || ctl->json) {
        view->print(ctl, view->context, false);
        return view->judge(ctl, view->context, error);
    }
    enter();
    enum fg_result result = run(ctl, view, error);
    leave();
    return result;
}
