/* table.c - cells in one growing array, row after row; widths are found when printing. */
#include "table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    COLUMNS_MAX = 16,
    CELL_BYTES = 256, /* of a formatted one; a longer one is cut */
    GAP = 2
};

struct fg_table {
    const struct fg_column *columns;
    size_t column_count;
    char **cells;
    size_t cell_count, cell_capacity;
};

/* A program that prints has nothing sensible to do without memory. */
static void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static bool is_control(char byte)
{
    return (unsigned char)byte < 0x20 || byte == 0x7f;
}

struct fg_table *fg_table_new(const struct fg_column *columns)
{
    struct fg_table *table = must(calloc(1, sizeof *table));

    table->columns = columns;
    while (columns[table->column_count].title != NULL)
        table->column_count++;
    assert(table->column_count > 0 && table->column_count <= COLUMNS_MAX);
    return table;
}

void fg_table_add(struct fg_table *table, const char *text)
{
    if (table->cell_count == table->cell_capacity) {
        table->cell_capacity = table->cell_capacity * 2 + table->column_count;
        table->cells = must(realloc(table->cells, table->cell_capacity * sizeof *table->cells));
    }
    char *cell = must(strdup(text));
    for (char *at = cell; *at != '\0'; at++)
        if (is_control(*at))
            *at = '?';
    table->cells[table->cell_count++] = cell;
}

void fg_table_add_format(struct fg_table *table, const char *format, ...)
{
    char text[CELL_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fg_table_add(table, text);
}

void fg_table_add_number(struct fg_table *table, int64_t number)
{
    fg_table_add_format(table, "%" PRId64, number);
}

/* Characters, not bytes: UTF-8 continuation bytes do not count. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void find_widths(const struct fg_table *table, size_t widths[COLUMNS_MAX])
{
    for (size_t column = 0; column < table->column_count; column++)
        widths[column] = width_of(table->columns[column].title);
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t width = width_of(table->cells[i]);
        size_t *widest = &widths[i % table->column_count];
        *widest = width > *widest ? width : *widest;
    }
}

static void print_cell(const struct fg_table *table, size_t column, const char *text, size_t width,
                       FILE *out)
{
    int padding = (int)(width - width_of(text));
    bool is_last = column + 1 == table->column_count;

    if (table->columns[column].is_number)
        fprintf(out, "%*s%s", padding, "", text);
    else
        fprintf(out, "%s%*s", text, is_last ? 0 : padding, "");
    fprintf(out, "%*s", is_last ? 0 : GAP, "");
}

void fg_table_print(const struct fg_table *table, FILE *out, bool bold)
{
    size_t widths[COLUMNS_MAX];

    assert(table->cell_count % table->column_count == 0);
    find_widths(table, widths);
    fputs(bold ? "\033[1m" : "", out);
    for (size_t column = 0; column < table->column_count; column++)
        print_cell(table, column, table->columns[column].title, widths[column], out);
    fputs(bold ? "\033[0m\n" : "\n", out);
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t column = i % table->column_count;
        print_cell(table, column, table->cells[i], widths[column], out);
        if (column + 1 == table->column_count)
            fputc('\n', out);
    }
}

void fg_table_free(struct fg_table **table)
{
    if (*table == NULL)
        return;
    for (size_t i = 0; i < (*table)->cell_count; i++)
        free((*table)->cells[i]);
    free((*table)->cells);
    free(*table);
    *table = NULL;
}

void fg_print_safely(const char *text, FILE *out)
{
    for (; *text != '\0'; text++)
        fputc(is_control(*text) && *text != '\n' ? '?' : *text, out);
}
