/* calendar.c - the civil calendar as arithmetic (Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms"): a year that starts in March puts the leap day last, so days and dates convert
 * without tables or loops. The C library's functions are not used: they take a lock for the time
 * zone. Pure. */
#include "calendar.h"

enum {
    DAYS_IN_ERA = 146097, /* 400 years */
    EPOCH_DAY = 719468,   /* 1970-01-01, counted from 0000-03-01 */
};

bool fg_calendar_is_date(int year, int month, int day)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (year < 1970 || year > 9999 || month < 1 || month > 12 || day < 1) {
        return false;
    }
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= lengths[month - 1] + (month == 2 && leap);
}

int64_t fg_calendar_days(int year, int month, int day)
{
    int64_t shifted = month <= 2 ? year - 1 : year;
    int64_t era = shifted / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_IN_ERA + day_of_era - EPOCH_DAY;
}

void fg_calendar_date(int64_t days, int *year_r, int *month_r, int *day_r)
{
    int64_t day = days + EPOCH_DAY;
    int64_t era = day / DAYS_IN_ERA;
    int64_t day_of_era = day - era * DAYS_IN_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    *day_r = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    *month_r = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *year_r = (int)(year_of_era + era * 400 + (*month_r <= 2));
}
