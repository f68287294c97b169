/* report_html.c - see report_html.h. */
#include "report_html.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "document.h"

enum {
    WIDTH = 960,
    HEIGHT = 200,
    MARGIN = 60, /* to the left, for numbers */
    BOTTOM = 24,
};

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1040px;margin:2em auto;padding:0 1em;"
    "color:#1b1f24}h1{margin-bottom:0}h2{margin-top:2em;border-bottom:1px solid #ccd}"
    "table{border-collapse:collapse;margin:.8em 0}th,td{padding:.25em .8em;border-bottom:1px solid "
    "#dde;text-align:right}th:first-child,td:first-child{text-align:left}thead "
    "th{background:#f3f4f8}"
    "svg{display:block;margin:.8em 0;max-width:100%;height:auto}.made{fill:#3465a4}"
    ".confirmed{fill:#2e9e5b}.back{fill:#d9822b}.free{fill:none;stroke:#7048a8;stroke-width:2}"
    ".axis{stroke:#99a;stroke-width:1}text{font:12px sans-serif;fill:#556}"
    ".bad{color:#b00020;font-weight:bold}.good{color:#217a45}.key span{display:inline-block;"
    "width:.8em;height:.8em;margin:0 .3em 0 1em}small{color:#667}";

/* --- escaping --------------------------------------------------------------------------------------- */

void fg_html_print(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

void fg_csv_print(const char *text, FILE *out)
{
    bool is_formula = text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL;
    bool is_quoted = strpbrk(text, "\",;\r\n") != NULL;
    if (is_quoted)
        fputc('"', out);
    if (is_formula)
        fputc('\'', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    if (is_quoted)
        fputc('"', out);
}

/* --- tables ----------------------------------------------------------------------------------------- */

static void print_cell(FILE *out, const char *tag, const char *text)
{
    fprintf(out, "<%s>", tag);
    fg_html_print(text, out);
    fprintf(out, "</%s>", tag);
}

static void print_number(FILE *out, const json_t *object, const char *name)
{
    fprintf(out, "<td>%" PRId64 "</td>", fg_document_number(object, name));
}

static void begin_table(FILE *out, const char *const *titles)
{
    fputs("<table><thead><tr>", out);
    for (; *titles != NULL; titles++)
        print_cell(out, "th", *titles);
    fputs("</tr></thead><tbody>\n", out);
}

static void end_table(FILE *out)
{
    fputs("</tbody></table>\n", out);
}

static void print_sums(FILE *out, const json_t *line)
{
    static const char *const units[] = { "total", "sold", "held", "free", "returned" };
    static const char *const orders[] = { "made",      "confirmed", "held",
                                          "cancelled", "expired",   "reclaimed" };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        print_number(out, json_object_get(line, "units"), units[i]);
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
        print_number(out, json_object_get(line, "orders"), orders[i]);
}

static void print_skus(FILE *out, const json_t *report)
{
    static const char *const titles[] = { "SKU",        "units",     "sold", "held",    "free",
                                          "given back", "orders",    "paid", "waiting", "cancelled",
                                          "expired",    "paid late", NULL };
    size_t i;
    json_t *sku;
    begin_table(out, titles);
    json_array_foreach(json_object_get(report, "skus"), i, sku)
    {
        fputs("<tr>", out);
        print_cell(out, "td", fg_document_text(sku, "sku"));
        print_sums(out, sku);
        fputs("</tr>\n", out);
    }
    fputs("<tr><th>all</th>", out);
    print_sums(out, json_object_get(report, "totals"));
    fputs("</tr>\n", out);
    end_table(out);
    fputs(
        "<p><small>Units: <i>given back</i> counts each return, also of units that were sold "
        "again. "
        "Orders: as they stand now; <i>paid late</i> are those of the paid ones whose payment came "
        "after they had expired.</small></p>\n",
        out);
}

/* --- charts ----------------------------------------------------------------------------------------- */

struct chart {
    FILE *out;
    const json_t *points;
    int64_t first_ms, span_ms, step_ms, most;
};

static double x_of(const struct chart *chart, int64_t at_ms)
{
    return MARGIN + (double)(at_ms - chart->first_ms) * (WIDTH - MARGIN) / (double)chart->span_ms;
}

static double y_of(const struct chart *chart, int64_t value)
{
    return HEIGHT - (double)value * (HEIGHT - 10) / (double)chart->most;
}

static int64_t value_of(const json_t *point, const char *const *names)
{
    int64_t sum = 0;
    for (; *names != NULL; names++)
        sum += fg_document_number(point, *names);
    return sum;
}

static void raise_most(struct chart *chart, const char *const *names)
{
    size_t i;
    json_t *point;
    json_array_foreach(chart->points, i, point)
    {
        int64_t value = value_of(point, names);
        chart->most = value > chart->most ? value : chart->most;
    }
}

static void begin_chart(const struct chart *chart, const char *title, const json_t *report)
{
    const json_t *points = chart->points;
    size_t last = json_array_size(points) - 1;
    (void)report;
    fprintf(chart->out,
            "<svg viewBox=\"0 0 %d %d\" role=\"img\"><title>%s</title>"
            "<path class=\"axis\" d=\"M%d 10V%dH%d\" fill=\"none\"/>"
            "<text x=\"%d\" y=\"18\" text-anchor=\"end\">%" PRId64 "</text>"
            "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">0</text>",
            WIDTH, HEIGHT + BOTTOM, title, MARGIN, HEIGHT, WIDTH, MARGIN - 6, chart->most,
            MARGIN - 6, HEIGHT);
    fprintf(chart->out, "<text x=\"%d\" y=\"%d\">", MARGIN, HEIGHT + 18);
    fg_html_print(fg_document_text(json_array_get(points, 0), "at"), chart->out);
    fprintf(chart->out, "</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH, HEIGHT + 18);
    fg_html_print(fg_document_text(json_array_get(points, last), "at"), chart->out);
    fputs("</text>", chart->out);
}

static void draw_bars(const struct chart *chart, const char *class, const char *const *names,
                      double from, double to)
{
    double step = (double)chart->step_ms * (WIDTH - MARGIN) / (double)chart->span_ms;
    size_t i;
    json_t *point;
    fprintf(chart->out, "<path class=\"%s\" d=\"", class);
    json_array_foreach(chart->points, i, point)
    {
        int64_t value = value_of(point, names);
        if (value == 0)
            continue;
        double x = x_of(chart, fg_document_number(point, "at_ms")) + step * from;
        double width = step * (to - from) < 0.5 ? 0.5 : step * (to - from);
        fprintf(chart->out, "M%.1f %dV%.1fh%.1fV%dz", x, HEIGHT, y_of(chart, value), width, HEIGHT);
    }
    fputs("\"/>", chart->out);
}

static void draw_stock(const struct chart *chart)
{
    size_t i;
    json_t *point;
    fputs("<path class=\"free\" d=\"", chart->out);
    json_array_foreach(chart->points, i, point)
    {
        double x = x_of(chart, fg_document_number(point, "at_ms"));
        double y = y_of(chart, fg_document_number(point, "free"));
        if (i == 0)
            fprintf(chart->out, "M%.1f %.1f", x, y);
        else
            fprintf(chart->out, "H%.1fV%.1f", x, y);
    }
    fprintf(chart->out, "H%d\"/>", WIDTH);
}

static void print_charts(FILE *out, const json_t *report)
{
    static const char *const made[] = { "made", NULL };
    static const char *const confirmed[] = { "confirmed", "reclaimed", NULL };
    static const char *const back[] = { "cancelled", "expired", NULL };
    static const char *const free_units[] = { "free", NULL };
    const json_t *timeline = json_object_get(report, "timeline");
    struct chart chart = { .out = out,
                           .points = json_object_get(timeline, "points"),
                           .step_ms = fg_document_number(timeline, "step_s") * 1000,
                           .most = 1 };
    size_t count = json_array_size(chart.points);
    if (count == 0 || chart.step_ms <= 0) {
        fputs("<p>Nothing happened yet.</p>\n", out);
        return;
    }
    chart.first_ms = fg_document_number(json_array_get(chart.points, 0), "at_ms");
    chart.span_ms = fg_document_number(json_array_get(chart.points, count - 1), "at_ms") -
                    chart.first_ms + chart.step_ms;
    chart.span_ms = chart.span_ms > 0 ? chart.span_ms : chart.step_ms;
    raise_most(&chart, made);
    raise_most(&chart, confirmed);
    raise_most(&chart, back);
    fprintf(out,
            "<h3>Orders in every %" PRId64 " s</h3>\n<p class=\"key\"><span "
            "style=\"background:#3465a4\"></span>made<span style=\"background:#2e9e5b\"></span>paid"
            "<span style=\"background:#d9822b\"></span>cancelled or expired</p>\n",
            chart.step_ms / 1000);
    begin_chart(&chart, "orders made, paid, cancelled or expired", report);
    draw_bars(&chart, "made", made, 0, 0.34);
    draw_bars(&chart, "confirmed", confirmed, 0.34, 0.67);
    draw_bars(&chart, "back", back, 0.67, 1);
    fputs("</svg>\n<h3>Units that were free</h3>\n", out);
    chart.most = 1;
    raise_most(&chart, free_units);
    begin_chart(&chart, "units that were free", report);
    draw_stock(&chart);
    fputs("</svg>\n", out);
}

/* --- the rest --------------------------------------------------------------------------------------- */

static void print_gateway(FILE *out, const json_t *gateway)
{
    static const char *const titles[] = { "answer", "requests", NULL };
    const char *problem = fg_document_text_or(gateway, "problem", "");
    const char *code;
    json_t *count;
    fputs("<h3>", out);
    fg_html_print(fg_document_text(gateway, "address"), out);
    fputs("</h3>\n", out);
    if (problem[0] != '\0') {
        fputs("<p class=\"bad\">not asked: ", out);
        fg_html_print(problem, out);
        fputs("</p>\n", out);
        return;
    }
    fprintf(out, "<p><small>since it was started, %" PRId64 " s ago; of all sales</small></p>\n",
            fg_document_number(gateway, "uptime_s"));
    if (json_object_size(json_object_get(gateway, "answers")) == 0) {
        fputs("<p>Nothing was asked of it.</p>\n", out);
        return;
    }
    begin_table(out, titles);
    json_object_foreach(json_object_get(gateway, "answers"), code, count)
    {
        fputs("<tr>", out);
        print_cell(out, "td", code);
        fprintf(out, "<td>%" PRId64 "</td></tr>\n", (int64_t)json_integer_value(count));
    }
    end_table(out);
}

static void print_list(FILE *out, const json_t *texts, const char *class)
{
    size_t i;
    json_t *text;
    fputs("<ul>\n", out);
    json_array_foreach(texts, i, text)
    {
        const char *words = json_string_value(text);
        fprintf(out, "<li class=\"%s\">", class);
        fg_html_print(words != NULL ? words : "?", out);
        fputs("</li>\n", out);
    }
    fputs("</ul>\n", out);
}

static void print_books(FILE *out, const json_t *report)
{
    static const char *const titles[] = { "sink", "kind", "events that wait for it", NULL };
    const json_t *differences = json_object_get(report, "differences");
    size_t i;
    json_t *sink;
    fputs("<h2>Books and delivery</h2>\n", out);
    if (json_array_size(differences) == 0)
        fputs("<p class=\"good\">The books balance: no difference between counters, ledger and "
              "buyers.</p>\n",
              out);
    else
        print_list(out, differences, "bad");
    fprintf(out,
            "<p>Dead letters that wait: %" PRId64 "; events that were given up: %" PRId64 "</p>\n",
            fg_document_number(report, "dead_letters"), fg_document_number(report, "dropped"));
    begin_table(out, titles);
    json_array_foreach(json_object_get(report, "delivery"), i, sink)
    {
        fputs("<tr>", out);
        print_cell(out, "td", fg_document_text(sink, "sink"));
        print_cell(out, "td", fg_document_text(sink, "type"));
        print_number(out, sink, "waiting");
        fputs("</tr>\n", out);
    }
    end_table(out);
}

static void print_head(FILE *out, const json_t *report)
{
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Sale ", out);
    fg_html_print(fg_document_text(report, "sale"), out);
    fprintf(out, "</title><style>%s</style></head><body>\n<h1>Sale ", style);
    fg_html_print(fg_document_text(report, "sale"), out);
    fputs("</h1>\n<p>made ", out);
    fg_html_print(fg_document_text(report, "made_at"), out);
    fputs(" from the ", out);
    fg_html_print(fg_document_text(report, "source"), out);
    fputs(" ", out);
    fg_html_print(fg_document_text(report, "file"), out);
    fputs("<br>opens ", out);
    fg_html_print(fg_document_text_or(report, "opens_at", "at once"), out);
    fputs(", closes ", out);
    fg_html_print(fg_document_text_or(report, "closes_at", "when it is ended"), out);
    fputs("; hold ", out);
    fg_html_print(fg_document_text(report, "hold"), out);
    fputs(", late payment: ", out);
    fg_html_print(fg_document_text(report, "late_payment"), out);
    fputs("; all times are UTC</p>\n", out);
}

void fg_report_html(const json_t *report, FILE *out)
{
    size_t i;
    json_t *gateway;
    print_head(out, report);
    fputs("<h2>What was sold</h2>\n", out);
    print_skus(out, report);
    fputs("<h2>When</h2>\n", out);
    print_charts(out, report);
    print_books(out, report);
    fputs(
        "<h2>What requests to buy were answered</h2>\n<p>Counted by each gateway in memory: a "
        "gateway that was started again during the sale has counted less, and one that sold other "
        "sales has counted theirs too.</p>\n",
        out);
    json_array_foreach(json_object_get(report, "gateways"), i, gateway) print_gateway(out, gateway);
    fputs("<h2>Beside this page</h2>\n", out);
    print_list(out, json_object_get(report, "notes"), "note");
    fputs("</body></html>\n", out);
}
